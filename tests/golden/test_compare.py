"""The harness must fail when a value is wrong: one small mutation each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.golden import compare
from tests.golden.cases import FINDERS, Case, find, unknown_folders
from tests.golden.compare import Comparison, difference

EXPECTED = np.array([[1.0, -100.0, 3.0], [4.0, 5.0, 6.0]], np.float32)


def test_equal_arrays_pass() -> None:
    assert difference(EXPECTED.copy(), EXPECTED, 0.0) is None


def test_tolerance_is_relative_to_the_largest_absolute_value() -> None:
    found = EXPECTED + np.array([[9e-4, 0, 0], [0, 0, 0]])
    assert difference(found, EXPECTED, 1e-5) is None
    assert difference(found, EXPECTED, 8e-6) is not None


def test_noise_adds_to_the_tolerance() -> None:
    assert difference(EXPECTED + 5e-3, EXPECTED, 1e-5) is not None
    assert difference(EXPECTED + 5e-3, EXPECTED, 1e-5, noise=5e-3) is None


@pytest.mark.parametrize(
    "found",
    [
        EXPECTED.T,
        EXPECTED[None],
        EXPECTED[:1],
        -EXPECTED,
        np.where(EXPECTED == 6, 6.01, EXPECTED),
        np.where(EXPECTED == 6, np.nan, EXPECTED),
        np.where(EXPECTED == 6, np.inf, EXPECTED),
        np.zeros_like(EXPECTED),
    ],
    ids=["transposed", "axis more", "row less", "sign", "one value", "nan", "inf", "zeros"],
)
def test_a_wrong_array_fails(found: np.ndarray) -> None:
    assert difference(found, EXPECTED, 1e-5) is not None


def test_nan_and_infinity_pass_where_caffe_has_them() -> None:
    expected = np.array([np.nan, np.inf, -np.inf, 1.0])
    assert difference(expected.copy(), expected, 1e-5) is None
    assert difference(np.array([np.nan, np.inf, np.inf, 1.0]), expected, 1e-5) is not None
    assert difference(np.array([0.0, np.inf, -np.inf, 1.0]), expected, 1e-5) is not None


def test_zero_must_be_exactly_zero() -> None:
    assert difference(np.full(3, 1e-30), np.zeros(3), 1e-5) is not None


def saved_case(tmp_path: Path, **arrays: np.ndarray) -> Case:
    (tmp_path / "layer").mkdir()
    np.savez(tmp_path / "layer" / "A.npz", **arrays)
    (tmp_path / "noise.json").write_text('{"layer/A": {"out.y": 0.5}}')
    return find(tmp_path, "layer")[0]


def test_comparison_lists_all_that_differs(tmp_path: Path) -> None:
    case = saved_case(tmp_path, **{"out.y": EXPECTED, "out.z": EXPECTED, "meta": np.array("{}")})
    check = Comparison(case)
    check("out.y", torch.tensor(EXPECTED + 0.6))
    check("out.z", torch.tensor(EXPECTED + 0.4))
    with pytest.raises(AssertionError, match=r"layer/A\nout.y: .*\nout.z: "):
        check.finish()
    with Comparison(case) as check:
        check("out.y", torch.tensor(EXPECTED + 0.4))


def test_comparison_leaves_out_defects_of_the_program(tmp_path: Path) -> None:
    case = saved_case(tmp_path, **{"grad.x": EXPECTED, "meta": np.array('{"defect": ["grad.x"]}')})
    with Comparison(case) as check:
        check("grad.x", -EXPECTED)


def test_a_wider_tolerance_belongs_to_its_array_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "WIDER", {"layer/A:out.y": (0.1, "for this test")})
    case = saved_case(tmp_path, **{"out.y": EXPECTED, "out.z": EXPECTED, "meta": np.array("{}")})
    check = Comparison(case)
    check("out.y", torch.tensor(EXPECTED + 9))
    assert not check.problems
    check("out.z", torch.tensor(EXPECTED + 9))
    assert len(check.problems) == 1


def test_every_wider_tolerance_has_a_reason() -> None:
    assert all(tolerance > compare.TOLERANCE and reason for tolerance, reason in compare.WIDER.values())


def test_missing_groups_are_no_error(tmp_path: Path) -> None:
    assert all(find(tmp_path, finder) == [] for finder in FINDERS)


def test_folders_that_no_test_knows_are_told(tmp_path: Path) -> None:
    for name in ("train_log", "something_new"):
        (tmp_path / "files" / name).mkdir(parents=True)
    assert unknown_folders(tmp_path) == ["files/something_new"]
