"""SPP against the Pooling layers that its levels stand for; refusals; ONNX."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from caffe_compat.errors import CannotLower, NetError
from caffe_compat.export.graph import GraphBuilder, Value
from caffe_compat.layers.pooling import Pooling
from caffe_compat.layers.spp import SPP
from tests.layers.checking import check_channels_last, check_gradient, check_onnx, check_shapes, made, values
from tests.layers.single import refused

Shape = tuple[int, ...]


def pooling(level: int, pool: str, height: int, width: int) -> Pooling:
    """A level as the Pooling layer that Caffe makes of it."""
    bins = 2**level
    kernels = [-(-size // bins) for size in (height, width)]
    pads = [(kernel * bins - size + 1) // 2 for kernel, size in zip(kernels, (height, width), strict=True)]
    sizes = [*kernels, *kernels, *pads]
    return Pooling(pool, **{f"{what}_{axis}": sizes.pop(0) for what in ("kernel", "stride", "pad") for axis in "hw"})


@pytest.mark.parametrize("pool", ["MAX", "AVE"])
@pytest.mark.parametrize("size", [(8, 8), (6, 5), (7, 6), (4, 11), (13, 9), (12, 16)])
@pytest.mark.parametrize("height", [1, 2, 3, 4])
def test_agrees_with_pooling(pool: str, size: tuple[int, int], height: int) -> None:
    x = values(2, 3, *size)
    try:
        levels = [made(pooling(level, pool, *size), x) for level in range(height)]
    except NetError:
        refused("accepted: less padding than window", lambda: SPP(height, pool), tuple(x.shape))
        return
    layer = made(SPP(height, pool), x)
    tops = [level(x) for level in levels]
    assert [top.shape[2:] for top in tops] == [(2**i, 2**i) for i in range(height)]
    expected = tops[0] if height == 1 else torch.cat([top.flatten(1) for top in tops], 1)
    assert torch.equal(layer(x), expected)
    check_shapes(layer, x)
    check_channels_last(layer, x)
    check_onnx(layer, x)


@pytest.mark.parametrize("pool", ["MAX", "AVE"])
def test_gradient(pool: str) -> None:
    x = values(2, 2, 6, 7)
    check_gradient(made(SPP(2, pool), x), x)


def test_the_length_of_the_top_does_not_depend_on_the_image() -> None:
    layer = made(SPP(2), values(1, 3, 6, 5))
    assert layer(values(2, 3, 6, 5)).shape == layer(values(2, 3, 11, 8)).shape == (2, 15)


def test_stochastic_in_both_phases() -> None:
    x = values(2, 3, 4, 8).abs()
    layer = made(SPP(3, "STOCHASTIC"), x)
    top = layer(x)
    assert torch.isin(top, x).all()
    assert torch.equal(top[:, -48:].reshape(2, 3, 4, 4), x.unfold(3, 2, 2).gather(-1, _chosen(top, x)).squeeze(-1))
    with pytest.raises(CannotLower, match="random in the TRAIN phase"):
        layer.lower(GraphBuilder(17, {}), Value("x", (None, 3, 4, 8)))
    layer.eval()
    torch.testing.assert_close(layer(x)[:, :3], (x * x).sum((2, 3)) / x.sum((2, 3)))
    check_onnx(layer, x)


def _chosen(top: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Which of each pair of neighbours the last level took."""
    return (x.unfold(3, 2, 2)[..., 1] == top[:, -48:].reshape(2, 3, 4, 4)).long().unsqueeze(-1)


@pytest.mark.parametrize(
    ("arguments", "shape", "message"),
    [
        ({}, (1, 2, 4, 4), "pyramid_height: 0 (or not given) is out of range; accepted: 1 to"),
        ({"pyramid_height": 2, "pool": "MIN"}, (1, 2, 4, 4), "pool: MIN is unknown; accepted: MAX, AVE, STOCHASTIC"),
        ({"pyramid_height": 2}, (2, 4, 4), "needs a bottom of 4 axes"),
        ({"pyramid_height": 1}, (1, 2, 0, 4), "has no elements to pool"),
        ({"pyramid_height": 3}, (1, 2, 5, 7), "level 2 of the pyramid, 4 x 4 windows over a bottom of 5 x 7"),
        ({"pyramid_height": 2**31 - 1}, (1, 2, 8, 8), "take pyramid_height: 4 or less"),
        ({"pyramid_height": 2, "pool": "STOCHASTIC"}, (1, 2, 5, 4), "STOCHASTIC pooling takes no padding"),
    ],
)
def test_refusals(arguments: dict[str, Any], shape: Shape, message: str) -> None:
    refused(message, lambda: SPP(**arguments), shape)


def test_symbolic_images_cannot_be_lowered() -> None:
    layer = made(SPP(2), values(1, 3, 6, 5))
    with pytest.raises(CannotLower, match="height and width, symbolic"):
        layer.lower(GraphBuilder(17, {}), Value("x", (None, 3, None, 5)))
