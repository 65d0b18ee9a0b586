"""Tile and Reduction: values, axes, corners, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from caffe_compat.layers.reduction import Reduction
from caffe_compat.layers.tile import Tile
from tests.layers.checking import check_channels_last, check_gradient, check_onnx, check_shapes, made, values
from tests.layers.single import refused

Shape = tuple[int, ...]


@pytest.mark.parametrize(
    ("shape", "axis", "tiles"),
    [((2, 3, 4), 1, 3), ((2, 3, 4), -1, 2), ((2, 3), 0, 4), ((5,), 0, 2), ((2, 1, 3, 1), 3, 5), ((2, 3), 1, 1)],
)
def test_tile(shape: Shape, axis: int, tiles: int) -> None:
    x = values(*shape)
    layer = made(Tile(axis, tiles), x)
    torch.testing.assert_close(layer(x), torch.cat([x] * tiles, axis))
    check_shapes(layer, x)
    check_channels_last(layer, x)
    check_onnx(layer, x)
    check_gradient(layer, x)


def test_refused_tiles() -> None:
    refused("the number of tiles is not given; accepted: 1 or more", Tile)
    refused("the number of tiles is 0", lambda: Tile(tiles=0))
    refused("the number of tiles is -2", lambda: Tile(tiles=-2))
    refused("axis 1 is out of range", lambda: Tile(tiles=2), (3,))
    refused("axis 0 is out of range", lambda: Tile(axis=0, tiles=2), ())
    refused("the top of shape [3, 4294967294] would have", lambda: Tile(tiles=2**31 - 1), (3, 2))
    refused("elements; accepted: at most 2147483647", lambda: Tile(tiles=2**31 - 1), (2**10, 2**10, 2**10))


EXPECTED = {
    "SUM": lambda x, axes: x.sum(axes),
    "ASUM": lambda x, axes: np.abs(x).sum(axes),
    "SUMSQ": lambda x, axes: (x * x).sum(axes),
    "MEAN": lambda x, axes: x.mean(axes),
}


@pytest.mark.parametrize("operation", list(EXPECTED))
@pytest.mark.parametrize(
    ("shape", "axis"), [((2, 3, 4, 5), 0), ((2, 3, 4, 5), 1), ((2, 3, 4), -1), ((3, 1), 1), ((4,), 0)]
)
@pytest.mark.parametrize("coeff", [1.0, -2.5, 0.0])
def test_reduction(operation: str, shape: Shape, axis: int, coeff: float) -> None:
    x = values(*shape)
    layer = made(Reduction(operation, axis, coeff), x)
    expected = coeff * EXPECTED[operation](x.double().numpy(), tuple(range(axis % len(shape), len(shape))))
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-5, atol=1e-5)
    check_shapes(layer, x)
    check_channels_last(layer, x)
    check_onnx(layer, x)
    check_gradient(layer, x[:, :2] if x.dim() > 1 else x)


def test_asum_has_gradient_0_at_0() -> None:
    x = torch.tensor([-2.0, 0.0, 3.0], requires_grad=True)
    Reduction("ASUM", coeff=2.0)(x).backward()
    assert x.grad is not None
    assert x.grad.tolist() == [-2, 0, 2]


def test_reduction_of_nothing() -> None:
    empty = torch.empty(2, 0)
    assert Reduction("SUM", 1)(empty).tolist() == [0, 0]
    assert Reduction("MEAN", 1)(empty).isnan().all()
    assert Reduction("SUMSQ", 1)(torch.empty(0, 3)).shape == (0,)


def test_refused_reductions() -> None:
    for operation in ("SUM", "MEAN"):
        refused("shape [0, 2] has no elements along the axes [0, 1]", lambda op=operation: Reduction(op), (0, 2))
    Reduction("ASUM").setup((0, 2))
    Reduction("SUM", 1).setup((0, 2))
    refused("operation: PROD is unknown; accepted: SUM, ASUM, SUMSQ, MEAN", lambda: Reduction("PROD"))
    refused("axis 2 is out of range", lambda: Reduction(axis=2), (3, 4))
    refused("axis 0 is out of range", Reduction, ())
