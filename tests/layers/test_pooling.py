"""Pooling: all windows against loops that follow Caffe's rules, ties, positions, refusals, ONNX."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch

from caffe_compat.errors import CannotLower, NetError
from caffe_compat.export.graph import GraphBuilder, Value
from caffe_compat.layers.pool_methods import LOWEST, torch_agrees
from caffe_compat.layers.pooling import Pooling
from tests.layers.single import exports, gradient_holds, keeps_format, refused, same

Axis = tuple[int, int, int, int]
"""size, kernel, stride, pad"""

EVERY_AXIS: list[Axis] = [
    axis for axis in itertools.product(range(1, 8), range(1, 5), range(1, 5), range(3)) if axis[3] < axis[1]
]


def spans(rows: Axis, columns: Axis, ceil: bool) -> list[list[tuple[int, int]]]:
    """Begin and end (before it is cut) of each window along both axes: Caffe's rounding and clipping."""
    counts = []
    for size, kernel, stride, pad in (rows, columns):
        steps = (size + 2 * pad - kernel) / stride
        counts.append((math.ceil(steps) if ceil else math.floor(steps)) + 1)
    if rows[3] or columns[3]:
        counts = [n - ((n - 1) * a[2] >= a[0] + a[3]) for n, a in zip(counts, (rows, columns), strict=True)]
    return [
        [(i * a[2] - a[3], min(i * a[2] - a[3] + a[1], a[0] + a[3])) for i in range(n)]
        for n, a in zip(counts, (rows, columns), strict=True)
    ]


def reference(x: np.ndarray, rows: Axis, columns: Axis, ceil: bool, pool: str) -> tuple[np.ndarray, np.ndarray]:
    """Tops of one image: values, and positions of the maxima."""
    row_spans, column_spans = spans(rows, columns, ceil)
    top = np.empty((len(row_spans), len(column_spans)), np.float32)
    position = np.full(top.shape, -1.0, np.float32)
    for (p, (h0, h1)), (q, (w0, w1)) in itertools.product(enumerate(row_spans), enumerate(column_spans)):
        cells = [
            (float(x[h, w]), h * x.shape[1] + w)
            for h in range(max(h0, 0), min(h1, x.shape[0]))
            for w in range(max(w0, 0), min(w1, x.shape[1]))
        ]
        if pool == "MAX":
            top[p, q], position[p, q] = max(cells, key=lambda cell: cell[0], default=(LOWEST, -1))
        else:
            with np.errstate(invalid="ignore", divide="ignore"):
                top[p, q] = np.float32(sum(value for value, _ in cells)) / np.float32((h1 - h0) * (w1 - w0))
    return top, position


def layer_of(rows: Axis, columns: Axis, ceil: bool, pool: str) -> Pooling:
    sizes = dict(zip(("kernel_h", "stride_h", "pad_h"), rows[1:], strict=True))
    sizes |= dict(zip(("kernel_w", "stride_w", "pad_w"), columns[1:], strict=True))
    return Pooling(pool, round_mode="CEIL" if ceil else "FLOOR", **sizes)


@pytest.mark.parametrize("ceil", [True, False], ids=["CEIL", "FLOOR"])
@pytest.mark.parametrize("pool", ["MAX", "AVE"])
def test_every_window_along_an_axis(pool: str, ceil: bool) -> None:
    """Each axis meets a few others, so that both of torch's ways and our own are proved against the loops."""
    others: list[Axis] = [(5, 3, 2, 0), (6, 3, 2, 1), (5, 2, 3, 0)]
    seen = {True: 0, False: 0}
    for number, axis in enumerate(EVERY_AXIS):
        pair = (axis, others[number % 3]) if number % 2 else (others[number % 3], axis)
        found = check_windows(pair[0], pair[1], ceil, pool)
        if found is not None:
            seen[found] += 1
    assert min(seen.values()) > 10


