"""Concat and Slice: axes, old names, sizes, and one as the inverse of the other."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from caffe_compat.errors import NetError
from caffe_compat.layers.concat import Concat, Slice
from tests.layers.checking import (
    check_channels_last,
    check_gradient,
    check_onnx,
    check_shapes,
    lowered,
    made,
    run_onnx,
    tops_of,
    values,
)

CONCAT: list[tuple[dict[str, int], list[tuple[int, ...]], int]] = [
    ({}, [(2, 3, 4, 5), (2, 1, 4, 5), (2, 2, 4, 5)], 1),
    ({"axis": 0}, [(2, 3), (1, 3)], 0),
    ({"axis": -1}, [(2, 3, 4), (2, 3, 1)], 2),
    ({"axis": -2}, [(2, 3), (4, 3)], 0),
    ({"concat_dim": 0}, [(2, 3), (4, 3)], 0),
    ({}, [(2, 3)], 1),
    ({}, [(2, 3), (2, 0)], 1),
    ({"axis": 0}, [(3,), (2,)], 0),
]
SLICE: list[tuple[dict[str, Any], tuple[int, ...], int, list[int]]] = [
    ({}, (2, 6, 3, 4), 1, [3, 3]),
    ({}, (2, 3), 1, [1, 1, 1]),
    ({}, (2, 3), 1, [3]),
    ({"axis": 0}, (6, 2), 0, [2, 2, 2]),
    ({"axis": -1, "slice_point": [1, 4]}, (2, 3, 6), 2, [1, 3, 2]),
    ({"axis": 0, "slice_point": [1]}, (3, 2), 0, [1, 2]),
    ({"slice_dim": 0}, (4, 3), 0, [2, 2]),
    ({"slice_dim": 1, "slice_point": [2]}, (4, 3), 1, [2, 1]),
    ({"slice_point": [3]}, (2, 3), 1, [3, 0]),
    ({"axis": 0}, (4,), 0, [2, 2]),
]


@pytest.mark.parametrize(("fields", "shapes", "axis"), CONCAT)
def test_concat(fields: dict[str, int], shapes: list[tuple[int, ...]], axis: int) -> None:
    bottoms = [values(*shape, seed=i) for i, shape in enumerate(shapes)]
    layer = made(Concat(**fields), *bottoms)
    top = layer(*bottoms)
    assert torch.equal(top, torch.cat(bottoms, axis))
    assert top.data_ptr() != bottoms[0].data_ptr()
    check_shapes(layer, *bottoms)
    check_channels_last(layer, *bottoms)
    assert check_onnx(layer, *bottoms) == ["Concat"]
    check_gradient(layer, *bottoms)


@pytest.mark.parametrize(("fields", "shape", "axis", "sizes"), SLICE)
def test_slice(fields: dict[str, Any], shape: tuple[int, ...], axis: int, sizes: list[int]) -> None:
    x = values(*shape)
    layer = made(Slice(**fields), x, tops=len(sizes))
    tops = tops_of(layer, x)
    assert [top.shape[axis] for top in tops] == sizes
    assert torch.equal(torch.cat(tops, axis), x)
    check_shapes(layer, x)
    check_channels_last(layer, x)
    check_onnx(layer, x)
    check_gradient(layer, x)


def test_slice_of_a_symbolic_axis_follows_it() -> None:
    """One model, other sizes of the axis: equal parts stay equal, the last part takes what is left."""
    for layer, tops in ((Slice(axis=0), 2), (Slice(axis=0, slice_point=[1]), 2)):
        model, _ = lowered(made(layer, values(4, 3), tops=tops), (values(4, 3),), 13, True, tops)
        x = values(6, 3)
        for ours, theirs in zip(run_onnx(model, (x,)), layer(x), strict=True):
            assert torch.equal(torch.from_numpy(ours), theirs)


def test_other_sizes_are_refused_when_they_come() -> None:
    layer = made(Concat(), values(2, 3), values(2, 4))
    with pytest.raises(NetError, match=r"bottom 0 has \[5, 3\], bottom 1 has \[2, 4\]"):
        layer(values(5, 3), values(2, 4))


@pytest.mark.parametrize(
    ("fields", "shapes", "message"),
    [
        ({"axis": 2}, [(2, 3), (2, 3)], "axis 2 is out of range"),
        ({"concat_dim": 2**32 - 1}, [(2, 3), (2, 3)], "axis 4294967295 is out of range"),
        ({}, [(3,), (3,)], "axis 1 is out of range"),
        ({}, [(2, 3, 4), (2, 3, 5)], r"but for axis 1: bottom 0 has \[2, 3, 4\], bottom 1 has \[2, 3, 5\]"),
        ({}, [(2, 3), (2, 3), (2, 3, 1)], r"bottom 2 has \[2, 3, 1\]"),
        ({"axis": 0, "concat_dim": 1}, [], "axis: 0 and concat_dim: 1 are both given; concat_dim is the old name"),
        ({"axis": 1, "concat_dim": 1}, [], "keep only one"),
    ],
)
def test_concat_refuses(fields: Any, shapes: Any, message: str) -> None:
    with pytest.raises(NetError, match=message):
        Concat(**fields).setup(*shapes)


@pytest.mark.parametrize(
    ("fields", "tops", "message"),
    [
        ({}, 2, r"axis 1 of size 5 does not divide into 2 equal tops; give 1 slice_point"),
        ({"slice_point": [1, 2]}, 2, r"slice_point has 2 value\(s\) for 2 top\(s\); give 1, or none"),
        ({"slice_point": [1]}, 1, r"slice_point has 1 value\(s\) for 1 top\(s\); give 0, or none"),
        ({"slice_point": [4, 2]}, 3, r"slice_point \[4, 2\] does not cut axis 1 of size 5 into 3 tops; each point"),
        ({"slice_point": [2, 2]}, 3, "must be greater than the one before"),
        ({"slice_point": [0]}, 2, "the first at least 1"),
        ({"slice_point": [6]}, 2, "the last at most 5"),
        ({"axis": 0, "slice_point": [1, 2]}, 3, "no more tops than elements"),
        ({"axis": 2}, 2, "axis 2 is out of range"),
        ({"axis": 0, "slice_dim": 0}, 2, "axis: 0 and slice_dim: 0 are both given"),
    ],
)
def test_slice_refuses(fields: Any, tops: int, message: str) -> None:
    with pytest.raises(NetError, match=message):
        made(Slice(**fields), values(2, 5), tops=tops)
