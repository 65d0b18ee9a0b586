"""How exact float32 is in a net: the same pass in float64 beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch

from caffe_compat.export.difference import relative_difference
from caffe_compat.export.reference import run_net
from caffe_compat.net import Net


def rounding_errors(
    net: Net, inputs: Mapping[str, np.ndarray], values: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """For each blob of ``values``, which the net computed in float32, the largest difference from float64's value.

    Empty where the net cannot run in float64 (a layer of the user's that makes float32 by itself).
    """
    try:
        with _in_float64(net):
            exact = run_net(net, {name: array.astype(np.float64) for name, array in inputs.items()}, list(values))
    except RuntimeError:  # what torch raises for operands of two types
        return {}
    return {name: relative_difference(value, exact[name])[0] for name, value in values.items()}


@contextmanager
def _in_float64(net: Net) -> Iterator[None]:
    """float32 -> float64 -> float32 gives the same bits back; tensors of other types are not touched."""
    tensors = [t for t in (*net.parameters(), *net.buffers()) if t.dtype == torch.float32]
    saved = [tensor.data for tensor in tensors]
    for tensor in tensors:
        tensor.data = tensor.data.double()
    try:
        yield
    finally:
        for tensor, data in zip(tensors, saved, strict=True):
            tensor.data = data
