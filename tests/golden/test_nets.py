"""Whole nets over 50 iterations: the loss curve, the weights on the way and at the end, the scores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from caffe_compat.api import load_net
from tests.golden.build import param, set_params, skip_missing_in
from tests.golden.cases import Case
from tests.golden.compare import CURVE, Comparison, to_numpy
from tests.golden.training import Recorder, skip_missing_solver

HALF = 2.0**-11
"""Relative rounding of float16."""


@pytest.mark.golden("nets")
def test_net(case: Case) -> None:
    Path("net.prototxt").write_text(case.text("net"))
    skip_missing_in(case.text("net"))
    skip_missing_solver(case.text("solver"))
    compare_run(case, {key: value.astype(np.float32) for key, value in case.part("init").items()})


def compare_run(case: Case, weights: dict[str, np.ndarray]) -> None:
    """Train, and compare everything on the way and at the end."""
    recorder = Recorder(case.text("solver"), rows(case))
    net = recorder.solver.net
    set_params(net, weights)
    norms = []
    for _ in range(case.meta["iters"] // 10):
        recorder.step(10)
        norms.append([np.linalg.norm(to_numpy(param(net, key))) for key in case.arrays["norm_keys"]])
    with Comparison(case, CURVE) as compare:
        compare("losses", recorder.losses)
        for i, key in enumerate(case.arrays["norm_keys"]):
            noise = case.noise.get("norms", 0.0)
            compare(f"norms of {key}", np.array(norms)[:, i], case.arrays["norms"][:, i], noise)
        compare_final(compare, net)
        compare_scores(compare, net)


def rows(case: Case) -> Iterator[dict[str, torch.Tensor]]:
    """The inputs of each forward pass: the rows, over and over."""
    meta = case.meta
    data = (case.arrays["data_u8"].astype(np.float32) - np.float32(meta["shift"])) * np.float32(meta["scale"])
    number = 0
    while True:
        at = (number * meta["batch"] + np.arange(meta["batch"])) % meta["rows"]
        yield {"data": torch.from_numpy(data[at]), "label": torch.from_numpy(case.arrays["label"][at])}
        number += 1


def compare_final(compare: Comparison, net: Any) -> None:
    """The weights at the end; large ones are stored in float16, with their first 1000 values in float32."""
    arrays = compare.case.arrays
    for key, expected in compare.case.part("final").items():
        ours = to_numpy(param(net, key))
        rounding = HALF * float(np.abs(expected).max()) if expected.dtype == np.float16 else 0.0
        compare(f"final.{key}", ours, noise=rounding)
        if f"finalhead.{key}" in arrays:
            compare(f"finalhead.{key}", ours.ravel()[:1000])
        compare_sums(compare, key, ours.astype(np.float64))


def compare_sums(compare: Comparison, key: str, ours: np.ndarray) -> None:
    """Sum, sum of absolute values and of squares; a sum is judged by the absolute one."""
    total, absolute, squares = compare.case.arrays[f"sums.{key}"]
    noise = compare.case.noise.get(f"sums.{key}", 0.0)
    compare(f"sum of {key}", ours.sum(), total, noise + CURVE * absolute)
    compare(f"absolute sum of {key}", np.abs(ours).sum(), absolute, noise)
    compare(f"sum of squares of {key}", (ours**2).sum(), squares, noise)


def compare_scores(compare: Comparison, trained: Any) -> None:
    """The net in the TEST phase with the weights that we came to, on the first rows."""
    net = load_net("net.prototxt", phase="TEST")
    net.keep_blobs = True
    set_params(net, {key: to_numpy(param(trained, key)) for key in compare.case.part("final")})
    net(**next(rows(compare.case)))
    for name in compare.case.part("test"):
        compare(f"test.{name}", net.blobs[name])
