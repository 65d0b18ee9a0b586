"""Fillers: deterministic values exactly, random ones by their statistics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from caffe_compat.api import load_net
from tests.golden.build import param, skip_missing_in
from tests.golden.cases import Case
from tests.golden.compare import Comparison, difference, to_numpy
from tests.golden.distribution import differences, same_distribution


@pytest.mark.golden("init")
def test_fillers(case: Case) -> None:
    skip_missing_in(case.text("prototxt"))
    net = load_net(case.text("prototxt"), phase=case.text("phase"))
    problems = []
    for key, stat in case.part("stat").items():
        found = filled(net, key)
        if found.shape != tuple(case.arrays[f"shape.{key}"]):
            problems.append(f"{key}: shape {found.shape}, Caffe has {tuple(case.arrays[f'shape.{key}'])}")
        problems += [f"{key}: {text}" for text in differences(found, stat, case.arrays[f"quant.{key}"])]
    assert not problems, "\n".join([str(case), *problems])
    with Comparison(case) as compare:
        for key in case.part("value"):
            if deterministic(case, key):
                compare(f"value.{key}", filled(net, key))
        for key in case.part("rowsum"):
            compare(f"rowsum.{key}", row_sums(filled(net, key)))


def filled(net: Any, key: str) -> np.ndarray:
    """The parameter LAYER.I, or the top of a source layer: blob.NAME."""
    if not key.startswith("blob."):
        return to_numpy(param(net, key))
    net.keep_blobs = True
    net()
    return to_numpy(net.blobs[key.removeprefix("blob.")])


def deterministic(case: Case, key: str) -> bool:
    """Only the random fillers give every item of a blob values of its own."""
    value = case.arrays[f"value.{key}"]
    return bool(np.all(value == value[:1]))


def row_sums(values: np.ndarray) -> np.ndarray:
    sums = values.reshape(len(values), -1).sum(1)
    return np.array([sums.min(), sums.max()])


def sample_statistics(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    stat = np.array([x.size, x.mean(), x.std(), x.min(), x.max(), (x == 0).mean()])
    return stat, np.quantile(x, (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99))


def test_the_bounds_tell_distributions_apart() -> None:
    """Mutations: another spread, mean, share of zeros, and shape with the same mean and spread."""
    random = np.random.default_rng(1)
    stat, quantiles = sample_statistics(random.normal(0, 1, 100_000))
    right = random.normal(0, 1, 100_000)
    assert differences(right, stat, quantiles) == []
    wrong = {
        "spread": right * 1.03,
        "mean": right + 0.05,
        "zeros": right * (random.random(100_000) > 0.01),
        "shape": random.uniform(-np.sqrt(3), np.sqrt(3), 100_000),
        "count": right[1:],
    }
    assert [name for name, sample in wrong.items() if not differences(sample, stat, quantiles)] == []


def test_a_uniform_filler_with_another_limit_is_found() -> None:
    random = np.random.default_rng(2)
    stat, quantiles = sample_statistics(random.uniform(-1, 1, 100_000))
    assert differences(random.uniform(-1, 1, 100_000), stat, quantiles) == []
    assert differences(random.uniform(-1.002, 1.002, 100_000), stat, quantiles) != []


def test_the_mask_test_tells_distributions_apart() -> None:
    random = np.random.default_rng(3)
    caffes = np.where(random.random(2000) < 0.4, 0, 1 / 0.6)
    same_distribution(np.where(random.random(2000) < 0.4, 0, 1 / 0.6 + 1e-6), caffes, "mask")
    for dropped, scale in ((0.6, 1 / 0.6), (0.4, 1.7)):
        with pytest.raises(AssertionError, match="distributions differ"):
            same_distribution(np.where(random.random(2000) < dropped, 0, scale), caffes, "mask")
    assert difference(row_sums(np.full((3, 4), 0.25)), np.ones(2), 1e-5) is None