def check_windows(rows: Axis, columns: Axis, ceil: bool, pool: str) -> bool | None:
    """Values, positions and gradient; whether torch's own pooling served, None where the top would be empty."""
    shape = (1, 1, rows[0], columns[0])
    layer = layer_of(rows, columns, ceil, pool)
    if min(map(len, spans(rows, columns, ceil))) == 0:
        with pytest.raises(NetError, match="would make an empty top"):
            layer.build(shape)(torch.zeros(shape))
        return None
    layer.num_tops = 2 if pool == "MAX" else 1
    layer.build(shape)
    x = torch.randint(-2, 3, shape).float().requires_grad_()  # many ties
    tops: Any = layer(x)
    top, position = reference(x.detach().numpy()[0, 0], rows, columns, ceil, pool)
    expected = [top, position][: layer.num_tops]
    for ours, theirs in zip(tops if pool == "MAX" else [tops], expected, strict=True):
        same(ours[0, 0], theirs, 1e-6)
    if pool == "MAX":
        tops[0].backward(torch.ones_like(tops[0]))
        gradient = np.bincount(position[position >= 0].astype(int), minlength=x.numel()).reshape(shape)
        same(x.grad, gradient)
        layer.num_tops = 1
        same(layer(x.detach())[0, 0], top)  # without a gradient there is another way
    return torch_agrees(layer.grid(*shape[2:]))


def test_ties_go_to_the_first_in_channels_last_too() -> None:
    x = torch.zeros(2, 3, 6, 7).to(memory_format=torch.channels_last).requires_grad_()
    Pooling(kernel_size=3, stride=3).build(x.shape)(x).sum().backward()
    rows, columns = torch.nonzero(x.grad[0, 0], as_tuple=True)
    assert rows.tolist() == [0, 0, 0, 3, 3, 3]
    assert columns.tolist() == [0, 3, 6, 0, 3, 6]


@pytest.mark.parametrize("arguments", [{}, {"kernel_size": 3, "stride": 2, "pad": 1}, {"kernel_size": 3, "pad": 2}])
@pytest.mark.parametrize("pool", ["MAX", "AVE"])
def test_gradient_and_channels_last(pool: str, arguments: dict[str, int]) -> None:
    shape = (2, 3, 7, 6)
    layer = Pooling(pool, global_pooling=not arguments, **arguments).build(shape)
    keeps_format(layer, torch.randn(shape))
    gradient_holds(layer, (1, 2, 5, 4))


def test_global_pooling_follows_the_input() -> None:
    layer = Pooling("AVE", global_pooling=True).build((2, 3, 7, 6))
    x = torch.randn(4, 3, 5, 9)
    same(layer(x), x.mean((2, 3), keepdim=True))


@pytest.mark.parametrize("pool", ["MAX", "AVE", "STOCHASTIC"])
@pytest.mark.parametrize(("shape", "kernel", "top"), [((2, 3, 4, 5), 5, (2, 3, 0, 1)), ((2, 0, 4, 4), 3, (2, 0, 2, 2))])
def test_a_top_without_elements_is_built_but_does_not_run(
    pool: str, shape: tuple[int, ...], kernel: int, top: tuple[int, ...]
) -> None:
    """As in Caffe, which reshapes a blob to no elements, and stops when the pass wants its memory."""
    layer = Pooling(pool, kernel_size=kernel).build(shape)
    assert layer.top_shapes(shape) == [top]
    with pytest.raises(NetError, match=r"would make an empty top, \d x \d: kernel"):
        layer(torch.zeros(shape))


def test_empty_batch_and_one_pixel() -> None:
    for pool in ("MAX", "AVE"):
        assert Pooling(pool, kernel_size=2).build((0, 3, 5, 4)).top_shapes((0, 3, 5, 4)) == [(0, 3, 4, 3)]
        x = torch.randn(2, 3, 1, 1)
        same(Pooling(pool, kernel_size=1).build(x.shape)(x), x)
        same(Pooling(pool, kernel_size=2, stride=2).build(x.shape)(x), x)  # a window cut at the border


