"""Convolution and its transpose, Deconvolution, over 0 to 3 spatial axes."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor

from caffe_compat.layers.base import Shape
from caffe_compat.layers.registry import register_layer
from caffe_compat.layers.sliding_kernel import SlidingKernel

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value


@register_layer("Convolution")
class Convolution(SlidingKernel):
    """y[n, o, p] = b[o] + sum over c, q of W[o, c, q] x[n, c, p * stride - pad + q * dilation], x being 0 outside

    c runs over the channels of o's group. Bottoms: (N, C, s_1, s_2, ...), any number, of one shape; with ``axis``
    other than 1, axis ``axis`` holds the channels, and all before it is batch. Tops: one for each bottom,
    (N, num_output, t_1, t_2, ...), t = (s + 2 pad - (dilation (kernel - 1) + 1)) / stride + 1, rounded down.
    Blobs: W (num_output, C / group, kernel...), b (num_output), none with ``bias_term: false``.
    Parameters: num_output and kernel_size (required), stride (1), pad (0), dilation (1), each once or once per spatial
    axis, or for 2 axes as kernel_h and kernel_w and so on; group (1), axis (1), bias_term (true), weight_filler and
    bias_filler (constant 0); force_nd_im2col makes no difference.
    Refused: both forms of a size, another count of sizes, a kernel or stride of 0, num_output or C not a multiple of
    group, bottoms of different shapes, an empty top, more than 3 spatial axes (Caffe takes any number).
    Differs from torch: a window larger than the bottom is taken, with zeros beyond, while less than a stride is
    missing; a dilation of 0 is taken, and adds up the taps.
    """

    def setup(self, *bottom_shapes: Shape) -> None:
        super().setup(*bottom_shapes)
        self.least = [self.extent(i) - 2 * pad for i, pad in enumerate(self.pad)]

    def weight_channels(self) -> tuple[int, int]:
        return self.num_output, self.channels // self.group

    def top_size(self, i: int, size: int) -> int:
        return int((size + 2 * self.pad[i] - self.extent(i)) / self.stride[i]) + 1  # towards 0, as C++ divides

    def overhang(self, i: int, size: int) -> int:
        """How far the one window along an axis reaches beyond the padded bottom."""
        return max(0, self.extent(i) - size - 2 * self.pad[i])

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        convolution = (F.conv1d, F.conv2d, F.conv3d)[x.dim() - 3]
        if any(map(operator.lt, x.shape[2:], self.least)):
            self.top_sizes(x.shape[2:])
            overhang = [self.overhang(i, size) for i, size in enumerate(x.shape[2:])]
            x = F.pad(x, [side for over in reversed(overhang) for side in (0, over)])
        return convolution(x, weight, bias, self.stride or 1, self.pad or 0, self.steps, self.group)

    def lower_convolve(
        self, g: GraphBuilder, x: Value, sizes: Sequence[int | None], weight: Value, bias: Value | None
    ) -> Value:
        ends = [pad + self.overhang(i, sizes[i] or self.extent(i)) for i, pad in enumerate(self.pad)]
        pads = [*self.pad, *ends] or [0, 0]
        return g.op("Conv", x, weight, bias, pads=pads, **self.window_attributes())


@register_layer("Deconvolution")
class Deconvolution(SlidingKernel):
    """y[n, o, p] = b[o] + sum over c, q, r of W[c, o, q] x[n, c, r], where r * stride - pad + q * dilation = p

    The gradient of Convolution with respect to its bottom, as a layer of its own; c runs over the channels of o's
    group. Bottoms, parameters and refusals are Convolution's. Tops: one for each bottom, (N, num_output, t_1, ...),
    t = stride (s - 1) + dilation (kernel - 1) + 1 - 2 pad.
    Blobs: W (C, num_output / group, kernel...), b (num_output), none with ``bias_term: false``.
    Differs from torch: a dilation of 0 is taken, and adds up the taps.
    """

    def setup(self, *bottom_shapes: Shape) -> None:
        super().setup(*bottom_shapes)
        short = [2 * pad + 1 - self.extent(i) for i, pad in enumerate(self.pad)]
        self.least = [1 - -missing // stride for missing, stride in zip(short, self.stride, strict=True)]

    def weight_channels(self) -> tuple[int, int]:
        return self.channels, self.num_output // self.group

    def top_size(self, i: int, size: int) -> int:
        return self.stride[i] * (size - 1) + self.extent(i) - 2 * self.pad[i]

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if any(map(operator.lt, x.shape[2:], self.least)):
            self.top_sizes(x.shape[2:])
        transposed = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[x.dim() - 3]
        return transposed(x, weight, bias, self.stride or 1, self.pad or 0, 0, self.group, self.steps)

    def lower_convolve(
        self, g: GraphBuilder, x: Value, sizes: Sequence[int | None], weight: Value, bias: Value | None
    ) -> Value:
        pads = [*self.pad] * 2 or [0, 0]
        return g.op("ConvTranspose", x, weight, bias, pads=pads, **self.window_attributes())
