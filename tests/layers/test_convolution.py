"""Convolution and Deconvolution against sums in a loop: sizes, axes, groups, refusals, ONNX."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch

from caffe_compat.errors import CannotLower, NetError
from caffe_compat.export.graph import GraphBuilder, Value
from caffe_compat.layers.convolution import Convolution, Deconvolution
from caffe_compat.layers.sliding_kernel import SlidingKernel
from tests.layers.single import built, exports, gradient_holds, keeps_format, refused, same

Shape = tuple[int, ...]


def taps(layer: SlidingKernel, narrow: Shape, wide: Shape) -> Any:
    """(position in the narrow blob, position in the wide one, tap of the kernel): what the docstrings' sums run over.

    The narrow blob is Convolution's top and Deconvolution's bottom.
    """
    for place in itertools.product(*map(range, narrow)):
        for tap in itertools.product(*map(range, layer.kernel)):
            moved = zip(place, layer.stride, layer.pad, tap, layer.dilation, strict=True)
            other = tuple(p * stride - pad + q * dilation for p, stride, pad, q, dilation in moved)
            if all(0 <= o < size for o, size in zip(other, wide, strict=True)):
                yield place, other, tap


def reference(layer: SlidingKernel, x: torch.Tensor) -> np.ndarray:
    """The formula of the docstring, one product at a time."""
    axis, group = layer.channel_axis, layer.group
    values = x.double().numpy().reshape(math.prod(x.shape[:axis]), *x.shape[axis:])
    weight = layer.weight.detach().double().numpy()
    sizes = tuple(layer.top_size(i, size) for i, size in enumerate(values.shape[2:]))
    top = np.zeros((len(values), layer.num_output, *sizes))
    transposed = isinstance(layer, Deconvolution)
    ins, outs = layer.channels // group, layer.num_output // group
    narrow, wide = (values.shape[2:], sizes) if transposed else (sizes, values.shape[2:])
    for (a, b, tap), o, c in itertools.product(taps(layer, narrow, wide), range(outs), range(ins)):
        source, target = (a, b) if transposed else (b, a)
        for g in range(group):
            w = weight[(g * ins + c, o, *tap)] if transposed else weight[(g * outs + o, c, *tap)]
            top[(slice(None), g * outs + o, *target)] += w * values[(slice(None), g * ins + c, *source)]
    if layer.bias_term:
        top += layer.bias.detach().double().numpy().reshape(-1, *[1] * len(sizes))
    return top.reshape(*x.shape[:axis], *top.shape[1:])


CASES: list[tuple[Shape, dict[str, Any]]] = [
    ((2, 3, 6, 5), {"num_output": 4, "kernel_size": 3}),
    ((2, 3, 6, 5), {"num_output": 4, "kernel_size": [3], "pad": [1], "stride": [2]}),
    ((1, 2, 7, 6), {"num_output": 3, "kernel_size": [2, 4], "pad": [0, 2], "stride": [1, 3], "dilation": [2, 1]}),
    ((1, 2, 7, 6), {"num_output": 3, "kernel_h": 3, "kernel_w": 1, "pad_h": 1, "stride_h": 2, "stride_w": 1}),
    ((1, 4, 5, 6), {"num_output": 6, "kernel_size": 2, "group": 2, "bias_term": False}),
    ((1, 4, 5, 6), {"num_output": 4, "kernel_size": 3, "group": 4, "force_nd_im2col": True}),
    ((2, 3, 9), {"num_output": 4, "kernel_size": 3, "pad": 1}),
    ((1, 2, 4, 5, 3), {"num_output": 3, "kernel_size": 2, "stride": 2, "pad": 1}),
    ((2, 2, 3, 8), {"num_output": 4, "kernel_size": 3, "axis": 2}),
    ((2, 2, 3, 8), {"num_output": 4, "kernel_size": 3, "axis": -2}),
    ((2, 7, 6), {"num_output": 4, "kernel_size": 3, "axis": 0}),
    ((3, 4), {"num_output": 6, "group": 2}),
    ((2, 3, 4), {"num_output": 5, "kernel_size": [3], "axis": -1}),
    ((1, 2, 1, 1), {"num_output": 3, "kernel_size": 1}),
    ((1, 2, 1, 3), {"num_output": 3, "kernel_size": 3, "pad": 1}),
    ((1, 2, 5, 4), {"num_output": 3, "kernel_size": 2, "dilation": 0}),
    ((0, 2, 5, 4), {"num_output": 3, "kernel_size": 2}),
    ((0, 2, 3, 4), {"num_output": 3, "kernel_size": 2, "axis": 2}),
]


@pytest.mark.parametrize("kind", [Convolution, Deconvolution])
@pytest.mark.parametrize(("shape", "arguments"), CASES)
def test_formula(kind: type[SlidingKernel], shape: Shape, arguments: dict[str, Any]) -> None:
    layer = built(kind(**arguments), shape)
    assert isinstance(layer, SlidingKernel)
    x = torch.randn(shape)
    expected = reference(layer, x)
    same(layer(x), expected)
    assert layer.top_shapes(shape) == [expected.shape]


def test_window_larger_than_the_bottom() -> None:
    """Caffe's division rounds towards 0: less than a stride short of a window still makes one."""
    layer = built(Convolution(2, kernel_size=3, stride=2), (1, 3, 2, 5))
    x = torch.randn(1, 3, 2, 5)
    same(layer(x), reference(layer, x))
    assert layer(x).shape == (1, 2, 1, 2)


