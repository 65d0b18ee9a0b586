"""HingeLoss, by its definition."""

from __future__ import annotations

import pytest
import torch

from caffe_compat.errors import NetError
from caffe_compat.layers import HingeLoss
from tests.layers.single import refused, same


@pytest.mark.parametrize(("norm", "power"), [("L1", 1), ("L2", 2)])
@pytest.mark.parametrize(
    ("shape", "labels"), [((5, 4), (5,)), ((5, 2, 1, 3), (5, 1, 1, 1)), ((3, 4), (3, 2)), ((4,), (4,))]
)
def test_definition(norm: str, power: int, shape: tuple[int, ...], labels: tuple[int, ...]) -> None:
    scores = (torch.randn(shape) * 2).requires_grad_()
    classes = scores[0].numel()
    y = torch.randint(classes, labels).float()
    loss = HingeLoss(norm).build(shape, labels)(scores, y)
    (gradient,) = torch.autograd.grad(loss, scores)
    expected, slope = 0.0, torch.zeros(shape[0], classes)
    for i, row in enumerate(scores.detach().reshape(shape[0], -1)):
        for k, x in enumerate(row):
            sign = 1 if k == int(y.flatten()[i]) else -1
            violation = max(0.0, 1 - sign * float(x))
            expected += violation**power / shape[0]
            slope[i, k] = -sign * power * violation ** (power - 1) / shape[0] if violation > 0 else 0
    same(loss, torch.tensor(expected))
    same(gradient, slope.reshape(shape))


def test_refusals() -> None:
    refused("norm 'L3' is unknown; accepted: L1, L2", lambda: HingeLoss("L3"))
    refused("shapes [3, 4] and [4]; accepted: the same first dimension", HingeLoss, (3, 4), (4,))
    assert HingeLoss().build((3, 4, 1, 1, 1), (3,)).top_shapes((3, 4, 1, 1, 1), (3,)) == [()]
    with pytest.raises(NetError, match="has 5 axes; accepted: at most 4"):  # as in Caffe, in a pass
        HingeLoss()(torch.zeros(3, 4, 1, 1, 1), torch.zeros(3))
    with pytest.raises(NetError, match=r"label 4 at \[1\].*accepted: 0 to 3"):
        HingeLoss()(torch.randn(2, 4), torch.tensor([0.0, 4.0]))
