"""Flatten and Reshape: shapes, and what a symbolic batch becomes in ONNX."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from caffe_compat.errors import NetError
from caffe_compat.layers.base import Layer
from caffe_compat.layers.reshape import Flatten, Reshape
from tests.layers.checking import (
    check_channels_last,
    check_gradient,
    check_onnx,
    check_shapes,
    lowered,
    made,
    run_onnx,
    values,
)

X = (2, 3, 4, 5)
CASES: list[tuple[Layer, tuple[int, ...], tuple[int, ...]]] = [
    (Flatten(), X, (2, 60)),
    (Flatten(), (2, 3), (2, 3)),
    (Flatten(axis=2), X, (2, 3, 20)),
    (Flatten(axis=0), X, (120,)),
    (Flatten(axis=0, end_axis=1), X, (6, 4, 5)),
    (Flatten(axis=1, end_axis=2), X, (2, 12, 5)),
    (Flatten(axis=-3, end_axis=-2), X, (2, 12, 5)),
    (Flatten(axis=2, end_axis=1), X, (2, 3, 1, 4, 5)),
    (Flatten(axis=1, end_axis=0), X, (2, 1, 3, 4, 5)),
    (Flatten(axis=0), (7,), (7,)),
    (Flatten(), (0, 3, 2), (0, 6)),
    (Reshape([0, -1]), X, (2, 60)),
    (Reshape([6, 20]), X, (6, 20)),
    (Reshape([-1]), X, (120,)),
    (Reshape([0, 0, 20]), X, (2, 3, 20)),
    (Reshape([0, -1, 0, 0]), X, X),
    (Reshape([-1, 2], axis=1), X, (2, 30, 2)),
    (Reshape([0, -1], axis=1), X, (2, 3, 20)),
    (Reshape([-1], axis=1, num_axes=2), X, (2, 12, 5)),
    (Reshape([2, 6], axis=1, num_axes=2), X, (2, 2, 6, 5)),
    (Reshape([1], axis=1, num_axes=0), X, (2, 1, 3, 4, 5)),
    (Reshape([1, 1], axis=-1), X, (2, 3, 4, 5, 1, 1)),
    (Reshape([1], axis=4, num_axes=0), X, (2, 3, 4, 5, 1)),
    (Reshape([4, 5], axis=-3), X, (2, 3, 4, 5)),
    (Reshape([1], axis=0, num_axes=0), X, (1, 2, 3, 4, 5)),
    (Reshape([1, -1], axis=0, num_axes=0), X, (1, 1, 2, 3, 4, 5)),
    (Reshape([], axis=0, num_axes=1), (1, 3), (3,)),
    (Reshape(), (1, 1), ()),
    (Reshape([1, -1]), (), (1, 1)),
    (Reshape([2, 3, 1], axis=1), (4, 6), (4, 2, 3, 1)),
]


@pytest.mark.parametrize(("layer", "shape", "top"), CASES)
def test_value_gradient_shape_and_onnx(layer: Layer, shape: tuple[int, ...], top: tuple[int, ...]) -> None:
    x = values(*shape)
    y = made(layer, x)(x)
    assert tuple(y.shape) == top
    assert torch.equal(y.flatten(), x.flatten())
    check_shapes(layer, x)
    check_channels_last(layer, x)
    check_onnx(layer, x)
    check_gradient(layer, x)


@pytest.mark.parametrize(
    ("layer", "kinds"),
    [
        (Flatten(), ["Flatten"]),
        (Flatten(axis=2), ["Reshape"]),
        (Reshape([0, -1]), ["Reshape"]),
        (Reshape([1], axis=0, num_axes=0), ["Reshape"]),
    ],
)
def test_the_batch_stays_symbolic(layer: Layer, kinds: list[str]) -> None:
    """One model runs at every batch size."""
    model, found = lowered(made(layer, values(*X)), (values(*X),), 13, True, 1)
    assert found == kinds
    for batch in (1, 5):
        x = values(batch, *X[1:])
        (top,) = run_onnx(model, (x,))
        assert torch.equal(torch.from_numpy(top), layer(x))


def test_another_batch_size_is_reshaped_by_the_same_rule() -> None:
    layer = made(Reshape([0, -1, 2]), values(3, 4))
    assert layer(values(7, 4)).shape == (7, 2, 2)
    with pytest.raises(NetError, match=r"cannot hold a bottom of shape \[7, 3\]"):
        layer(values(7, 3))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Flatten(axis=4), r"axis 4 is out of range for a bottom of shape \[2, 3, 4, 5\]; accepted: -4 to 3"),
        (Flatten(end_axis=4), "axis 4 is out of range"),
        (Flatten(axis=-5), "axis -5 is out of range"),
        (Flatten(axis=3, end_axis=1), r"end_axis: 1 lies before axis: 3 .*exchange them"),
        (
            Reshape([3, 3]),
            r"shape \[3, 3\] from axis 0 on cannot hold .*\[2, 3, 4, 5\].* make 9 element\(s\), .* has 120",
        ),
        (Reshape([7, -1]), r"the given sizes make 7 element\(s\), the bottom has 120"),
        (Reshape([0, 0, 0, 0, 0]), r"copies \(dim: 0\) an axis that the bottom, .* does not have"),
        (Reshape([0], axis=-1), "does not have; give that dim as a number or -1"),
        (Reshape([1], axis=5), "axis: 5 is out of range for a bottom of 4 axes; accepted: -5 to 4"),
        (Reshape([1], axis=-6), "axis: -6 is out of range"),
        (Reshape([1], axis=2, num_axes=3), "num_axes: 3 from axis 2 on is out of range .*; accepted: 0 to 2, or -1"),
        (Reshape([1], num_axes=-2), "num_axes: -2 from axis 0 on is out of range"),
        (Reshape([2**40, 2**40]), "cannot hold"),
        (Reshape(), "the bottom has 120"),
    ],
)
def test_refusals(layer: Layer, message: str) -> None:
    with pytest.raises(NetError, match=message):
        layer.setup(X)


@pytest.mark.parametrize("dims", [[-1, -1], [2, -2], [-1, 3, -1]])
def test_refuses_impossible_dims(dims: list[int]) -> None:
    with pytest.raises(NetError, match=r"is not possible; accepted dims: positive sizes, 0 .*at most one -1"):
        Reshape(dims)


def test_refuses_to_infer_from_nothing() -> None:
    with pytest.raises(NetError, match=r"make 0 element\(s\)"):
        Reshape([0, -1]).setup((0, 3))


def test_nothing_is_done_in_place() -> None:
    classes: list[Any] = [Flatten, Reshape]
    assert all(cls.allows_inplace is False and cls.saves_top for cls in classes)
