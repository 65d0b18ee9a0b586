"""Dropout: the mask, its scale, the phases."""

from __future__ import annotations

import pytest
import torch

from caffe_compat.errors import CannotLower, NetError
from caffe_compat.export.graph import GraphBuilder, Value
from caffe_compat.layers.dropout import Dropout
from tests.layers.checking import check_onnx, check_shapes, made, values


@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.5, 0.9])
def test_train_keeps_one_minus_ratio_and_scales(ratio: float) -> None:
    x = torch.ones(100, 300, requires_grad=True)
    layer = made(Dropout(ratio), x)
    torch.manual_seed(1)
    y = layer(x)
    y.backward(torch.full_like(x, 2.0))
    kept = y != 0
    assert abs(kept.float().mean().item() - (1 - ratio)) < 0.02
    torch.testing.assert_close(y, kept / (1 - ratio))
    torch.testing.assert_close(x.grad, 2 * y.detach())


def test_the_mask_comes_from_torchs_generator_and_changes() -> None:
    x = torch.ones(4, 50)
    layer = made(Dropout(), x)
    torch.manual_seed(5)
    first, second = layer(x), layer(x)
    torch.manual_seed(5)
    assert torch.equal(layer(x), first)
    assert not torch.equal(first, second)


def test_test_phase_is_the_identity() -> None:
    x = values(2, 3)
    layer = made(Dropout(0.9), x, phase="TEST")
    assert layer(x) is x
    check_shapes(layer, x)
    assert check_onnx(layer, x) == []
    assert Dropout.saves_top, "the top is the bottom: nobody may write over it"


def test_train_does_not_lower() -> None:
    with pytest.raises(CannotLower, match="random mask in TRAIN; export the net in the TEST phase"):
        Dropout().lower(GraphBuilder(13, {}), Value("x", (2,)))


@pytest.mark.parametrize("ratio", [-0.1, 1.0, 1.5, float("nan")])
def test_refuses_to_drop_by_a_ratio_out_of_range(ratio: float) -> None:
    """Caffe, too, finds it when it drops: it builds the net, and in TEST the ratio means nothing."""
    x = values(2, 3)
    layer = made(Dropout(ratio), x)
    assert layer.top_shapes((2, 3)) == [(2, 3)]
    with pytest.raises(NetError, match=rf"dropout_ratio: {ratio:g} is out of range; accepted: from 0"):
        layer(x)
    assert layer.eval()(x) is x
