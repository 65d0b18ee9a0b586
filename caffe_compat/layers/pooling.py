"""Pooling: maximum, average and stochastic pooling over windows of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from caffe_compat.errors import CannotLower, NetError
from caffe_compat.layers import pool_methods
from caffe_compat.layers.arity import Between
from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.registry import register_layer
from caffe_compat.layers.windows import Grid, Window, check_size, pair

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value

METHODS = ("MAX", "AVE", "STOCHASTIC")


@register_layer("Pooling")
class Pooling(Layer):
    """y[n, c, p, q] = maximum, average or a random choice of x[n, c] over the window at (p, q)

    MAX: of equal values the first in row order counts, in the gradient too. AVE divides by the size of the window
    cut at H + pad and W + pad: padding at the border counts, what lies beyond it does not. STOCHASTIC: in TRAIN an
    element chosen with probability x / sum(x); in TEST sum(x^2) / sum(x), 0 where the sum is not positive; x >= 0.
    Bottom: (N, C, H, W). Top: (N, C, P, Q), P = (H + 2 pad - kernel) / stride + 1, rounded up, or down with
    round_mode FLOOR; if either axis is padded, a last window that begins beyond H + pad (W + pad) is dropped, on both
    axes. Second top (MAX only): the position h * W + w of the maximum, as a float.
    Parameters: pool (MAX), kernel_size or both kernel_h and kernel_w (required unless global_pooling, which takes the
    whole image), stride or stride_h and stride_w (1), pad or pad_h and pad_w (0), round_mode (CEIL).
    Refused: one of an _h and _w pair alone, or the pair beside the common field; a kernel or stride of 0; pad >=
    kernel; padding with STOCHASTIC; global_pooling with a kernel, pad or stride; a bottom without exactly 4 axes; a
    bottom too small for a window, in a pass where the top would have 0 rows or columns, else when the net is built.
    Differs from torch: MAX of a window without elements (no padding, stride > kernel) is -FLT_MAX, its position -1,
    AVE there 0, or NaN where it begins exactly at the end. Differs from Caffe: NaN passes MAX instead of losing
    every comparison, so does -infinity; STOCHASTIC runs on the CPU too.
    """

    autocasts = True
    blocks = ("pooling_param",)
    tops = Between(1, 2)
    saves_top = False
    export_note = "STOCHASTIC in TRAIN is random; H and W must be fixed unless global_pooling"

    def __init__(
        self,
        pool: str = "MAX",
        pad: int | None = None,
        pad_h: int | None = None,
        pad_w: int | None = None,
        kernel_size: int | None = None,
        kernel_h: int | None = None,
        kernel_w: int | None = None,
        stride: int | None = None,
        stride_h: int | None = None,
        stride_w: int | None = None,
        global_pooling: bool = False,
        round_mode: str = "CEIL",
    ) -> None:
        super().__init__()
        if pool not in METHODS:
            raise NetError(f"pool: {pool} is unknown; accepted: {', '.join(METHODS)}")
        if round_mode not in ("CEIL", "FLOOR"):
            raise NetError(f"round_mode: {round_mode} is unknown; accepted: CEIL, FLOOR")
        self.pool = pool
        self.ceil = round_mode == "CEIL"
        self.global_pooling = global_pooling
        self.kernel = self._kernel(kernel_size, kernel_h, kernel_w)
        self.stride = pair("stride", stride, stride_h, stride_w, default=1, least=1)
        self.pad = pair("pad", pad, pad_h, pad_w, default=0, least=0)
        self._check_pad()
        self.usual: Grid | None = None  # the windows over the bottom that the layer was built for

    def _kernel(self, size: int | None, h: int | None, w: int | None) -> tuple[int, int] | None:
        """The kernel; None with global_pooling. Raises NetError."""
        if self.global_pooling:
            if (size, h, w) != (None, None, None):
                raise NetError(
                    "global_pooling takes the whole image and no kernel; remove kernel_size, kernel_h and kernel_w, "
                    "or global_pooling"
                )
            return None
        if size is not None and (h is None or w is None):
            h = w = size  # Caffe does not mind one of kernel_h and kernel_w beside kernel_size
        elif size is not None:
            raise NetError(f"kernel_size: {size} and kernel_h and kernel_w are given; give one or the other")
        if h is None or w is None:
            raise NetError("no kernel is given; give kernel_size, or both kernel_h and kernel_w, or global_pooling")
        return check_size("kernel_size or kernel_h", h, 1), check_size("kernel_size or kernel_w", w, 1)

    def _check_pad(self) -> None:
        """Refuse padding and strides that Caffe refuses. Raises NetError."""
        if self.kernel is None:
            if self.pad != (0, 0) or self.stride != (1, 1):
                raise NetError(
                    f"global_pooling takes pad 0 and stride 1 only, found pad {list(self.pad)} and "
                    f"stride {list(self.stride)}; remove them, or global_pooling"
                )
            return
        if self.pad != (0, 0) and self.pool == "STOCHASTIC":
            raise NetError(f"pad {list(self.pad)} with STOCHASTIC; accepted: no padding, or the methods MAX and AVE")
        for axis, pad, kernel in zip(("height", "width"), self.pad, self.kernel, strict=True):
            if pad >= kernel:
                raise NetError(
                    f"pad {pad} is not below the kernel {kernel} along the {axis}: its first window would be empty; "
                    f"accepted: a pad of 0 to {kernel - 1}, or a larger kernel"
                )

    def setup(self, *bottom_shapes: Shape) -> None:
        (shape,) = bottom_shapes
        if len(shape) != 4:
            raise NetError(f"needs a bottom of 4 axes (batch, channels, height, width), found shape {list(shape)}")
        if self.num_tops > 1 and self.pool != "MAX":
            raise NetError(f"a second top, the position of the maximum, exists for MAX only, not for {self.pool}")
        self.usual = self._checked_grid(shape, 0)

    def _checked_grid(self, shape: Shape, least: int) -> Grid:
        """The windows over a bottom, ``least`` of them and channels or more. Raises NetError."""
        grid = self.grid(*shape[2:])
        counts = [grid.rows.number, grid.columns.number]
        if min(*counts, shape[1]) < least or 0 in grid.kernel:
            raise NetError(
                f"a bottom of shape {list(shape)} would make an empty top, {counts[0]} x {counts[1]}: "
                f"kernel {list(grid.kernel)}, stride {list(self.stride)}, pad {list(self.pad)} do not fit; "
                "give a larger bottom, or change one of these"
            )
        return grid

    def grid(self, height: int, width: int) -> Grid:
        """The windows over an image, by Caffe's rule of rounding and clipping."""
        if self.usual and (self.usual.rows.size, self.usual.columns.size) == (height, width):
            return self.usual
        kernels = self.kernel or (height, width)
        rows, columns = (self._windows(i, size, kernels[i]) for i, size in enumerate((height, width)))
        return Grid(rows, columns, self.ceil)

    def _windows(self, i: int, size: int, kernel: int) -> Window:
        stride, pad = self.stride[i], self.pad[i]
        room = size + 2 * pad - kernel
        count = (-(-room // stride) if self.ceil else room // stride) + 1
        if self.pad != (0, 0) and (count - 1) * stride >= size + pad:
            count -= 1
        return Window(size, kernel, stride, pad, count)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        grid = self._checked_grid(tuple(x.shape), 0 if x.is_meta else 1)
        if 0 in (grid.rows.number, grid.columns.number, x.shape[1]):  # Caffe builds such a net, but cannot run it
            empty = x.new_empty((*x.shape[:2], grid.rows.number, grid.columns.number))
            return (empty, empty) if self.num_tops > 1 else empty
        if self.pool == "MAX":
            with_position = self.num_tops > 1
            return pool_methods.max_pool_with_position(x, grid) if with_position else pool_methods.max_pool(x, grid)
        if self.pool == "AVE":
            return pool_methods.average_pool(x, grid)
        return pool_methods.draw(x, grid) if self.training else pool_methods.weighted_average(x, grid)

    def lower(self, g: GraphBuilder, x: Value) -> Value | tuple[Value, ...]:
        if self.pool == "STOCHASTIC" and self.training:
            raise CannotLower("STOCHASTIC pooling is random in the TRAIN phase; export the TEST phase")
        if self.global_pooling and self.num_tops == 1 and self.pool != "STOCHASTIC":
            return g.op("GlobalMaxPool" if self.pool == "MAX" else "GlobalAveragePool", x)
        if None in x.shape[2:]:
            raise CannotLower(f"the windows depend on height and width, symbolic in {list(x.shape)}; fix them")
        grid = self._checked_grid((1, 1, x.static(2), x.static(3)), 1)
        if self.pool == "MAX":
            return pool_methods.lower_max(g, x, grid, self.num_tops)
        if self.pool == "AVE":
            return pool_methods.lower_average(g, x, grid)
        return pool_methods.lower_weighted_average(g, x, grid)