def test_weights() -> None:
    assert [b.shape for b in Convolution(6, kernel_size=3, group=2).build((1, 4, 5, 5)).blobs] == [(6, 2, 3, 3), (6,)]
    assert [b.shape for b in Deconvolution(6, kernel_size=3, group=2).build((1, 4, 5, 5)).blobs] == [(4, 3, 3, 3), (6,)]
    assert Convolution(2, kernel_size=3, bias_term=False).build((1, 4, 5, 5)).blob_names == ["weight"]


def test_several_bottoms_share_the_weights() -> None:
    layer = built(Convolution(2, kernel_size=3), (2, 2, 5, 4), (2, 2, 5, 4))
    a, b = torch.randn(2, 2, 5, 4), torch.randn(2, 2, 5, 4)
    tops = layer(a, b)
    for top, bottom in zip(tops, (a, b), strict=True):
        same(top, reference(layer, bottom))


IMAGE = (2, 4, 7, 6)
REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("num_output: 0 (or not given) is out of range; accepted: 1 to 2147483647", {"num_output": 0}),
    ("num_output: 4294967295 is out of range", {"num_output": 2**32 - 1}),
    ("group: 0 (or not given) is out of range", {"group": 0}),
    ("num_output: 2 is not a multiple of group: 4", {"group": 4}),
    ("has 4 channels (axis 1); accepted: a multiple of group: 3", {"num_output": 6, "group": 3}),
    ("kernel_size is not given, the bottom has 2 spatial axes", {"kernel_size": None}),
    ("kernel_size is given 3 time(s), the bottom has 2 spatial axes", {"kernel_size": [3, 2, 1]}),
    ("both kernel_size and kernel_h or kernel_w are given; give kernel_size: 3 alone", {"kernel_h": 2, "kernel_w": 2}),
    ("kernel_w is not given, and is 0 then", {"kernel_size": None, "kernel_h": 3}),
    ("kernel_size: 0 (or not given) is out of range; accepted: 1", {"kernel_size": [3, 0]}),
    ("kernel_h and kernel_w are for 2 spatial axes, the bottom has 1", {"kernel_size": None, "kernel_h": 3, "axis": 2}),
    ("stride: 0 (or not given) is out of range; accepted: 1", {"stride": 0}),
    ("stride_w is not given, and is 0 then", {"stride_h": 2}),
    ("both stride and stride_h or stride_w are given", {"stride": 2, "stride_h": 2, "stride_w": 2}),
    ("stride is given 3 time(s)", {"stride": [1, 1, 1]}),
    ("both pad and pad_h or pad_w are given; give pad: 1, 2 alone", {"pad": [1, 2], "pad_h": 0}),
    ("pad is given 3 time(s), the bottom has 2 spatial axes; accepted: once (for all axes)", {"pad": [1] * 3}),
    ("dilation is given 3 time(s)", {"dilation": [1, 1, 1]}),
    ("axis 4 is out of range", {"axis": 4}),
    ("would make a top of [0, -1]: kernel [8, 8], stride [1, 1], pad [0, 0]", {"kernel_size": 8}),
]


@pytest.mark.parametrize(("message", "arguments"), REFUSED)
def test_refuses(message: str, arguments: dict[str, Any]) -> None:
    refused(message, lambda: Convolution(**({"num_output": 2, "kernel_size": 3} | arguments)), IMAGE)


