"""One test: the outputs of a test net, averaged over some forward passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from caffe_compat.net import Net

Means = dict[str, list[float]]


@dataclass
class Scores:
    """Per output blob the mean of its values over the passes, and the mean of the total loss."""

    outputs: Means
    loss: float


def run_test(
    net: Net, passes: int, inputs: Callable[[], Mapping[str, Tensor]], stop: Callable[[], bool]
) -> Scores | None:
    """``passes`` forward passes of ``net``; sums stay on the device until the end. None where ``stop`` said so."""
    sums: dict[str, Tensor] = {}
    loss: Tensor | float = 0.0
    with torch.no_grad():
        for _ in range(passes):
            if stop():
                return None
            outputs = net(**inputs())
            loss = loss + net.loss
            sums = {name: sums[name] + top if name in sums else top.clone() for name, top in outputs.items()}
    means = {name: (total / passes).flatten().tolist() for name, total in sums.items()}
    return Scores(means, float(loss / passes) if passes else float("nan"))
