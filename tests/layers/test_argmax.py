"""ArgMax: shapes, ties, values, refusals, ONNX with and without a symbolic batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from caffe_compat.errors import NetError
from caffe_compat.layers.argmax import ArgMax
from tests.layers.checking import check_channels_last, check_onnx, check_shapes, made
from tests.layers.single import refused

Shape = tuple[int, ...]


def reference(x: torch.Tensor, k: int, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions and values, by sorting (value, position) pairs downwards."""
    rows = np.moveaxis(x.numpy(), axis, -1)
    index = np.empty((*rows.shape[:-1], k), np.float32)
    for place in np.ndindex(rows.shape[:-1]):
        pairs = sorted(((value, i) for i, value in enumerate(rows[place])), reverse=True)
        index[place] = [i for _, i in pairs[:k]]
    values = np.take_along_axis(rows, index.astype(int), -1)
    return np.moveaxis(index, -1, axis), np.moveaxis(values, -1, axis)


def few_values(*shape: int) -> torch.Tensor:
    """Whole numbers from -2 to 1: ties everywhere."""
    return torch.randint(-2, 2, shape, generator=torch.Generator().manual_seed(sum(shape))).float()


@pytest.mark.parametrize("shape", [(3, 5), (2, 4, 3), (2, 3, 4, 5), (2, 1, 3, 2, 2), (3,), (1, 1)])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_without_axis(shape: Shape, k: int) -> None:
    x = few_values(*shape)
    count = x[0].numel()
    if k > count:
        refused(f"top_k: {k} is more than the {count} value(s)", lambda: ArgMax(top_k=k), shape)
        return
    index, values = reference(x.reshape(shape[0], -1), k, 1)
    extra = [1] * (len(shape) - 3)
    for out_max_val, expected in ((False, index[:, None]), (True, np.stack([index, values], 1))):
        layer = made(ArgMax(out_max_val, k), x)
        top = layer(x)
        assert tuple(top.shape) == (shape[0], 1 + out_max_val, k, *extra)
        np.testing.assert_array_equal(top.numpy().reshape(expected.shape), expected)
        check_shapes(layer, x)
        check_channels_last(layer, x)
        check_onnx(layer, x)


@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 3), (3, 3, 4, 5)])
@pytest.mark.parametrize("axis", [0, 1, -1, -2])
@pytest.mark.parametrize("k", [1, 3])
def test_along_an_axis(shape: Shape, axis: int, k: int) -> None:
    x = few_values(*shape)
    for out_max_val, expected in zip((False, True), reference(x, k, axis), strict=True):
        layer = made(ArgMax(out_max_val, k, axis), x)
        np.testing.assert_array_equal(layer(x).numpy(), expected)
        check_shapes(layer, x)
        check_onnx(layer, x)


def test_a_tie_goes_to_the_larger_position() -> None:
    x = torch.tensor([[1.0, 2.0, 2.0, 1.0], [0.0, -0.0, 0.0, -0.0]])
    assert ArgMax()(x).flatten().tolist() == [2, 3]
    assert ArgMax(top_k=4)(x).reshape(2, 4).tolist() == [[2, 1, 3, 0], [3, 2, 1, 0]]


def test_positions_of_half_precision_stay_exact() -> None:
    x = torch.zeros(1, 5001, dtype=torch.float16)
    assert ArgMax()(x).item() == 5000
    assert ArgMax(out_max_val=True)(x).dtype == torch.float16


def test_no_gradient_and_an_empty_batch() -> None:
    assert not ArgMax()(torch.randn(2, 3, requires_grad=True)).requires_grad
    assert ArgMax()(torch.empty(0, 3)).shape == (0, 1, 1)


@pytest.mark.parametrize(
    ("arguments", "shape", "message"),
    [
        ({"top_k": 0}, (2, 3), "top_k: 0 (or not given) is out of range; accepted: 1 to"),
        ({}, (), "the bottom is a scalar"),
        ({"top_k": 4}, (5, 3), "more than the 3 value(s) that a bottom of shape [5, 3] has after its first axis"),
        ({"top_k": 4, "axis": 1}, (5, 3), "has along axis 1; accepted: 1 to 3"),
        ({"axis": 2}, (5, 3), "axis 2 is out of range"),
        ({"axis": -3}, (5, 3), "axis -3 is out of range"),
    ],
)
def test_refusals(arguments: dict[str, Any], shape: Shape, message: str) -> None:
    refused(message, lambda: ArgMax(**arguments), shape)


def test_a_later_bottom_that_is_too_small_is_refused() -> None:
    layer = made(ArgMax(top_k=3), torch.zeros(2, 4))
    with pytest.raises(NetError, match=r"more than the 2 value"):
        layer(torch.zeros(2, 2))