def test_refuses_shapes() -> None:
    make = lambda: Convolution(2, kernel_size=2)  # noqa: E731 - one maker for all
    refused("bottom 1 has shape [2, 4, 6, 6], bottom 0 has [2, 4, 7, 6]", make, IMAGE, (2, 4, 6, 6))
    refused("4 spatial axes after axis 1 of a bottom of shape [1, 2, 3, 3, 3, 3]", make, (1, 2, 3, 3, 3, 3))
    refused("has 0 channels (axis 1)", make, (2, 0, 4, 5))
    refused("would make a top of [-1]", lambda: Deconvolution(2, kernel_size=1, pad=1), (2, 4, 1))
    large = lambda: Deconvolution(2, kernel_size=1, stride=2 * 10**9)  # noqa: E731
    refused("the top of shape [2, 2, 2000000001] would have", large, (2, 4, 2))
    refused("the top of shape [1, 2, 4000000001] would have", large, (1, 4, 3))
    refused(
        "the top of shape [1, 70000, 200, 200] would have", lambda: Convolution(70000, kernel_size=1), (1, 1, 200, 200)
    )
    with pytest.raises(NetError, match=r"shape \[2, 3, 7, 6\]; accepted: 4 axes, of which axis 1 has 4 channels"):
        built(make(), IMAGE)(torch.zeros(2, 3, 7, 6))
    with pytest.raises(NetError, match=r"spatial axes \[1, 6\] of the bottom would make a top of \[0, 5\]"):
        built(make(), IMAGE)(torch.zeros(2, 4, 1, 6))
    with pytest.raises(NetError, match=r"spatial axes \[1\] of the bottom would make a top of \[0\]"):
        built(Deconvolution(2, kernel_size=2, pad=1), (2, 4, 3))(torch.zeros(2, 4, 1))


@pytest.mark.parametrize("kind", [Convolution, Deconvolution])
@pytest.mark.parametrize(
    ("shape", "arguments"),
    [
        ((2, 4, 4, 3), {"num_output": 2, "kernel_size": [3, 2], "stride": 2, "pad": 1, "group": 2}),
        ((2, 3, 4), {"num_output": 2, "kernel_size": 2, "dilation": 0}),
        ((2, 2, 3, 4), {"num_output": 2, "kernel_size": 2, "axis": 2}),
    ],
)
def test_gradient(kind: type[SlidingKernel], shape: Shape, arguments: dict[str, Any]) -> None:
    gradient_holds(built(kind(**arguments), shape), shape)


@pytest.mark.parametrize("kind", [Convolution, Deconvolution])
def test_channels_last(kind: type[SlidingKernel]) -> None:
    keeps_format(built(kind(6, kernel_size=3, pad=1), IMAGE), torch.randn(IMAGE))


@pytest.mark.parametrize("kind", ["Convolution", "Deconvolution"])
@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((2, 3, 6, 5), "num_output: 4 kernel_size: 3 pad: 1 stride: 2"),
        ((1, 4, 7, 6), "num_output: 6 kernel_size: 2 kernel_size: 3 dilation: 2 group: 2 bias_term: false"),
        ((2, 3, 9), "num_output: 4 kernel_size: 3 pad: 1"),
        ((1, 2, 4, 5, 3), "num_output: 3 kernel_size: 2 stride: 2 pad: 1"),
        ((2, 2, 3, 8), "num_output: 4 kernel_size: 3 axis: 2"),
        ((3, 4), "num_output: 6 group: 2"),
        ((2, 3, 4), "num_output: 5 axis: -1"),
        ((2, 3, 5, 6), "num_output: 2 kernel_size: 2 dilation: 0 dilation: 1"),
        ((1, 3, 6, 4), "num_output: 9 group: 3 kernel_size: 1 stride: 2 pad: 1"),
        ((1, 3, 2, 5), "num_output: 2 kernel_size: 3 stride: 2"),
    ],
)
def test_onnx(kind: str, shape: Shape, text: str) -> None:
    exports(kind, f"convolution_param {{ {text} }}", shape)


def test_onnx_wants_fixed_sizes_behind_another_axis() -> None:
    layer = built(Convolution(2, kernel_size=3, axis=2), (2, 2, 3, 8))
    names = {id(blob): name for name, blob in zip(layer.blob_names, layer.blobs, strict=True)}
    with pytest.raises(CannotLower, match="from the channel axis on must be fixed"):
        layer.lower(GraphBuilder(13, names), Value("x", (None, 2, 3, None)))
    with pytest.raises(CannotLower, match="before the channel axis one at most may be symbolic"):
        layer.lower(GraphBuilder(13, names), Value("x", (None, None, 3, 8)))
