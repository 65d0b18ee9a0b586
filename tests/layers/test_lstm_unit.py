"""LSTMUnit: the step against its formula, cont in between 0 and 1 as Caffe's CPU code has it, refusals."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from caffe_compat.errors import NetError
from caffe_compat.layers.lstm_unit import LSTMUnit
from tests.layers.checking import check_onnx, check_shapes, made, values

C, G = values(1, 3, 2), values(1, 3, 8)
CONT = torch.tensor([[1.0, 0.0, 1.0]])


def formula(c: Tensor, gates: Tensor, cont: Tensor) -> tuple[Tensor, Tensor]:
    i, f, o, g = gates.chunk(4, 2)
    following = cont[..., None] * torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return following, torch.sigmoid(o) * torch.tanh(following)


@pytest.mark.parametrize("cont", [CONT, torch.tensor([[0.25, 0.5, 2.0]])])
def test_value_shape_and_onnx(cont: Tensor) -> None:
    layer = made(LSTMUnit(), C, G, cont, tops=2)
    for top, expected in zip(layer(C, G, cont), formula(C, G, cont), strict=True):
        torch.testing.assert_close(top, expected)
    check_shapes(layer, C, G, cont)
    check_onnx(layer, C, G, cont)


def test_the_gradient_is_the_derivative_where_cont_is_whole() -> None:
    layer = made(LSTMUnit(), C, G, CONT, tops=2)
    assert torch.autograd.gradcheck(lambda c, g: layer(c, g, CONT), [x.double().requires_grad_() for x in (C, G)])


def test_where_cont_is_a_fraction_the_gradient_at_f_is_caffes() -> None:
    cont = torch.full((1, 3), 0.25)
    found, true = (G.clone().requires_grad_() for _ in range(2))
    made(LSTMUnit(), C, G, cont, tops=2)(C, found, cont)[0].sum().backward()
    formula(C, true, cont)[0].sum().backward()
    assert found.grad is not None
    assert true.grad is not None
    torch.testing.assert_close(found.grad[..., :2], true.grad[..., :2])
    forget = 0.25 * torch.sigmoid(G[..., 2:4])
    torch.testing.assert_close(found.grad[..., 2:4], C * forget * (1 - forget))


@pytest.mark.parametrize(
    "shapes",
    [
        [(2, 3, 2), (2, 3, 8), (2, 3)],
        [(1, 3, 2), (1, 3, 6), (1, 3)],
        [(1, 3, 2), (1, 4, 8), (1, 3)],
        [(1, 3, 2), (1, 3, 8), (1, 3, 1)],
        [(3, 2), (3, 8), (3,)],
    ],
)
def test_refusals(shapes: Any) -> None:
    with pytest.raises(NetError, match=r"accepted: c_prev \(1, N, D\), gates \(1, N, 4 D\) and cont \(1, N\); give"):
        LSTMUnit().setup(*shapes)
