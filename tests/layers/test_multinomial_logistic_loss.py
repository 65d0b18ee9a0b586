"""MultinomialLogisticLoss: value, the floor and its gradient, shapes, refusals."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from caffe_compat.errors import NetError
from caffe_compat.layers.multinomial_logistic_loss import MultinomialLogisticLoss
from tests.layers.checking import check_onnx, check_shapes, made, values

P = torch.softmax(values(4, 5), 1)
Y = torch.tensor([0.0, 4.0, 2.9, 1.0])


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 1, 1, 1)])
def test_value_gradient_shape_and_onnx(shape: tuple[int, ...]) -> None:
    labels = Y.reshape(shape)
    layer = made(MultinomialLogisticLoss(), P, labels)
    torch.testing.assert_close(layer(P, labels), F.nll_loss(P.log(), Y.long()))
    check_shapes(layer, P, labels)
    check_onnx(layer, P, labels)
    assert torch.autograd.gradcheck(lambda p: layer(p, labels), P.double().requires_grad_())


def test_all_axes_but_the_first_are_classes() -> None:
    p = torch.softmax(values(2, 6), 1).reshape(2, 3, 2, 1)
    labels = torch.tensor([5.0, 3.0])
    layer = made(MultinomialLogisticLoss(), p, labels)
    torch.testing.assert_close(layer(p, labels), -(p[0, 2, 1, 0].log() + p[1, 1, 1, 0].log()) / 2)
    check_onnx(layer, p, labels)


def test_the_floor_counts_in_the_gradient_too() -> None:
    p = torch.tensor([[0.0, 1.0], [1e-30, 0.5], [-1.0, 0.5]], requires_grad=True)
    labels = torch.zeros(3)
    layer = made(MultinomialLogisticLoss(), p, labels)
    loss = layer(p, labels)
    assert loss.item() == pytest.approx(46.0517, rel=1e-6)
    loss.backward()
    assert p.grad is not None
    torch.testing.assert_close(p.grad, torch.tensor([[-1e20 / 3, 0]] * 3))
    check_onnx(layer, p.detach(), labels)


def test_one_class_in_a_single_axis_and_an_empty_batch() -> None:
    p = torch.tensor([0.5, 0.25])
    layer = made(MultinomialLogisticLoss(), p, torch.zeros(2))
    assert layer(p, torch.zeros(2)).item() == pytest.approx(1.0397208)
    check_onnx(layer, p, torch.zeros(2))
    assert layer(P[:0], Y[:0]).item() == 0


@pytest.mark.parametrize("label", [5.0, -1.0])
def test_a_label_that_is_no_class_is_named(label: float) -> None:
    layer = made(MultinomialLogisticLoss(), P, Y)
    with pytest.raises(NetError, match=rf"label {label:g} at \[2\].*accepted: 0 to 4"):
        layer(P, torch.tensor([0, 1, label, 2]))


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(4, 5), (3,)], "the same first dimension"),
        ([(4, 5), (4, 2)], r"labels have shape \[4, 2\], 2 a row; accepted: one label a row, as in \[4, 1\]"),
        ([(4, 5, 1, 1, 1), (4,)], "has 5 axes; accepted: at most 4"),
        ([(4, 5), (4, 1, 1, 1, 1)], "has 5 axes; accepted: at most 4"),
    ],
)
def test_refusals(shapes: Any, message: str) -> None:
    with pytest.raises(NetError, match=message):
        MultinomialLogisticLoss().setup(*shapes)
