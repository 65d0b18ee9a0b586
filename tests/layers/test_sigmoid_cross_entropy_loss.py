"""SigmoidCrossEntropyLoss: its value where torch has it too, ignored targets, normalisers, rounding, refusals."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from caffe_compat.errors import NetError
from caffe_compat.layers.sigmoid_cross_entropy_loss import SigmoidCrossEntropyLoss
from tests.layers.checking import check_onnx, check_shapes, made, values

X = values(3, 4, 2)
T = torch.rand(3, 4, 2, generator=torch.Generator().manual_seed(1))
Y = torch.arange(24).reshape(3, 4, 2).remainder(3).float()


def gradient(layer: SigmoidCrossEntropyLoss, x: Tensor, t: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    layer(x, t).backward()
    assert x.grad is not None
    return x.grad


@pytest.mark.parametrize(
    ("fields", "divisor"),
    [
        ({}, 3),
        ({"normalization": "BATCH_SIZE"}, 3),
        ({"normalization": "FULL"}, 24),
        ({"normalization": "VALID"}, 24),
        ({"normalization": "NONE"}, 1),
        ({"normalize": True}, 24),
        ({"normalize": False}, 3),
        ({"normalize": True, "normalization": "NONE"}, 1),
    ],
)
def test_value_and_what_it_is_divided_by(fields: Any, divisor: int) -> None:
    layer = made(SigmoidCrossEntropyLoss(**fields), X, T)
    expected = F.binary_cross_entropy_with_logits(X, T, reduction="sum") / divisor
    torch.testing.assert_close(layer(X, T), expected)
    torch.testing.assert_close(gradient(layer, X, T), (torch.sigmoid(X) - T) / divisor)
    check_shapes(layer, X, T)
    check_onnx(layer, X, T)
    layer.double()
    assert torch.autograd.gradcheck(lambda x: layer(x, T.double()), X.double().requires_grad_())


@pytest.mark.parametrize(("normalization", "divisor"), [("VALID", 16), ("FULL", 24), (None, 3), ("NONE", 1)])
def test_ignored_targets(normalization: str | None, divisor: int) -> None:
    layer = made(SigmoidCrossEntropyLoss(ignore_label=2, normalization=normalization), X, Y)
    keep = Y != 2
    losses = F.binary_cross_entropy_with_logits(X, Y, reduction="none")
    torch.testing.assert_close(layer(X, Y), losses[keep].sum() / divisor)
    torch.testing.assert_close(gradient(layer, X, Y), (torch.sigmoid(X) - Y) * keep / divisor)
    check_onnx(layer, X, Y)


def test_the_fraction_of_a_target_is_cut_off_before_it_is_compared() -> None:
    targets = torch.tensor([[0.9, -0.9, 1.5, 1.0]])
    scores = torch.ones(1, 4)
    for label, ignored in ((0, [True, True, False, False]), (1, [False, False, True, True])):
        layer = made(SigmoidCrossEntropyLoss(ignore_label=label), scores, targets)
        assert (gradient(layer, scores, targets) == 0).tolist() == [ignored]
        check_onnx(layer, scores, targets)


def test_all_ignored_is_zero_and_an_ignored_nan_does_not_count() -> None:
    scores = torch.tensor([[float("nan"), float("inf")]])
    layer = made(SigmoidCrossEntropyLoss(ignore_label=-1, normalization="VALID"), scores, -torch.ones(1, 2))
    assert layer(scores, -torch.ones(1, 2)).item() == 0
    assert gradient(layer, scores, -torch.ones(1, 2)).tolist() == [[0, 0]]


def test_large_scores_are_rounded_as_in_caffe() -> None:
    """1 + e^-20 is 1 in float32."""
    scores, targets = torch.tensor([[20.0, -20.0, 100.0, -100.0]]), torch.tensor([[1.0, 0.0, 0.0, 1.0]])
    layer = made(SigmoidCrossEntropyLoss(), scores, targets)
    assert layer(scores[:, :2], targets[:, :2]).item() == 0
    assert layer(scores, targets).item() == 200
    slope = gradient(layer, scores, targets)[0]
    assert slope[0] == 0
    assert slope[1:].tolist() == pytest.approx([2.0611537e-9, 1, -1])


def test_one_axis_other_shapes_of_targets_and_an_empty_batch() -> None:
    layer = made(SigmoidCrossEntropyLoss(), X[:, 0, 0], T[:, 0, 0])
    check_onnx(layer, X[:, 0, 0], T[:, 0, 0])
    flat = made(SigmoidCrossEntropyLoss(), X, T.reshape(3, 8))
    assert torch.equal(flat(X, T.reshape(3, 8)), flat(X, T))
    check_onnx(flat, X, T.reshape(3, 8))
    assert layer(X[:0, 0, 0], T[:0, 0, 0]).item() == 0


def test_the_targets_get_no_gradient() -> None:
    layer = SigmoidCrossEntropyLoss()
    targets = T.clone().requires_grad_()
    assert not layer(X, targets).requires_grad


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(3, 4), (3, 5)], r"15 targets \(shape \[3, 5\]\) for 12 scores \(shape \[3, 4\]\); accepted: one target"),
        ([(3, 4), (4, 3)], r"the same first dimension"),
        ([(), ()], r"the same first dimension"),
    ],
)
def test_refusals(shapes: Any, message: str) -> None:
    with pytest.raises(NetError, match=message):
        SigmoidCrossEntropyLoss().setup(*shapes)


def test_other_sizes_are_refused_when_they_come() -> None:
    with pytest.raises(NetError, match="one target for each score"):
        SigmoidCrossEntropyLoss()(X, T[:2])


def test_an_unknown_normalization_is_refused() -> None:
    with pytest.raises(NetError, match="normalization 'MEAN' is unknown; accepted: FULL, VALID, BATCH_SIZE, NONE"):
        SigmoidCrossEntropyLoss(normalization="MEAN")
