"""The seven fillers: fans, statistics, exact values, refusals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from caffe_compat.errors import NetError
from caffe_compat.layers.create import filler as from_message
from caffe_compat.layers.fillers import FILLERS, Filler, fan, filler
from caffe_compat.proto import pb
from tests.conftest import DEFAULT_GOLDEN
from tests.golden.distribution import differences

BIG = (50, 40, 5, 6)


def filled(shape: tuple[int, ...], seed: int = 1, **fields: Any) -> Tensor:
    blob = torch.full(shape, float("nan"))
    Filler(**fields).fill(blob, torch.Generator().manual_seed(seed))
    return blob


def test_all_seven_are_known() -> None:
    assert sorted(FILLERS) == ["bilinear", "constant", "gaussian", "msra", "positive_unitball", "uniform", "xavier"]


@pytest.mark.parametrize(
    ("shape", "fan_in", "fan_out"),
    [((6, 4, 3, 2), 24, 36), ((6, 4), 4, 6), ((6,), 1, 6), ((2, 3, 4, 5, 6), 360, 240), ((), 1, 1)],
)
def test_fans(shape: tuple[int, ...], fan_in: float, fan_out: float) -> None:
    """Whole count over the first axis, over the second; one axis: the whole count."""
    assert fan(shape, "FAN_IN") == fan_in
    assert fan(shape, "FAN_OUT") == fan_out
    assert fan(shape, "AVERAGE") == (fan_in + fan_out) / 2


@pytest.mark.parametrize(
    ("fields", "mean", "std", "low", "high"),
    [
        ({"type": "constant", "value": 0.3}, 0.3, 0, 0.3, 0.3),
        ({}, 0, 0, 0, 0),
        ({"type": "uniform"}, 0.5, 12**-0.5, 0, 1),
        ({"type": "uniform", "min": -3.0, "max": -1.0}, -2, 2 / 12**0.5, -3, -1),
        ({"type": "uniform", "min": 2.0, "max": 2.0}, 2, 0, 2, 2),
        ({"type": "gaussian"}, 0, 1, -math.inf, math.inf),
        ({"type": "gaussian", "mean": 5.0, "std": 0.1}, 5, 0.1, -math.inf, math.inf),
        ({"type": "xavier"}, 0, 1200**-0.5, -((3 / 1200) ** 0.5), (3 / 1200) ** 0.5),
        ({"type": "xavier", "variance_norm": "FAN_OUT"}, 0, 1500**-0.5, -((3 / 1500) ** 0.5), (3 / 1500) ** 0.5),
        ({"type": "msra", "variance_norm": "AVERAGE"}, 0, (2 / 1350) ** 0.5, -math.inf, math.inf),
    ],
)
def test_statistics(fields: dict[str, Any], mean: float, std: float, low: float, high: float) -> None:
    x = filled(BIG, **fields).double()
    error = 5 * std / math.sqrt(x.numel()) + 1e-6
    assert abs(x.mean().item() - mean) < error
    assert abs(x.std().item() - std) < error
    assert low - 1e-6 <= x.min().item() <= x.max().item() <= high + 1e-6


def test_sparse_gaussian_keeps_sparse_over_first_axis() -> None:
    x = filled((100, 400), type="gaussian", sparse=15)
    assert abs((x != 0).float().mean().item() - 0.15) < 0.01
    assert not filled((10, 4), type="gaussian", sparse=0).any()
    assert filled((10, 4), type="gaussian", sparse=10).all()


@pytest.mark.parametrize("shape", [(5, 7), (3, 2, 4), (6,), ()])
def test_unitball_items_sum_to_one(shape: tuple[int, ...]) -> None:
    x = filled(shape, type="positive_unitball")
    assert x.min() >= 0
    torch.testing.assert_close(x.reshape(shape[0] if shape else 1, -1).sum(1), torch.ones(shape[0] if shape else 1))


def test_bilinear_is_the_outer_product_of_a_triangle() -> None:
    line = {1: [1.0], 2: [0.5, 0.5], 3: [0.5, 1, 0.5], 4: [0.25, 0.75, 0.75, 0.25]}
    for size, expected in line.items():
        x = filled((2, 3, size, size), type="bilinear")
        torch.testing.assert_close(x, torch.outer(*[torch.tensor(expected)] * 2).expand(2, 3, size, size))


def test_same_seed_same_values() -> None:
    assert torch.equal(filled(BIG, type="msra"), filled(BIG, type="msra"))
    assert not torch.equal(filled(BIG, type="msra"), filled(BIG, seed=2, type="msra"))


@pytest.mark.parametrize(
    ("shape", "fields", "message"),
    [
        ((3,), {"type": "he"}, "unknown filler 'he'; known fillers: bilinear, constant, gaussian"),
        ((3, 0), {}, r"filler 'constant' has nothing to fill: the blob's shape \[3, 0\]"),
        ((3,), {"type": "gaussian", "sparse": -2}, "sparse: -2 is out of range"),
        ((3,), {"type": "uniform", "sparse": 1}, "only gaussian can: remove 'sparse: 1'"),
        ((3, 4), {"type": "gaussian", "sparse": 4}, r"sparse: 4 is more than the 3 items of the first axis"),
        ((), {"type": "gaussian", "sparse": 1}, "needs a blob with an axis"),
        ((3,), {"type": "gaussian", "std": 0.0}, 'std: 0 must be above 0; for equal values use type: "constant"'),
        ((3,), {"type": "uniform", "min": 1.0, "max": 0.5}, "min: 1 is above max: 0.5; exchange them"),
        ((), {"type": "xavier"}, "filler 'xavier' needs a blob with an axis, found a scalar"),
        ((2, 3, 4, 5), {"type": "bilinear"}, r"4 axes with a square kernel, found shape \[2, 3, 4, 5\]"),
        ((4, 4), {"type": "bilinear"}, r"4 axes with a square kernel, found shape \[4, 4\]"),
    ],
)
def test_refusals(shape: tuple[int, ...], fields: dict[str, Any], message: str) -> None:
    with pytest.raises(NetError, match=message):
        Filler(**fields).check(shape)


def test_a_name_is_registered_once() -> None:
    with pytest.raises(NetError, match="filler 'xavier' is registered twice"):
        filler("xavier")(FILLERS["xavier"])


# ---- the real Caffe


FIELDS = {
    "conv_constant": ({"type": "constant", "value": 0.3}, "l.0"),
    "conv_gaussian": ({"type": "gaussian", "mean": 0.5, "std": 0.1}, "l.0"),
    "conv_gaussian_default": ({"type": "gaussian"}, "l.0"),
    "conv_group_xavier": ({"type": "xavier"}, "l.0"),
    "conv_msra": ({"type": "msra"}, "l.0"),
    "conv_msra_AVERAGE": ({"type": "msra", "variance_norm": "AVERAGE"}, "l.0"),
    "conv_msra_FAN_OUT": ({"type": "msra", "variance_norm": "FAN_OUT"}, "l.0"),
    "conv_nofiller": ({}, "l.0"),
    "conv_uniform": ({"type": "uniform", "min": -0.2, "max": 0.7}, "l.0"),
    "conv_uniform_default": ({"type": "uniform"}, "l.0"),
    "conv_xavier": ({"type": "xavier"}, "l.0"),
    "conv_xavier_AVERAGE": ({"type": "xavier", "variance_norm": "AVERAGE"}, "l.0"),
    "conv_xavier_FAN_OUT": ({"type": "xavier", "variance_norm": "FAN_OUT"}, "l.0"),
    "deconv_bilinear_2": ({"type": "bilinear"}, "l.0"),
    "deconv_bilinear_4": ({"type": "bilinear"}, "l.0"),
    "deconv_msra_out": ({"type": "msra", "variance_norm": "FAN_OUT"}, "l.0"),
    "deconv_xavier": ({"type": "xavier"}, "l.0"),
    "embed_uniform": ({"type": "uniform", "min": -0.08, "max": 0.08}, "l.0"),
    "ip_gaussian_sparse": ({"type": "gaussian", "sparse": 15}, "l.0"),
    "ip_unitball": ({"type": "positive_unitball"}, "l.0"),
    "ip_xavier": ({"type": "xavier"}, "l.0"),
    "ip_xavier_transpose": ({"type": "xavier"}, "l.0"),
    "lstm_uniform": ({"type": "uniform", "min": -0.1, "max": 0.1}, "l.0"),
}
"""Case -> the filler of one of its blobs. (tests/golden/test_init.py runs the whole nets.)"""


@pytest.mark.parametrize("case", FIELDS)
def test_distribution_is_caffes(case: str) -> None:
    path = DEFAULT_GOLDEN / "init" / f"{case}.npz"
    if not path.exists():
        pytest.skip("the golden values are not here")
    fields, key = FIELDS[case]
    with np.load(path) as arrays:
        x = filled(tuple(int(size) for size in arrays[f"shape.{key}"]), **fields).numpy()
        assert differences(x, arrays[f"stat.{key}"], arrays[f"quant.{key}"]) == []
        if fields.get("type") in ("bilinear",):
            np.testing.assert_allclose(x, arrays[f"value.{key}"], rtol=0, atol=1e-6)


def test_a_message_becomes_a_filler() -> None:
    message = pb.FillerParameter(type="xavier", variance_norm=pb.enum_value("FillerParameter.VarianceNorm", "FAN_OUT"))
    assert from_message(message) == Filler(type="xavier", variance_norm="FAN_OUT")
    assert from_message(pb.FillerParameter()) == Filler()
