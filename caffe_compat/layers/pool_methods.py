"""The three methods of Pooling, each in torch and, under it, in ONNX. Pooling's docstring has the formulas."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from caffe_compat.layers.windows import Grid, Window

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value

LOWEST = torch.finfo(torch.float32).min
"""-FLT_MAX: what Caffe's maximum begins with."""


def max_pool(x: Tensor, grid: Grid) -> Tensor:
    by_rows, agrees = _lies_in_rows(x), torch_agrees(grid)
    if by_rows and not (x.requires_grad and torch.is_grad_enabled()):
        lowest = -math.inf if agrees else _lowest(x)
        return _running_max(_running_max(x, 2, grid.rows, lowest), 3, grid.columns, lowest)
    if by_rows and agrees:
        top: Tensor = _ChannelsLastMax.apply(x, grid.kernel, grid.stride, grid.pad, grid.ceil)[0]
        return top
    if agrees:
        return F.max_pool2d(x, grid.kernel, grid.stride, grid.pad, ceil_mode=grid.ceil)
    return F.max_pool2d(_padded(x, grid, _lowest(x)), grid.kernel, grid.stride)


def _lies_in_rows(x: Tensor) -> bool:
    """On a CPU, in rows: then torch's kernel, element by element, is several times slower than the ways below."""
    return x.device.type == "cpu" and x.is_floating_point() and x.is_contiguous() and not torch.compiler.is_compiling()


class _ChannelsLastMax(torch.autograd.Function):
    """The maxima and their positions by torch's kernel for channels_last, with all else in rows."""

    @staticmethod
    def forward(x: Tensor, kernel: Any, stride: Any, pad: Any, ceil: bool) -> tuple[Tensor, Tensor]:
        turned = x.contiguous(memory_format=torch.channels_last)
        top, index = F.max_pool2d(turned, kernel, stride, pad, ceil_mode=ceil, return_indices=True)
        return top.contiguous(), index.contiguous()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.save_for_backward(inputs[0], output[1])
        ctx.mark_non_differentiable(output[1])
        ctx.windows = inputs[1:]

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        x, index = ctx.saved_tensors
        kernel, stride, pad, ceil = ctx.windows
        backward = torch.ops.aten.max_pool2d_with_indices_backward
        return backward(grad.contiguous(), x, kernel, stride, pad, (1, 1), ceil, index), None, None, None, None


