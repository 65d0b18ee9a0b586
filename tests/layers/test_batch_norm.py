"""BatchNorm: statistics as Caffe accumulates them, and the fused call with weight and bias."""

from __future__ import annotations

import pytest
import torch

from caffe_compat.errors import NetError
from caffe_compat.layers.batch_norm import BatchNorm
from tests.layers.checking import check_channels_last, check_gradient, check_onnx, check_shapes, made, values

SHAPES = [(6, 4), (2, 3, 5), (2, 3, 4, 5), (3, 2, 2, 4, 1), (5, 1), (1, 3, 2)]
MODES = [("TRAIN", None), ("TEST", None), ("TEST", False), ("TRAIN", True)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("phase", "use_global_stats"), MODES)
def test_value_gradient_shape_and_onnx(shape: tuple[int, ...], phase: str, use_global_stats: bool | None) -> None:
    x = values(*shape)
    layer = made(BatchNorm(use_global_stats=use_global_stats, eps=0.01), x, phase=phase)
    axes = [axis for axis in range(len(shape)) if axis != 1]
    mean, variance = x.mean(axes), x.var(axes, correction=0)
    if use_global_stats or (phase == "TEST" and use_global_stats is None):
        mean, variance = layer.mean / layer.scale_factor, layer.variance / layer.scale_factor
    wide = (-1,) + (1,) * (len(shape) - 2)
    expected = (x - mean.reshape(wide)) / torch.sqrt(variance.reshape(wide) + 0.01)
    check_onnx(layer, x)
    torch.testing.assert_close(layer(x), expected)
    check_shapes(layer, x)
    check_channels_last(layer, x)
    check_gradient(layer, x)


def test_blobs_start_at_zero_and_are_not_trained() -> None:
    layer = made(BatchNorm(), values(2, 3, 4), seed=None)
    assert layer.blob_names == ["mean", "variance", "scale_factor"]
    assert [tuple(blob.shape) for blob in layer.blobs] == [(3,), (3,), (1,)]
    assert not any(blob.any() for blob in layer.blobs)
    assert list(layer.parameters()) == []


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_statistics_are_sums_with_a_weight(phase: str) -> None:
    """Also in TEST where use_global_stats is false; the variance gets m / (m - 1)."""
    layer = made(
        BatchNorm(use_global_stats=False, moving_average_fraction=0.9), values(4, 3, 2), phase=phase, seed=None
    )
    mean, variance = torch.zeros(3), torch.zeros(3)
    for seed in range(3):
        x = values(4, 3, 2, seed=seed)
        layer(x)
        mean = 0.9 * mean + x.mean((0, 2))
        variance = 0.9 * variance + x.var((0, 2), correction=1)
    torch.testing.assert_close(layer.mean, mean)
    torch.testing.assert_close(layer.variance, variance)
    torch.testing.assert_close(layer.scale_factor, torch.tensor([0.81 + 0.9 + 1]))


def test_a_single_value_per_channel() -> None:
    """m = 1: the output is 0, the factor m / (m - 1) counts as 1, nothing becomes nan."""
    x = values(1, 3, 1).requires_grad_()
    layer = made(BatchNorm(), x, seed=None)
    y = layer(x)
    y.sum().backward()
    assert not y.any()
    assert not layer.variance.any()
    assert not x.grad.any()
    torch.testing.assert_close(layer.mean, x.detach().flatten())


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 2, 2)])
def test_values_near_their_mean_are_not_lost(shape: tuple[int, ...]) -> None:
    """On both sides of the number of values where torch's kernel takes over."""
    x = 30 + values(*shape)
    layer = made(BatchNorm(), x)
    exact = made(BatchNorm(), x).double()(x.double())
    torch.testing.assert_close(layer(x).double(), exact, rtol=0, atol=2e-5)


def test_scale_factor_zero_means_mean_and_variance_zero() -> None:
    x = values(2, 3)
    layer = made(BatchNorm(eps=0.25), x, phase="TEST")
    layer.scale_factor.zero_()
    torch.testing.assert_close(layer(x), x / 0.5)
    check_onnx(layer, x)


def test_global_statistics_leave_the_blobs_alone() -> None:
    x = values(2, 3, 4)
    layer = made(BatchNorm(), x, phase="TEST")
    before = [blob.clone() for blob in layer.blobs]
    layer(x)
    assert all(torch.equal(old, new) for old, new in zip(before, layer.blobs, strict=True))


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_normalize_with_weight_and_bias_is_batch_norm_then_scale(phase: str) -> None:
    x, weight, bias = values(2, 3, 4, 5), values(3), values(3, seed=9)
    layer = made(BatchNorm(), x, phase=phase)
    wide = (3, 1, 1)
    torch.testing.assert_close(layer.normalize(x, weight, bias), layer(x) * weight.view(wide) + bias.view(wide))
    few = x[:1, :, :1, :3]
    torch.testing.assert_close(layer.normalize(few, weight, bias), layer(few) * weight.view(wide) + bias.view(wide))
    torch.testing.assert_close(layer.normalize(few, weight), layer(few) * weight.view(wide))


def test_the_whole_layer_compiles_without_a_break() -> None:
    x = values(2, 3, 4)
    layer = made(BatchNorm(), x)
    expected = layer(x)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), expected)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((4,), r"shape \[4\]; accepted: two axes or more, so reshape"),
        ((), r"shape \[\]; accepted: two axes"),
        ((0, 3), r"no statistics over a bottom without elements, of shape \[0, 3\]"),
        ((2, 0, 3), "without elements"),
    ],
)
def test_refusals(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(NetError, match=message):
        BatchNorm().setup(shape)


def test_other_channels_are_refused_when_they_come() -> None:
    layer = made(BatchNorm(), values(2, 3))
    with pytest.raises(NetError, match=r"has statistics of 3 channels \(axis 1\), found a bottom of \[2, 1\]"):
        layer(values(2, 1))


def test_an_empty_batch_moves_no_statistics() -> None:
    layer = made(BatchNorm(), values(2, 3))
    before = [blob.clone() for blob in layer.blobs]
    with pytest.raises(NetError, match=r"no statistics over a bottom without elements, of shape \[0, 3\]"):
        layer(values(0, 3))
    assert all(torch.equal(old, new) for old, new in zip(before, layer.blobs, strict=True))
    assert layer.eval()(values(0, 3)).shape == (0, 3)
