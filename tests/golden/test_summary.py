"""The table at the end of a run: nothing is counted as passed that did not pass."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tests.golden.summary import lines, tally


def report(test: str, case: str, skipped: str = "") -> Any:
    reason = ("file.py", 1, f"Skipped: {skipped}") if skipped else None
    return SimpleNamespace(nodeid=f"tests/golden/test_layer.py::{test}[{case}]", longrepr=reason)


STATS = {
    "passed": [report("test_torch", "layer/A-every_blob"), report("test_torch", "layer/B-outputs")],
    "failed": [report("test_torch", "layer/B-every_blob")],
    "skipped": [
        report("test_torch", "layer/C-outputs", "missing: Foo, Bar"),
        report("test_torch", "layer/D-outputs", "missing: Foo"),
        report("test_onnx", "layer/A-13", "not lowered: the net cannot be exported:\n  layer 'l' (Ex), a:1:2: why"),
        report("test_onnx", "layer/B-13", "not lowered: the net cannot be exported:\n  layer 'm' (Ex), b:3:4: why"),
    ],
}


def test_a_case_counts_once_by_its_worst_test() -> None:
    rows = tally(STATS).rows()
    assert rows["layer"] == {"passed": 1, "failed": 1, "missing": 2}
    assert rows["layer (onnx)"] == {"not lowered": 2}


def test_missing_types_are_listed_with_their_number_of_cases() -> None:
    assert "missing types (cases): Bar (1), Foo (2)" in list(lines(tally(STATS)))


def test_reasons_are_the_same_for_all_nets() -> None:
    assert "not lowered: Ex: why (2): layer/A, layer/B" in list(lines(tally(STATS)))


def test_other_tests_are_left_out() -> None:
    elsewhere = SimpleNamespace(nodeid="tests/solver/test_rules.py::test_x[solver/sgd]", longrepr=None)
    assert not tally({"passed": [report("test_x", "something"), report("test_x", "conv/A"), elsewhere]}).rows()