# ---- stochastic


def test_stochastic_draws_in_proportion() -> None:
    torch.manual_seed(0)
    x = torch.tensor([[1.0, 0.0, 2.0], [5.0, 0.0, 0.0], [0.0, 0.0, 0.0]]).expand(2000, 1, 3, 3)
    layer = Pooling("STOCHASTIC", kernel_size=2, stride=2).build((2000, 1, 3, 3)).train()
    y = layer(x)
    assert y.shape == (2000, 1, 2, 2)
    share = float((y[:, 0, 0, 0] == 5).float().mean())
    assert abs(share - 5 / 6) < 0.04
    assert set(y[:, 0, 0, 0].tolist()) == {1.0, 5.0}
    assert set(y[:, 0, 0, 1].tolist()) == {2.0}
    assert set(y[:, 0, 1].flatten().tolist()) == {0.0}


def test_stochastic_gradient_goes_to_what_was_drawn() -> None:
    x = torch.rand(2, 3, 5, 4, requires_grad=True)
    y = Pooling("STOCHASTIC", kernel_size=2, stride=2).build(x.shape).train()(x)
    y.sum().backward()
    assert x.grad.sum() == y.numel()
    assert torch.isin(y, x[x.grad == 1]).all()


def test_stochastic_in_test_weighs_by_value() -> None:
    x = torch.tensor([[1.0, 3.0, 0.0], [0.0, 4.0, 0.0]]).reshape(1, 1, 2, 3)
    y = Pooling("STOCHASTIC", kernel_size=2, stride=2).build(x.shape).eval()(x)
    same(y.flatten(), torch.tensor([26.0 / 8, 0.0]))
    gradient_holds(PositiveBottom("STOCHASTIC", kernel_size=2).build((1, 2, 4, 3)).eval(), (1, 2, 4, 3))


class PositiveBottom(Pooling):
    """STOCHASTIC takes values from 0 on."""

    def forward(self, x: torch.Tensor) -> Any:
        return super().forward(x.exp())


# ---- refusals

IMAGE = (2, 3, 7, 6)
REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("no kernel is given; give kernel_size, or both kernel_h and kernel_w", {}),
    ("no kernel is given", {"kernel_h": 2}),
    ("kernel_size: 2 and kernel_h and kernel_w are given", {"kernel_size": 2, "kernel_h": 2, "kernel_w": 2}),
    ("kernel_size or kernel_h: 0 (or not given) is out of range; accepted: 1 to", {"kernel_size": 0}),
    ("kernel_size or kernel_w: 0 (or not given) is out of range", {"kernel_h": 1, "kernel_w": 0}),
    ("stride: 0 (or not given) is out of range; accepted: 1 to", {"kernel_size": 2, "stride": 0}),
    ("stride: 2 is given beside stride_h or stride_w", {"kernel_size": 2, "stride": 2, "stride_h": 2, "stride_w": 2}),
    ("stride_w is missing; give both stride_h and stride_w", {"kernel_size": 2, "stride_h": 2}),
    ("pad: 1 is given beside pad_h or pad_w", {"kernel_size": 2, "pad": 1, "pad_h": 1}),
    ("pad_h is missing; give both pad_h and pad_w, or pad for both axes", {"kernel_size": 2, "pad_w": 1}),
    ("pad 2 is not below the kernel 2 along the height", {"kernel_size": 2, "pad": 2}),
    ("pad 1 is not below the kernel 1 along the width", {"kernel_h": 3, "kernel_w": 1, "pad": 1}),
    ("pad [1, 1] with STOCHASTIC", {"pool": "STOCHASTIC", "kernel_size": 2, "pad": 1}),
    ("global_pooling takes the whole image and no kernel", {"global_pooling": True, "kernel_size": 2}),
    ("global_pooling takes the whole image and no kernel", {"global_pooling": True, "kernel_h": 2}),
    ("global_pooling takes pad 0 and stride 1 only, found pad [0, 0]", {"global_pooling": True, "stride": 2}),
    ("only, found pad [1, 1] and stride [1, 1]", {"global_pooling": True, "pad": 1}),
    ("pool: MEDIAN is unknown; accepted: MAX, AVE, STOCHASTIC", {"pool": "MEDIAN"}),
    ("round_mode: UP is unknown; accepted: CEIL, FLOOR", {"round_mode": "UP"}),
    ("would make an empty top, 0 x -1: kernel [8, 8]", {"kernel_size": 8}),
]


