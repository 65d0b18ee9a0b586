"""LRN: both regions against sums in a loop, corners of its numbers, refusals, ONNX."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from caffe_compat.layers.lrn import LRN
from tests.layers.single import exports, gradient_holds, keeps_format, refused, same

SHAPE = (2, 7, 5, 4)


def reference(x: np.ndarray, n: int, alpha: float, beta: float, region: str, k: float) -> np.ndarray:
    """The formula of the docstring, window by window."""
    x = x.astype(np.float64)
    sums, reach = np.zeros_like(x), n // 2
    for b, c, h, w in np.ndindex(*x.shape):
        if region == "ACROSS_CHANNELS":
            window = x[b, max(c - reach, 0) : c + reach + 1, h, w]
        else:
            window = x[b, c, max(h - reach, 0) : h + reach + 1, max(w - reach, 0) : w + reach + 1]
        sums[b, c, h, w] = (window**2).sum()
    if region == "ACROSS_CHANNELS":
        return x * (k + alpha / n * sums) ** -beta
    return x * (1 + alpha / n**2 * sums) ** -beta


@pytest.mark.parametrize("region", ["ACROSS_CHANNELS", "WITHIN_CHANNEL"])
@pytest.mark.parametrize(
    ("n", "alpha", "beta", "k"),
    [(5, 1.0, 0.75, 1.0), (3, 0.5, 0.6, 2.0), (1, 0.5, 1.0, 1.0), (9, 2.0, 0.5, 0.1), (31, 1.0, 0.75, 1.0)],
)
def test_formula(n: int, alpha: float, beta: float, k: float, region: str) -> None:
    x = torch.randn(SHAPE)
    layer = LRN(n, alpha, beta, region, k).build(SHAPE)
    same(layer(x), reference(x.numpy(), n, alpha, beta, region, k))
    assert layer.top_shapes(SHAPE) == [SHAPE]


def test_is_torchs_across_channels() -> None:
    x = torch.randn(SHAPE)
    same(LRN(5, 1e-4).build(SHAPE)(x), F.local_response_norm(x, 5, 1e-4, 0.75, 1.0))


@pytest.mark.parametrize("shape", [(0, 3, 4, 5), (2, 1, 4, 5), (2, 3, 1, 1), (1, 1, 1, 1)])
@pytest.mark.parametrize("region", ["ACROSS_CHANNELS", "WITHIN_CHANNEL"])
def test_small_shapes(shape: tuple[int, ...], region: str) -> None:
    x = torch.randn(shape)
    same(LRN(5, 1.0, norm_region=region).build(shape)(x), reference(x.numpy(), 5, 1.0, 0.75, region, 1.0))


@pytest.mark.parametrize(
    ("message", "arguments", "shape"),
    [
        ("local_size: 4 is even; accepted: odd sizes, which have a middle, such as 3 or 5", {"local_size": 4}, SHAPE),
        ("local_size: 0 (or not given) is out of range", {"local_size": 0}, SHAPE),
        ("norm_region: CHANNELS is unknown; accepted: ACROSS_CHANNELS", {"norm_region": "CHANNELS"}, SHAPE),
        ("needs a bottom of 4 axes (batch, channels, height, width), found shape [2, 3]", {}, (2, 3)),
        ("needs a bottom of 4 axes", {"norm_region": "WITHIN_CHANNEL"}, (2, 3, 4)),
    ],
)
def test_refuses(message: str, arguments: dict, shape: tuple[int, ...]) -> None:
    refused(message, lambda: LRN(**arguments), shape)


@pytest.mark.parametrize("region", ["ACROSS_CHANNELS", "WITHIN_CHANNEL"])
def test_gradient(region: str) -> None:
    gradient_holds(LRN(3, 0.8, 0.7, region, 1.5).build((2, 4, 3, 5)), (2, 4, 3, 5))


@pytest.mark.parametrize("region", ["ACROSS_CHANNELS", "WITHIN_CHANNEL"])
def test_channels_last(region: str) -> None:
    keeps_format(LRN(5, norm_region=region).build(SHAPE), torch.randn(SHAPE))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "local_size: 3 alpha: 0.5 beta: 1 k: 2",
        "k: 0.25",
        "alpha: 0",
        "alpha: -0.1 local_size: 3",
        "beta: 0",
        "beta: -0.5",
        "local_size: 31",
        "norm_region: WITHIN_CHANNEL local_size: 3 k: 5",
        "norm_region: WITHIN_CHANNEL alpha: 0 beta: 0",
    ],
)
def test_onnx(text: str) -> None:
    exports("LRN", f"lrn_param {{ {text} }}", SHAPE)
