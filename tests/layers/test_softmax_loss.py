"""SoftmaxWithLoss: its floor, axes, labels of any shape, refusals. Its values: tests/golden."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from caffe_compat.errors import NetError
from caffe_compat.layers import SoftmaxWithLoss
from tests.layers.single import refused, same


def test_probability_is_floored_but_not_its_gradient() -> None:
    scores = torch.tensor([[0.0, 200.0, 0.0], [0.0, -math.inf, 1.0]], requires_grad=True)
    loss = SoftmaxWithLoss(normalization="NONE")(scores, torch.tensor([0.0, 1.0]))
    same(loss, torch.tensor(2 * -math.log(torch.finfo(torch.float32).tiny)))
    (gradient,) = torch.autograd.grad(loss, scores)
    same(gradient, torch.softmax(scores, 1) - F.one_hot(torch.tensor([0, 1]), 3))


@pytest.mark.parametrize(
    ("scores", "labels", "axis"),
    [
        ((4, 3), (4, 1, 1), 1),
        ((4, 3, 2), (4, 2, 1), -2),
        ((2, 5, 3), (2, 1, 5), -1),
        ((1, 4), (1, 4), 0),
        ((3, 1), (3,), 1),
    ],
)
def test_labels_of_any_shape(scores: tuple[int, ...], labels: tuple[int, ...], axis: int) -> None:
    layer = SoftmaxWithLoss(axis=axis).build(scores, labels)
    x, y = torch.randn(scores, requires_grad=True), torch.arange(math.prod(labels)) % scores[axis]
    loss = layer(x, y.reshape(labels) + 0.9)  # fractions are cut off
    expected = F.cross_entropy(x.movedim(axis, -1).reshape(-1, scores[axis]), y)
    same(loss, expected)
    same(torch.autograd.grad(loss, x)[0], torch.autograd.grad(expected, x)[0], 2e-5)


def test_ignored_places_have_no_part() -> None:
    scores = torch.randn(3, 4, requires_grad=True)
    loss = SoftmaxWithLoss(ignore_label=-1)(scores, torch.tensor([2, -1, 0]))
    (gradient,) = torch.autograd.grad(loss, scores)
    same(loss, F.cross_entropy(scores, torch.tensor([2, -1, 0]), ignore_index=-1))
    assert not gradient[1].any()
    assert SoftmaxWithLoss(ignore_label=-1)(scores, torch.full((3,), -1)).item() == 0


def test_finite_differences() -> None:
    scores = torch.randn(3, 4, 2, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(4, (3, 2))
    assert torch.autograd.gradcheck(lambda z: SoftmaxWithLoss(ignore_label=1)(z, labels), scores)


@pytest.mark.parametrize(
    ("shapes", "arguments", "message"),
    [
        (((3, 4, 2, 2), (3,)), {}, "3 labels (shape [3]) for 12 predictions: scores of shape [3, 4, 2, 2] with the 4"),
        (((3, 4), (3,)), {"axis": 2}, "axis 2 is out of range for a bottom of shape [3, 4]; accepted: -2 to 1"),
        (((3, 0), (3,)), {}, "the bottom of shape [3, 0] has no elements along the axes [1]"),
        (((3, 4), (4,)), {"axis": 0}, "shapes [3, 4] and [4]; accepted: the same first dimension"),
        (((1, 4), ()), {}, "shapes [1, 4] and []; accepted: the same first dimension"),
        (((3, 4), (3,)), {"normalization": "MEAN"}, "'MEAN' is unknown; accepted: FULL, VALID, BATCH_SIZE, NONE"),
    ],
)
def test_refusals(shapes: tuple[tuple[int, ...], ...], arguments: dict[str, object], message: str) -> None:
    refused(message, lambda: SoftmaxWithLoss(**arguments), *shapes)


def test_second_top_is_refused() -> None:
    refused("makes 1 top, found 2", SoftmaxWithLoss, (3, 4), (3,), num_tops=2)


def test_label_out_of_range_says_which() -> None:
    with pytest.raises(NetError, match=r"label 4 at \[2, 0\] .*; 1 are out of range\) is no class; accepted: 0 to 3; "):
        SoftmaxWithLoss()(torch.randn(3, 4), torch.tensor([[0.0], [3.0], [4.0]]))
