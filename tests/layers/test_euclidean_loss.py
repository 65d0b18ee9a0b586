"""EuclideanLoss, by its definition."""

from __future__ import annotations

import pytest
import torch

from caffe_compat.errors import NetError
from caffe_compat.layers import EuclideanLoss
from tests.layers.single import exports, refused, same


@pytest.mark.parametrize("shapes", [((3, 4), (3, 4)), ((3, 2, 5), (3, 10, 1, 1)), ((3,), (3,))])
def test_definition(shapes: tuple[tuple[int, ...], ...]) -> None:
    a, b = (torch.randn(shape, requires_grad=True) for shape in shapes)
    loss = EuclideanLoss().build(*shapes)(a, b)
    difference = (a - b.reshape(a.shape)).detach()
    same(loss, difference.square().sum() / 6)
    gradients = torch.autograd.grad(loss, (a, b))
    same(gradients[0], difference / 3)
    same(gradients[1], -difference.reshape(b.shape) / 3)


def test_onnx() -> None:
    exports("EuclideanLoss", "", (3, 2, 5), (3, 10))


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((3, 4), (2, 4)), "shapes [3, 4] and [2, 4]; accepted: the same first dimension"),
        (((3, 4), (3, 5)), "with 4 and 5 values a row; accepted: the same number"),
        (((), ()), "shapes [] and []; accepted: the same first dimension"),
    ],
)
def test_refusals(shapes: tuple[tuple[int, ...], ...], message: str) -> None:
    refused(message, EuclideanLoss, *shapes)


def test_many_axes_are_refused_by_a_pass() -> None:
    """As in Caffe, which asks for the batch size then; b may have any number."""
    layer = EuclideanLoss().build((3, 1, 1, 1, 2), (3, 2))
    assert layer.top_shapes((3, 1, 1, 1, 2), (3, 2)) == [()]
    with pytest.raises(NetError, match="has 5 axes; accepted: at most 4; put a Flatten layer"):
        layer(torch.zeros(3, 1, 1, 1, 2), torch.zeros(3, 2))
    assert layer(torch.zeros(3, 2), torch.ones(3, 1, 1, 1, 2)) == 1
