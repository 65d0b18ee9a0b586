"""Im2col: the windows that a convolution sees, as channels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from caffe_compat.errors import CannotLower, NetError
from caffe_compat.layers.base import Layer, Shape, canonical_axis
from caffe_compat.layers.fillers import Filler
from caffe_compat.layers.limits import check_blob
from caffe_compat.layers.registry import register_layer
from caffe_compat.layers.windows import per_axis

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value

Sizes = int | Sequence[int] | None


@register_layer("Im2col")
class Im2col(Layer):
    """y[n, (c, q), p] = x[n, c, p * stride - pad + q * dilation], x being 0 outside

    q runs over the taps of the kernel, p over the windows, both in row order. Bottom: (N, C, s_1, s_2, ...); with
    ``axis`` other than 1, axis ``axis`` holds the channels, and all before it is kept. Top: (N, C * taps, t_1, ...),
    t = (s + 2 pad - (dilation (kernel - 1) + 1)) / stride + 1, rounded towards 0.

    convolution_param: kernel_size (required), stride (1), pad (0), dilation (1), each once or once per spatial axis,
    or for 2 axes as kernel_h and kernel_w and so on; axis (1). The other fields make no difference.
    Refused: no spatial axis, both forms of a size, another count of sizes, a kernel or stride of 0, an empty top.
    Differs from torch: unfold has 2 spatial axes and joins the windows into one; here a window larger than the bottom
    is taken, with zeros beyond, while less than a stride is missing, and so is a dilation of 0.
    """

    blocks = ("convolution_param",)
    export_note = "the spatial axes must be fixed"

    def __init__(
        self,
        num_output: int = 0,
        bias_term: bool = True,
        pad: Sizes = None,
        kernel_size: Sizes = None,
        stride: Sizes = None,
        dilation: Sizes = None,
        pad_h: int | None = None,
        pad_w: int | None = None,
        kernel_h: int | None = None,
        kernel_w: int | None = None,
        stride_h: int | None = None,
        stride_w: int | None = None,
        group: int = 1,
        weight_filler: Filler | None = None,
        bias_filler: Filler | None = None,
        axis: int = 1,
        force_nd_im2col: bool = False,
    ) -> None:
        super().__init__()
        self.axis = axis
        self._kernel = (kernel_size, kernel_h, kernel_w)
        self._stride = (stride, stride_h, stride_w)
        self._pad = (pad, pad_h, pad_w)
        self._dilation = dilation

    def setup(self, *bottom_shapes: Shape) -> None:
        (shape,) = bottom_shapes
        self.channel_axis = canonical_axis(self.axis, shape)
        axes = len(shape) - self.channel_axis - 1
        if axes < 1:
            raise NetError(
                f"a bottom of shape {list(shape)} has no spatial axis after axis {self.channel_axis}; accepted: at "
                "least one, so give more axes or a smaller axis"
            )
        self.kernel = per_axis("kernel_size", *self._kernel, axes, least=1, default=None, prefix="kernel")
        self.stride = per_axis("stride", *self._stride, axes, least=1, default=1)
        self.pad = per_axis("pad", *self._pad, axes, least=0, default=0)
        self.dilation = per_axis("dilation", self._dilation, None, None, axes, least=0, default=1)
        sizes = shape[self.channel_axis + 1 :]
        padded = [size + begin + end for size, (begin, end) in zip(sizes, self.pads(sizes), strict=True)]
        channels = shape[self.channel_axis] * math.prod(self.kernel)
        check_blob("the padded bottom", [*shape[: self.channel_axis + 1], *padded])
        check_blob("the top", [*shape[: self.channel_axis], channels, *self.counts(sizes)])

    def counts(self, sizes: Sequence[int]) -> list[int]:
        """The number of windows along each spatial axis of these sizes. Raises NetError where there is none."""
        counts = [
            int((size + 2 * pad - extent) / stride) + 1  # towards 0, as C++ divides
            for size, pad, extent, stride in zip(sizes, self.pad, self.extents, self.stride, strict=True)
        ]
        if min(counts) < 1:
            raise NetError(
                f"the spatial axes {list(sizes)} of the bottom would make a top of {counts}: "
                f"kernel {list(self.kernel)}, stride {list(self.stride)}, pad {list(self.pad)}, "
                f"dilation {list(self.dilation)} do not fit; "
                "give a larger bottom, or change one of these"
            )
        return counts

    @property
    def extents(self) -> list[int]:
        """How far the dilated kernel reaches along each spatial axis."""
        return [d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel, strict=True)]

    def pads(self, sizes: Sequence[int]) -> list[tuple[int, int]]:
        """What each spatial axis needs before and behind, so that its windows are complete."""
        reaches = [(n - 1) * s + e for n, s, e in zip(self.counts(sizes), self.stride, self.extents, strict=True)]
        return [(pad, max(0, r - size - pad)) for pad, r, size in zip(self.pad, reaches, sizes, strict=True)]

    def forward(self, x: Tensor) -> Tensor:
        first = self.channel_axis + 1
        if x.dim() != first + len(self.kernel):
            raise NetError(f"the bottom has shape {list(x.shape)}; accepted: {first + len(self.kernel)} axes")
        sizes, lead, rank = x.shape[first:], x.shape[: first - 1], x.dim()
        channels = x.shape[first - 1] * math.prod(self.kernel)
        x = F.pad(x, [side for sides in reversed(self.pads(sizes)) for side in sides])
        for i, (kernel, dilation) in enumerate(zip(self.kernel, self.dilation, strict=True)):
            x = x.unfold(first + i, self.extents[i], self.stride[i])
            x = x[..., ::dilation] if dilation else x.expand(*x.shape[:-1], kernel)
        x = x.permute(*range(first), *range(rank, x.dim()), *range(first, rank))
        return x.reshape(*lead, channels, *self.counts(sizes))

    def lower(self, g: GraphBuilder, x: Value) -> Value:
        first, axes = self.channel_axis + 1, len(self.kernel)
        if None in x.shape[first:]:
            raise CannotLower(f"the windows depend on the spatial axes, symbolic in {list(x.shape)}; fix them")
        sizes = [x.static(first + i) for i in range(axes)]
        begins, ends = zip(*self.pads(sizes), strict=True)
        y = g.pad(x, [*[0] * first, *begins, *[0] * first, *ends])
        counts = self.counts(sizes)
        for i in reversed(range(axes)):  # axis i becomes two: taps, windows
            taps = torch.arange(self.kernel[i])[:, None] * self.dilation[i] + torch.arange(counts[i]) * self.stride[i]
            y = g.op("Gather", y, g.const(taps.numpy(), "int64"), axis=first + i)
        if axes > 1:
            windows = range(first, first + 2 * axes)
            y = g.transpose(y, (*range(first), *windows[::2], *windows[1::2]))
        channels = x.shape[first - 1]
        columns = -1 if channels is None else channels * math.prod(self.kernel)
        return g.reshape(y, [*[0] * (first - 1), columns, *counts])