def _running_max(x: Tensor, axis: int, windows: Window, lowest: float) -> Tensor:
    """Maxima over windows along one axis: each of a window's places is one pass over whole rows."""
    top = x.new_full((*x.shape[:axis], windows.number, *x.shape[axis + 1 :]), lowest)
    for place in range(windows.kernel):
        offset, stride = place - windows.pad, windows.stride
        first = max(0, -(offset // stride))
        count = min(windows.number, (windows.size - 1 - offset) // stride + 1) - first
        if count > 0:
            start = first * stride + offset
            part = top.narrow(axis, first, count)
            rows = slice(start, start + (count - 1) * stride + 1, stride)
            torch.maximum(part, x[:, :, rows] if axis == 2 else x[:, :, :, rows], out=part)
    return top


def max_pool_with_position(x: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """The maxima, and their positions h * W + w as floats of 32 bits at least."""
    floats = torch.promote_types(x.dtype, torch.float32)
    if torch_agrees(grid):
        top, index = F.max_pool2d(x, grid.kernel, grid.stride, grid.pad, ceil_mode=grid.ceil, return_indices=True)
        return top, index.to(floats)
    lowest, (rows, columns, _) = _lowest(x), grid
    top, index = F.max_pool2d(_padded(x, grid, lowest), grid.kernel, grid.stride, return_indices=True)
    width = columns.pad + columns.size + columns.end_pad
    position = (index // width - rows.pad) * columns.size + index % width - columns.pad
    return top, torch.where(top > lowest, position.to(floats), -1)


def lower_max(g: GraphBuilder, x: Value, grid: Grid, num_tops: int) -> Any:
    """One MaxPool with explicit pads; what it cannot make, a window without elements, is appended."""
    filled = grid.without_empty()
    found = g.op("MaxPool", x, pads=filled.pads, num_outputs=num_tops, **_windows(grid))
    if num_tops == 1:
        return _append_empty(g, found, grid, LOWEST)
    top, index = found  # ONNX's index counts through the batch and the channels
    position = g.cast(g.op("Mod", index, g.ints(grid.rows.size * grid.columns.size)), "float32")
    return _append_empty(g, top, grid, LOWEST), _append_empty(g, position, grid, -1.0)


def average_pool(x: Tensor, grid: Grid) -> Tensor:
    if grid.whole_image:
        return x.mean((2, 3), keepdim=True)
    if torch_agrees(grid):
        return F.avg_pool2d(x, grid.kernel, grid.stride, grid.pad, ceil_mode=grid.ceil)
    total = F.avg_pool2d(_padded(x, grid, 0), grid.kernel, grid.stride, divisor_override=1)
    rows, columns = (_extents(x, windows) for windows in (grid.rows, grid.columns))
    return total / (rows[:, None] * columns)


def _extents(x: Tensor, windows: Window) -> Tensor:
    """``windows.extents``, counted where x lies: numbers of the host would have to be sent to a GPU in every pass."""
    starts = torch.arange(windows.number, device=x.device) * windows.stride
    return (starts + windows.kernel).clamp(max=windows.size + 2 * windows.pad) - starts


def lower_average(g: GraphBuilder, x: Value, grid: Grid) -> Value:
    """The mean over complete windows, then a factor for those that the divisor counts in part."""
    mean = g.op("AveragePool", x, pads=grid.without_empty().pads, count_include_pad=1, **_windows(grid))
    mean = _append_empty(g, mean, grid, 0.0)
    kernel_h, kernel_w = grid.kernel
    if set(grid.rows.extents) == {kernel_h} and set(grid.columns.extents) == {kernel_w}:
        return mean
    divisor = torch.tensor(grid.rows.extents)[:, None] * torch.tensor(grid.columns.extents)
    return g.op("Mul", mean, g.const((kernel_h * kernel_w / divisor).numpy()))


def draw(x: Tensor, grid: Grid) -> Tensor:
    """STOCHASTIC in TRAIN: of each window the first element where the running sum reaches a random part of the sum."""
    rows, columns, _ = grid
    windows = _padded(x, grid, 0).unfold(2, rows.kernel, rows.stride).unfold(3, columns.kernel, columns.stride)
    values = windows.flatten(-2)
    running = values.detach().cumsum(-1)
    threshold = torch.rand_like(running[..., -1:]) * running[..., -1:]
    chosen = (running < threshold).sum(-1, keepdim=True).clamp(max=values.shape[-1] - 1)
    return values.gather(-1, chosen).squeeze(-1)


def weighted_average(x: Tensor, grid: Grid) -> Tensor:
    """STOCHASTIC in TEST: what ``draw`` gives on average."""
    x = _padded(x, grid, 0)
    total, squares = (F.avg_pool2d(v, grid.kernel, grid.stride, divisor_override=1) for v in (x, x * x))
    positive = total > 0
    return torch.where(positive, squares / torch.where(positive, total, 1), 0)


def lower_weighted_average(g: GraphBuilder, x: Value, grid: Grid) -> Value:
    x = g.pad(x, _all_axes(grid.pads))
    mean, squares = (g.op("AveragePool", v, **_windows(grid)) for v in (x, g.op("Mul", x, x)))
    positive = g.op("Greater", mean, g.const(0.0))
    ratio = g.op("Div", squares, g.op("Where", positive, mean, g.const(1.0)))
    return g.op("Where", positive, ratio, g.const(0.0))


def torch_agrees(grid: Grid) -> bool:
    """Torch's own pooling has the same windows and divisors.

    It takes a pad up to half the kernel. In ``ceil_mode`` it too rounds up, drops a last window that begins beyond
    H + pad (on each axis, padded or not), and cuts the divisor at H + pad.
    """
    return not grid.has_empty and all(2 * w.pad <= w.kernel for w in (grid.rows, grid.columns))


def _lowest(x: Tensor) -> float:
    return max(LOWEST, torch.finfo(x.dtype).min)


def _padded(x: Tensor, grid: Grid, value: float) -> Tensor:
    """``x`` with all that its windows reach."""
    top, left, bottom, right = grid.pads
    return F.pad(x, (left, right, top, bottom), value=value) if any(grid.pads) else x


def _all_axes(pads: tuple[int, int, int, int]) -> list[int]:
    """Pads of height and width (begins, then ends) as pads of all four axes."""
    return [0, 0, *pads[:2], 0, 0, *pads[2:]]


def _append_empty(g: GraphBuilder, top: Value, grid: Grid, value: float) -> Value:
    """``top`` with ``value`` in the place of windows without elements, which are the last row or column."""
    filled = grid.without_empty()
    missing = grid.rows.number - filled.rows.number, grid.columns.number - filled.columns.number
    return g.pad(top, _all_axes((0, 0, *missing)), value)


def _windows(grid: Grid) -> dict[str, Any]:
    return {"kernel_shape": grid.kernel, "strides": grid.stride}
