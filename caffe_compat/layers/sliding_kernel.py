"""What Convolution and Deconvolution share: parameters, blobs, and everything about axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from caffe_compat.errors import CannotLower, NetError
from caffe_compat.layers.arity import AtLeast, SameAsBottoms
from caffe_compat.layers.base import Layer, Shape, canonical_axis
from caffe_compat.layers.fillers import Filler
from caffe_compat.layers.limits import check_blob
from caffe_compat.layers.windows import check_size, per_axis

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value

Sizes = int | Sequence[int] | None


class SlidingKernel(Layer):
    """What Convolution and Deconvolution share: the parameters, the blobs, and the axes before the channels.

    A subclass gives the size of the top and the mathematics for one batch axis and 1 to 3 spatial axes.
    """

    autocasts = True
    blocks = ("convolution_param",)
    bottoms = AtLeast(1)
    tops = SameAsBottoms()
    saves_top = False
    weight: Tensor
    bias: Tensor

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
        self.num_output = check_size("num_output", num_output, 1)
        self.group = check_size("group", group, 1)
        if num_output % group:
            raise NetError(f"num_output: {num_output} is not a multiple of group: {group}; make it one")
        self.bias_term = bias_term
        self.axis = axis
        self.weight_filler = weight_filler
        self.bias_filler = bias_filler
        self._kernel = (kernel_size, kernel_h, kernel_w)
        self._stride = (stride, stride_h, stride_w)
        self._pad = (pad, pad_h, pad_w)
        self._dilation = dilation

    # ---- building

    def setup(self, *bottom_shapes: Shape) -> None:
        shape = bottom_shapes[0]
        self.channel_axis = canonical_axis(self.axis, shape)
        self.spatial_axes = len(shape) - self.channel_axis - 1
        if self.spatial_axes > 3:
            raise NetError(
                f"{self.spatial_axes} spatial axes after axis {self.channel_axis} of a bottom of shape {list(shape)}; "
                "accepted: 0 to 3. A larger axis takes in fewer: it counts the axes before it as batch"
            )
        self.kernel = per_axis("kernel_size", *self._kernel, self.spatial_axes, least=1, default=None, prefix="kernel")
        self.stride = per_axis("stride", *self._stride, self.spatial_axes, least=1, default=1)
        self.pad = per_axis("pad", *self._pad, self.spatial_axes, least=0, default=0)
        self.dilation = per_axis("dilation", self._dilation, None, None, self.spatial_axes, least=0, default=1)
        self.steps = [d or 1 for d in self.dilation] or [1]
        self.stacked = [2 + i for i, d in enumerate(self.dilation) if d == 0]
        self.channels = shape[self.channel_axis]
        if self.channels == 0 or self.channels % self.group:
            raise NetError(
                f"the bottom of shape {list(shape)} has {self.channels} channels (axis {self.channel_axis}); "
                f"accepted: a multiple of group: {self.group}"
            )
        self._check_shapes(bottom_shapes)
        self.add_blob("weight", (*self.weight_channels(), *self.kernel), self.weight_filler)
        if self.bias_term:
            self.add_blob("bias", (self.num_output,), self.bias_filler)

    def _check_shapes(self, shapes: Sequence[Shape]) -> None:
        """All bottoms share one shape, and its top is one that Caffe can hold. Raises NetError."""
        for i, shape in enumerate(shapes):
            if shape != shapes[0]:
                raise NetError(f"bottom {i} has shape {list(shape)}, bottom 0 has {list(shapes[0])}; make them equal")
        spatial = shapes[0][self.channel_axis + 1 :]
        check_blob("the top", [*shapes[0][: self.channel_axis], self.num_output, *self.top_sizes(spatial)])

    def top_sizes(self, spatial: Sequence[int]) -> list[int]:
        """The spatial axes of the top for those of a bottom. Raises NetError where it would be empty."""
        top = [self.top_size(i, size) for i, size in enumerate(spatial)]
        if any(size < 1 for size in top):
            raise NetError(
                f"the spatial axes {list(spatial)} of the bottom would make a top of {top}: "
                f"kernel {list(self.kernel)}, stride {list(self.stride)}, pad {list(self.pad)}, "
                f"dilation {list(self.dilation)} do not fit; "
                "give a larger bottom, or change one of these"
            )
        return top

    def weight_channels(self) -> tuple[int, int]:
        """The first two axes of the weights."""
        raise NotImplementedError

    def top_size(self, i: int, size: int) -> int:
        """The size of the top along spatial axis ``i``."""
        raise NotImplementedError

    def extent(self, i: int) -> int:
        """How far the dilated kernel reaches along spatial axis ``i``."""
        return self.dilation[i] * (self.kernel[i] - 1) + 1

    # ---- mathematics

    def forward(self, *bottoms: Tensor) -> Tensor | tuple[Tensor, ...]:
        return self._one(bottoms[0]) if len(bottoms) == 1 else tuple(self._one(x) for x in bottoms)

    def _one(self, x: Tensor) -> Tensor:
        axis, shape = self.channel_axis, x.shape
        if len(shape) != axis + 1 + self.spatial_axes or shape[axis] != self.channels:
            raise NetError(
                f"the bottom has shape {list(shape)}; accepted: {axis + 1 + self.spatial_axes} axes, of which axis "
                f"{axis} has {self.channels} channels"
            )
        if axis != 1:
            x = x.reshape(math.prod(shape[:axis]), *shape[axis:])
        y = self.convolve(x if self.spatial_axes else x.unsqueeze(-1), *self._coefficients())
        if axis != 1 or not self.spatial_axes:
            y = y.reshape(*shape[:axis], *y.shape[1 : 2 + self.spatial_axes])
        return y

    def _coefficients(self) -> tuple[Tensor, Tensor | None]:
        """Weights and bias as torch wants them: a kernel axis at least; taps that dilation 0 stacks are one tap."""
        weight = self.weight if self.spatial_axes else self.weight.unsqueeze(-1)
        if self.stacked:
            weight = weight.sum(self.stacked, keepdim=True)
        return weight, self.bias if self.bias_term else None

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The layer for one batch axis and 1 to 3 spatial axes."""
        raise NotImplementedError

    def lower(self, g: GraphBuilder, *bottoms: Value) -> Value | tuple[Value, ...]:
        weight = g.param(self.weight) if self.spatial_axes else g.unsqueeze(g.param(self.weight), 2)
        if self.stacked:
            weight = g.reduce("Sum", weight, self.stacked)
        bias = g.param(self.bias) if self.bias_term else None
        tops = tuple(self._lower_one(g, x, weight, bias) for x in bottoms)
        return tops if len(tops) > 1 else tops[0]

    def _lower_one(self, g: GraphBuilder, x: Value, weight: Value, bias: Value | None) -> Value:
        lead, item = x.shape[: self.channel_axis], x.shape[self.channel_axis :]
        flat = x if self.channel_axis == 1 else g.reshape(x, [-1, *_static(item)])
        flat = flat if self.spatial_axes else g.unsqueeze(flat, 2)
        y = self.lower_convolve(g, flat, item[1:], weight, bias)
        y = y if self.spatial_axes else g.squeeze(y, 2)
        if self.channel_axis == 1:
            return y
        sizes = [self.top_size(i, size) for i, size in enumerate(_static(item[1:]))]
        return g.reshape(y, [*_one_unknown(lead), self.num_output, *sizes])

    def lower_convolve(
        self, g: GraphBuilder, x: Value, sizes: Sequence[int | None], weight: Value, bias: Value | None
    ) -> Value:
        """``convolve`` in ONNX; ``sizes``: those of the bottom's spatial axes."""
        raise NotImplementedError

    def window_attributes(self) -> dict[str, Any]:
        """The attributes that ONNX's Conv and ConvTranspose share, without the pads."""
        kernel = [1 if d == 0 else k for k, d in zip(self.kernel, self.dilation, strict=True)]
        return {
            "kernel_shape": kernel or [1],
            "strides": list(self.stride) or [1],
            "dilations": self.steps,
            "group": self.group,
        }


def _static(sizes: Sequence[int | None]) -> list[int]:
    """``sizes``, none of which may be symbolic. Raises CannotLower."""
    if None in sizes:
        raise CannotLower(f"sizes {list(sizes)} from the channel axis on must be fixed where it is not axis 1")
    return [size for size in sizes if size is not None]


def _one_unknown(sizes: Sequence[int | None]) -> list[int]:
    """``sizes`` as dims of a Reshape: at most one may be symbolic. Raises CannotLower."""
    if list(sizes).count(None) > 1:
        raise CannotLower(f"of the sizes {list(sizes)} before the channel axis one at most may be symbolic")
    return [-1 if size is None else size for size in sizes]
