"""About 20 iterations of a solver on given inputs: losses, rates, clipping, weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from caffe_compat.api import load_net
from tests.golden.build import param, set_params, skip_missing_in, tensors
from tests.golden.cases import Case
from tests.golden.compare import PRINTED, Comparison, to_numpy
from tests.golden.training import Recorder, skip_missing_solver


@pytest.mark.golden("solver")
def test_solver(case: Case) -> None:
    Path("net.prototxt").write_text(case.text("net"))
    skip_missing_in(case.text("net"))
    skip_missing_solver(case.text("solver"))
    recorder = Recorder(case.text("solver"), passes(case.part("data")))
    net = recorder.solver.net
    set_params(net, case.part("param"))
    with Comparison(case) as compare:
        for iteration in (1, 2, 3):
            recorder.step(1)
            compare(f"trace.{iteration}", flat_params(net, case))
        recorder.step(case.meta["iters"] - 3)
        compare("losses", recorder.losses)
        for key in case.part("final"):
            compare(f"final.{key}", param(net, key))
    compare_printed(case, recorder)
    compare_test_net(case)


def passes(data: dict[str, np.ndarray]) -> Iterator[dict[str, torch.Tensor]]:
    """The inputs of each forward pass."""
    for i in range(len(next(iter(data.values())))):
        yield tensors({name: values[i] for name, values in data.items()})


def flat_params(net: Any, case: Case) -> np.ndarray:
    return np.concatenate([to_numpy(param(net, key)).ravel() for key in case.part("param")])


def compare_printed(case: Case, recorder: Recorder) -> None:
    """What Caffe prints with 6 significant digits: each number relative to itself."""
    with Comparison(case, PRINTED) as compare:
        for key, ours in (("lr", recorder.rates), ("clip_norm", recorder.clip_norms)):
            for i, expected in enumerate(case.arrays[key]):
                compare(f"{key} of iteration {i}", ours[i], expected)


def compare_test_net(case: Case) -> None:
    """Some cases hold blobs of the net in the TEST phase with the final weights, on the last inputs."""
    expected = case.part("test")
    if not expected:
        return
    net = load_net("net.prototxt", phase="TEST")
    net.keep_blobs = True
    set_params(net, case.part("final"))
    inputs = tensors({name: values[-1] for name, values in case.part("data").items()})
    net(**{name: inputs[name] for name in net.inputs})
    with Comparison(case) as compare:
        for name in expected:
            compare(f"test.{name}", net.blobs[name])
