"""The harness itself: a case with one wrong value must fail, whichever array it is in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from caffe_compat.errors import CaffeCompatError
from tests.conftest import DEFAULT_GOLDEN
from tests.golden.cases import Case, find
from tests.golden.test_layer import test_onnx as onnx_of
from tests.golden.test_layer import test_torch as torch_of
from tests.golden.test_reject import test_verdict as verdict_of
from tests.golden.test_solver import test_solver as solver_of


def case_of(group: str, name: str) -> Case:
    return next(case for case in find(DEFAULT_GOLDEN, group) if case.name == name)


def mutated(case: Case, key: str, folder: Path) -> Case:
    """The case with one element of one array off by a thousandth of the largest."""
    arrays = {name: np.array(value) for name, value in case.arrays.items()}
    wrong = arrays[key].astype(np.float64)
    wrong.flat[-1] += max(1e-3 * np.nanmax(np.abs(wrong)), 1e-6)
    arrays[key] = wrong.astype(arrays[key].dtype)
    np.savez(folder / "mutated.npz", **arrays)
    return replace(case, path=folder / "mutated.npz")


@pytest.mark.parametrize("key", ["out.loss", "out.o", "out.h", "loss", "pgrad.ip_h.0", "pgrad.ip_o.1"])
def test_a_wrong_value_of_a_net_is_found(key: str, tmp_path: Path) -> None:
    case = case_of("layer", "net_propagate_down_false")
    torch_of(case, True)
    with pytest.raises(AssertionError, match=f"\n{key}: "):
        torch_of(mutated(case, key, tmp_path), True)


@pytest.mark.parametrize("key", ["out.y", "grad.x", "param_after.l.0", "param_after.l.2"])
def test_a_wrong_gradient_or_statistic_is_found(key: str, tmp_path: Path) -> None:
    case = case_of("layer", "BatchNorm_train_stats")
    with pytest.raises(AssertionError, match=f"\n{key}: "):
        torch_of(mutated(case, key, tmp_path), True)


def test_a_wrong_output_in_onnx_is_found(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"\nout\.y: "):
        onnx_of(mutated(case_of("layer", "Convolution_basic"), "out.y", tmp_path), 17)


@pytest.mark.parametrize("key", ["losses", "lr", "clip_norm", "trace.1", "trace.3", "final.ip_o.1"])
def test_a_wrong_value_of_a_training_is_found(key: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=f"\n{key}"):
        solver_of(mutated(case_of("solver", "sgd_clip_itersize"), key, tmp_path))


@pytest.mark.parametrize("name", ["ok_conv:init", "unknown_field:init", "solver_ok:two iterations"])
def test_a_wrong_verdict_is_found(name: str) -> None:
    case = case_of("reject", name)
    verdict = {"message": "", **case.entry, "accepted": not case.entry["accepted"]}
    with pytest.raises((CaffeCompatError, pytest.fail.Exception)):  # a refusal, or the absence of one
        verdict_of(replace(case, entry=verdict))
