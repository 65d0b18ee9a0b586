"""Split and Silence."""

from __future__ import annotations

import pytest
import torch

from caffe_compat.errors import NetError
from caffe_compat.layers.split import Silence, Split
from tests.layers.checking import check_channels_last, check_gradient, check_onnx, check_shapes, made, tops_of, values


@pytest.mark.parametrize("tops", [1, 2, 4])
def test_split(tops: int) -> None:
    x = values(2, 3, 4, 5).requires_grad_()
    layer = made(Split(), x, tops=tops)
    found = tops_of(layer, x)
    assert len(found) == tops
    assert all(torch.equal(top, x) for top in found)
    torch.autograd.backward(found, [torch.full_like(x, i + 1) for i in range(tops)])
    assert x.grad is not None
    assert x.grad.unique().tolist() == [sum(range(1, tops + 1))]
    check_shapes(layer, x.detach())
    check_channels_last(layer, x.detach())
    assert check_onnx(layer, x.detach()) == []
    check_gradient(layer, x.detach()[:, :2, :1])


def test_silence_makes_nothing() -> None:
    x = values(2, 3)
    layer = made(Silence(), x, x, tops=0)
    assert layer(x, x) == ()
    assert layer.top_shapes((2, 3), (4,)) == []
    assert layer.lower(None, None, None) == ()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cls", "bottoms", "tops", "message"),
    [
        (Split, 2, 2, r"takes exactly 1 bottom\(s\), found 2"),
        (Split, 1, 0, r"makes at least 1 top\(s\), found 0"),
        (Silence, 0, 0, r"takes at least 1 bottom\(s\), found 0"),
        (Silence, 1, 1, r"makes exactly 0 top\(s\), found 1"),
    ],
)
def test_counts(cls: type[Split] | type[Silence], bottoms: int, tops: int, message: str) -> None:
    with pytest.raises(NetError, match=message):
        cls.check_counts(bottoms, tops)
