"""ContrastiveLoss: both versions against their formulas, the gradient's 1e-4, labels, refusals."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from caffe_compat.errors import NetError
from caffe_compat.layers.contrastive_loss import ContrastiveLoss
from tests.layers.checking import check_onnx, check_shapes, made, values

A, B = values(5, 3), values(5, 3, seed=1)
S = torch.tensor([1.0, 0.0, 0.0, 1.0, 0.0])


def formula(a: Tensor, b: Tensor, similar: Tensor, margin: float, legacy: bool) -> Tensor:
    square = (a - b).flatten(1).square().sum(1)
    apart = (margin - square).clamp(min=0) if legacy else (margin - square.sqrt()).clamp(min=0).square()
    return torch.where(similar != 0, square, apart).sum() / (2 * len(a))


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("margin", [1.0, 2.5, 9.0, 0.0, -1.0])
@pytest.mark.parametrize("tail", [(), (1, 1)])
def test_value_shape_and_onnx(legacy: bool, margin: float, tail: tuple[int, ...]) -> None:
    a, b = A.reshape(5, 3, *tail), B.reshape(5, 3, *tail)
    layer = made(ContrastiveLoss(margin, legacy), a, b, S)
    torch.testing.assert_close(layer(a, b, S), formula(a, b, S, margin, legacy))
    check_shapes(layer, a, b, S)
    check_onnx(layer, a, b, S)


def gradients(layer: ContrastiveLoss, a: Tensor, b: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    a, b = a.clone().requires_grad_(), b.clone().requires_grad_()
    layer(a, b, s).backward()
    assert a.grad is not None
    assert b.grad is not None
    return a.grad, b.grad


def test_the_legacy_gradient_is_the_derivative() -> None:
    layer = ContrastiveLoss(9.0, legacy_version=True)
    pair = [x.double().requires_grad_() for x in (A, B)]
    assert torch.autograd.gradcheck(lambda a, b: layer(a, b, S), pair)


def test_the_gradient_divides_by_the_distance_and_a_little() -> None:
    layer = made(ContrastiveLoss(4.0), A, B, S)
    difference, distance = A - B, (A - B).norm(dim=1, keepdim=True)
    slope = torch.where(S[:, None] != 0, torch.ones(()), -(4 - distance).clamp(min=0) / (distance + 1e-4))
    at_a, at_b = gradients(layer, A, B, S)
    torch.testing.assert_close(at_a, difference * slope / 5)
    torch.testing.assert_close(at_b, -at_a)


def test_equal_rows_and_rows_at_the_margin_get_gradient_zero() -> None:
    a, b = torch.tensor([[1.0, 2.0], [3.0, 0.0]]), torch.tensor([[1.0, 2.0], [0.0, 0.0]])
    layer = made(ContrastiveLoss(3.0), a, b, torch.zeros(2))
    assert gradients(layer, a, b, torch.zeros(2))[0].tolist() == [[0, 0], [0, 0]]
    legacy = made(ContrastiveLoss(9.0, True), a, b, torch.zeros(2))
    assert gradients(legacy, a, b, torch.zeros(2))[0].tolist() == [[0, 0], [0, 0]]


def test_a_label_is_similar_where_its_whole_part_is_not_zero() -> None:
    labels = torch.tensor([0.9, -0.9, -1.0, 2.5, 1.0])
    layer = made(ContrastiveLoss(), A, B, labels)
    torch.testing.assert_close(layer(A, B, labels), formula(A, B, labels.trunc(), 1.0, False))
    check_onnx(layer, A, B, labels)


def test_one_value_a_row_more_labels_than_pairs_and_an_empty_batch() -> None:
    a, b, many = A[:, 0], B[:, 0], torch.cat([S, torch.ones(2)])
    layer = made(ContrastiveLoss(), a, b, many)
    torch.testing.assert_close(layer(a, b, many), formula(a[:, None], b[:, None], S, 1.0, False))
    check_onnx(layer, a, b, S)
    assert layer(A[:0], B[:0], S[:0]).item() == 0


def test_a_label_without_axes_for_one_pair() -> None:
    one, label = made(ContrastiveLoss(), A[:1], B[:1], torch.tensor(0.0)), torch.tensor(0.0)
    torch.testing.assert_close(one(A[:1], B[:1], label), formula(A[:1], B[:1], label, 1.0, False))
    check_onnx(one, A[:1], B[:1], label)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(5, 3), (4, 3), (5,)], "the same first dimension"),
        ([(5, 3), (5, 4), (5,)], r"shapes \[5, 3\] and \[5, 4\]; accepted: \(N, C\) or \(N, C, 1, 1\) with the same C"),
        ([(5, 3, 2, 1), (5, 3, 2, 1), (5,)], r"accepted: \(N, C\) or \(N, C, 1, 1\)"),
        ([(5, 3), (5, 3, 1, 2), (5,)], r"accepted: \(N, C\) or \(N, C, 1, 1\)"),
        ([(5, 3), (5, 3), (4,)], r"labels have shape \[4\] for 5 pairs; accepted: one a pair, as in \[5\]"),
        ([(5, 3), (5, 3), ()], r"labels have shape \[\] for 5 pairs"),
        ([(5, 3), (5, 3), (5, 2)], r"labels have shape \[5, 2\] for 5 pairs"),
        ([(5, 3, 1, 1, 1), (5, 3), (5,)], "at most 4"),
    ],
)
def test_refusals(shapes: Any, message: str) -> None:
    with pytest.raises(NetError, match=message):
        ContrastiveLoss().setup(*shapes)


def test_two_bottoms_are_refused() -> None:
    with pytest.raises(NetError, match=r"takes exactly 3 bottom\(s\), found 2"):
        ContrastiveLoss.check_counts(2, 1)