@pytest.mark.parametrize(("message", "arguments"), REFUSED)
def test_refuses(message: str, arguments: dict[str, Any]) -> None:
    refused(message, lambda: Pooling(**arguments), IMAGE)


@pytest.mark.parametrize("shape", [(3, 7, 6), (2, 3, 4, 5, 6)])
def test_refuses_other_axes(shape: tuple[int, ...]) -> None:
    refused("needs a bottom of 4 axes (batch, channels, height, width)", lambda: Pooling(kernel_size=2), shape)


def test_refuses_positions_of_averages() -> None:
    refused("exists for MAX only, not for AVE", lambda: Pooling("AVE", kernel_size=2), IMAGE, num_tops=2)


def test_kernel_size_beside_one_of_the_pair_counts() -> None:
    """Caffe does not look at the other one."""
    assert Pooling(kernel_size=3, kernel_h=2).kernel == (3, 3)


# ---- ONNX

MAX_TEXTS = [
    "kernel_size: 3 stride: 2",
    "kernel_size: 3 stride: 2 pad: 1",
    "kernel_size: 3 stride: 2 round_mode: FLOOR",
    "kernel_size: 3 pad: 2",
    "kernel_h: 5 kernel_w: 2 stride_h: 4 stride_w: 1",
    "kernel_size: 1 stride: 4",
    "kernel_h: 2 kernel_w: 1 stride: 5",
    "global_pooling: true",
]


@pytest.mark.parametrize("pool", ["MAX", "AVE"])
@pytest.mark.parametrize("text", MAX_TEXTS)
def test_onnx(text: str, pool: str) -> None:
    for shape in ((2, 3, 7, 6), (1, 2, 8, 10)):
        exports("Pooling", f"pooling_param {{ pool: {pool} {text} }}", shape)


@pytest.mark.parametrize("text", MAX_TEXTS)
def test_onnx_of_positions(text: str) -> None:
    exports("Pooling", f"pooling_param {{ {text} }}", (2, 3, 7, 6), tops=2)


@pytest.mark.parametrize("text", MAX_TEXTS[:1] + MAX_TEXTS[4:])
def test_onnx_of_stochastic(text: str) -> None:
    exports("Pooling", f"pooling_param {{ pool: STOCHASTIC {text} }}", (2, 3, 7, 6))


def test_onnx_refuses_what_is_random_or_unknown() -> None:
    g = GraphBuilder(13, {})
    with pytest.raises(CannotLower, match="random in the TRAIN phase"):
        Pooling("STOCHASTIC", kernel_size=2).train().lower(g, Value("x", (None, 3, 7, 6)))
    with pytest.raises(CannotLower, match="height and width, symbolic"):
        Pooling(kernel_size=2).lower(g, Value("x", (None, 3, None, 6)))


def test_the_way_for_training_can_be_derived_twice_and_by_torch_func() -> None:
    layer = Pooling(kernel_size=3, stride=2, pad=1).build((2, 3, 7, 6))
    x = torch.randn(2, 3, 7, 6, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(layer, x)
    assert torch.autograd.gradgradcheck(layer, x)
    (gradient,) = torch.autograd.grad(layer(x).square().sum(), x)
    same(torch.func.grad(lambda x: layer(x).square().sum())(x.detach()), gradient)
    same(layer(x), torch.nn.functional.max_pool2d(x, 3, 2, 1, ceil_mode=True))
