"""Im2col against the formula of its docstring in a loop; refusals; ONNX."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from caffe_compat.errors import CannotLower, NetError
from caffe_compat.export.graph import GraphBuilder, Value
from caffe_compat.layers.im2col import Im2col
from tests.layers.checking import check_channels_last, check_gradient, check_onnx, check_shapes, made, values
from tests.layers.single import refused

Shape = tuple[int, ...]


def reference(layer: Im2col, x: torch.Tensor) -> np.ndarray:
    """One element at a time."""
    axis = layer.channel_axis
    items = x.numpy().reshape(math.prod(x.shape[:axis]), *x.shape[axis:])
    sizes = items.shape[2:]
    counts = layer.counts(sizes)
    top = np.zeros((len(items), items.shape[1], *layer.kernel, *counts), np.float32)
    for place in itertools.product(*map(range, (*layer.kernel, *counts))):
        taps, windows = place[: len(sizes)], place[len(sizes) :]
        moved = zip(windows, layer.stride, layer.pad, taps, layer.dilation, strict=True)
        source = [p * stride - pad + q * dilation for p, stride, pad, q, dilation in moved]
        if all(0 <= s < size for s, size in zip(source, sizes, strict=True)):
            top[(slice(None), slice(None), *place)] = items[(slice(None), slice(None), *source)]
    return top.reshape(*x.shape[:axis], x.shape[axis] * math.prod(layer.kernel), *counts)


CASES: list[tuple[Shape, dict[str, Any]]] = [
    ((2, 3, 6, 5), {"kernel_size": 3}),
    ((2, 3, 6, 5), {"kernel_size": [3], "stride": [2], "pad": [1]}),
    ((1, 2, 6, 5), {"kernel_h": 2, "kernel_w": 3, "pad_h": 1, "pad_w": 2, "stride_h": 2, "stride_w": 1, "dilation": 2}),
    ((2, 2, 6, 7), {"kernel_size": [2, 3], "stride": [3, 2], "pad": [0, 4], "dilation": [1, 3]}),
    ((2, 2, 7), {"kernel_size": 4, "pad": 2}),
    ((1, 2, 4, 5, 3), {"kernel_size": 2, "stride": 2, "pad": [1, 0, 2]}),
    ((1, 1, 3, 2, 3, 2), {"kernel_size": [2, 1, 2, 2]}),
    ((2, 3, 4, 5), {"kernel_size": 2, "axis": 2}),
    ((3, 4, 5), {"kernel_size": [2, 3], "axis": 0}),
    ((2, 3, 4, 5), {"kernel_size": 1}),
    ((2, 3, 3, 3), {"kernel_size": 4, "stride": 3}),  # the window overhangs by less than a stride
    ((2, 3, 4, 5), {"kernel_size": 3, "dilation": 0}),
    ((2, 1, 5, 4), {"kernel_size": 1, "stride": 3, "pad": 1}),
]


@pytest.mark.parametrize(("shape", "arguments"), CASES)
def test_value_gradient_shape_and_onnx(shape: Shape, arguments: dict[str, Any]) -> None:
    x = values(*shape)
    layer = made(Im2col(**arguments), x)
    np.testing.assert_array_equal(layer(x).numpy(), reference(layer, x))
    check_shapes(layer, x)
    check_channels_last(layer, x)
    check_onnx(layer, x)
    check_gradient(layer, x)


def test_agrees_with_unfold() -> None:
    x = values(2, 3, 6, 5)
    layer = made(Im2col(kernel_size=3, stride=2, pad=1), x)
    assert torch.equal(layer(x).flatten(2), F.unfold(x, 3, stride=2, padding=1))


def test_infinities_stay_in_their_place() -> None:
    x = torch.tensor([[[1.0, math.inf, 3.0]]])
    assert made(Im2col(kernel_size=2), x)(x).tolist() == [[[1, math.inf], [math.inf, 3]]]


@pytest.mark.parametrize(
    ("arguments", "shape", "message"),
    [
        ({"kernel_size": 2}, (2, 3), "has no spatial axis after axis 1"),
        ({"kernel_size": 2, "axis": 4}, (2, 3, 4, 5), "axis 4 is out of range"),
        ({}, (2, 3, 4, 5), "kernel_size is not given"),
        ({"kernel_size": 0}, (2, 3, 4, 5), "kernel_size: 0 (or not given) is out of range"),
        ({"kernel_size": 2, "stride": 0}, (2, 3, 4, 5), "stride: 0 (or not given) is out of range"),
        ({"kernel_size": [2, 2, 2]}, (2, 3, 4, 5), "kernel_size is given 3 time(s)"),
        ({"kernel_size": 2, "kernel_h": 2}, (2, 3, 4, 5), "both kernel_size and kernel_h or kernel_w are given"),
        ({"kernel_h": 2}, (2, 3, 4, 5), "kernel_w is not given"),
        ({"kernel_h": 2, "kernel_w": 2}, (2, 3, 4), "kernel_h and kernel_w are for 2 spatial axes"),
        ({"kernel_size": 5}, (2, 3, 4, 5), "would make a top of [0, 1]"),
        ({"kernel_size": 1, "stride": 2**31 - 1, "pad": 2**30}, (1, 1, 4, 4), "the padded bottom of shape"),
        ({"kernel_size": 1000, "pad": 1000}, (1, 1, 4, 4), "the top of shape"),
    ],
)
def test_refusals(arguments: dict[str, Any], shape: Shape, message: str) -> None:
    refused(message, lambda: Im2col(**arguments), shape)


def test_a_bottom_of_other_axes_is_refused() -> None:
    layer = made(Im2col(kernel_size=2), torch.zeros(1, 2, 3, 4))
    with pytest.raises(NetError, match=r"accepted: 4 axes"):
        layer(torch.zeros(1, 2, 3))


def test_symbolic_spatial_axes_cannot_be_lowered() -> None:
    layer = made(Im2col(kernel_size=2), torch.zeros(1, 2, 3, 4))
    with pytest.raises(CannotLower, match="spatial axes, symbolic"):
        layer.lower(GraphBuilder(17, {}), Value("x", (None, 2, None, 4)))
