"""Crop: offsets, axes, references of other ranks, refusals, ONNX with a symbolic batch on a cropped axis."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from caffe_compat.errors import NetError
from caffe_compat.layers.crop import Crop
from tests.layers.checking import check_channels_last, check_onnx, check_shapes, made, values
from tests.layers.single import gradient_holds, refused

Shape = tuple[int, ...]
CASES: list[tuple[dict[str, Any], Shape, Shape, tuple[Any, ...]]] = [
    ({}, (2, 3, 6, 5), (7, 1, 4, 3), (slice(0, 2), slice(0, 3), slice(0, 4), slice(0, 3))),
    ({"offset": [1]}, (2, 3, 6, 7), (2, 3, 4, 5), (slice(0, 2), slice(0, 3), slice(1, 5), slice(1, 6))),
    ({"offset": [2, 0]}, (2, 3, 6, 7), (2, 3, 4, 7), (slice(0, 2), slice(0, 3), slice(2, 6), slice(0, 7))),
    ({"axis": 1, "offset": [1, 2, 0]}, (2, 4, 6, 5), (9, 2, 3, 4), (..., slice(1, 3), slice(2, 5), slice(0, 4))),
    ({"axis": -1}, (2, 3, 6), (2, 3, 4), (slice(0, 2), slice(0, 3), slice(0, 4))),
    ({"axis": 0, "offset": [1]}, (5, 6), (2, 3), (slice(1, 3), slice(1, 4))),
    ({"axis": 0, "offset": [0, 1]}, (2, 6), (2, 3), (slice(0, 2), slice(1, 4))),
    ({"axis": 1}, (2, 4), (3, 2, 9, 9), (slice(0, 2), slice(0, 2))),
    ({"axis": 1}, (2, 4), (2, 4), (slice(0, 2), slice(0, 4))),
    ({"axis": 1, "offset": [4]}, (2, 4), (2, 0), (slice(0, 2), slice(4, 4))),
]


@pytest.mark.parametrize(("arguments", "shape", "reference", "part"), CASES)
def test_value_shape_and_onnx(arguments: dict[str, Any], shape: Shape, reference: Shape, part: Any) -> None:
    x, size = values(*shape), torch.zeros(reference)
    layer = made(Crop(**arguments), x, size)
    assert torch.equal(layer(x, size), x[part])
    check_shapes(layer, x, size)
    check_channels_last(layer, x, size)
    check_onnx(layer, x, size)


def test_gradient() -> None:
    layer = made(Crop(offset=[1, 2]), torch.zeros(1, 2, 4, 5), torch.zeros(1, 2, 2, 3))
    size = torch.zeros(1, 2, 2, 3, dtype=torch.float64)
    layer.forward = lambda x: Crop.forward(layer, x, size)  # type: ignore[method-assign, assignment]
    gradient_holds(layer, (1, 2, 4, 5))


@pytest.mark.parametrize(
    ("arguments", "shape", "reference", "message"),
    [
        ({}, (3, 4), (3, 4), "axis 2 is out of range"),
        ({"offset": [1, 2, 3]}, (1, 2, 4, 4), (1, 2, 1, 1), "offset is given 3 time(s) for the 2 axes from axis 2 on"),
        ({"axis": 1, "offset": [1, 2]}, (1, 2, 4, 4), (1, 1, 1, 1), "accepted: none (0), once (for all), or 3 times"),
        ({}, (1, 2, 4, 4), (2, 2, 4), "the reference, of shape [2, 2, 4], lacks axes"),
        ({"offset": [2]}, (1, 1, 4, 4), (1, 1, 3, 3), "axis 2: the part of 3 from offset 2 on does not lie within"),
        ({"offset": [2**32 - 1]}, (1, 1, 4, 4), (1, 1, 3, 3), "from offset 4294967295 on does not lie within"),
    ],
)
def test_refusals(arguments: dict[str, Any], shape: Shape, reference: Shape, message: str) -> None:
    refused(message, lambda: Crop(**arguments), shape, reference)


def test_a_later_reference_that_is_too_large_is_refused() -> None:
    layer = made(Crop(axis=1), torch.zeros(2, 4), torch.zeros(2, 3))
    with pytest.raises(NetError, match="accepted: an offset of at most"):
        layer(torch.zeros(2, 4), torch.zeros(2, 5))
