"""The table at the end of a run over golden values: what happened to the cases of each group."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

GROUPS = "layer|fuzz|solver|init|nets|reject|files"
GOLDEN_ID = re.compile(rf"golden/test_\w+\.py::(test_\w+)\[(({GROUPS})/[^\]]*?)(-every_blob|-outputs|-\d+)?\]$")
PLACE = re.compile(r"layer '.*?' \((\w+)\), .*?:\d+:\d+: ")
NOT_LOWERED, MISSING = "not lowered: ", "missing: "
WORST_FIRST = ("failed", "error", "missing", "not lowered", "skipped", "passed")


@dataclass
class Tally:
    """What happened to each case: a case counts as failed when one of its tests fails."""

    outcome: dict[tuple[str, str], str] = field(default_factory=dict)
    missing: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    not_lowered: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def add(self, outcome: str, report: Any) -> None:
        """Count one report of pytest; reports of other tests are left out."""
        match = GOLDEN_ID.search(report.nodeid)
        if not match:
            return
        test, case, group = match.group(1, 2, 3)
        reason = skip_reason(report) if outcome == "skipped" else ""
        if reason.startswith(MISSING):
            outcome = "missing"
            for name in reason.removeprefix(MISSING).split(", "):
                self.missing[name].add(case)
        elif reason.startswith(NOT_LOWERED):
            outcome = "not lowered"
            self.not_lowered[in_short(reason.removeprefix(NOT_LOWERED))].add(case)
        key = (f"{group} (onnx)" if test == "test_onnx" else group, case)
        self.outcome[key] = min(outcome, self.outcome.get(key, "passed"), key=WORST_FIRST.index)

    def rows(self) -> dict[str, Counter[str]]:
        """Group -> number of cases by outcome."""
        rows: dict[str, Counter[str]] = defaultdict(Counter)
        for (row, _), outcome in self.outcome.items():
            rows[row][outcome] += 1
        return rows


def skip_reason(report: Any) -> str:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")


def in_short(error: str) -> str:
    """Layer type and reason of an ExportError, without the place: the same for all nets."""
    found = [PLACE.sub(r"\1: ", line.strip()) for line in error.splitlines() if PLACE.search(line)]
    return "; ".join(sorted(set(found))) or error


def tally(stats: dict[str, list[Any]]) -> Tally:
    """Count the reports that pytest's terminal reporter holds."""
    result = Tally()
    for outcome in ("passed", "failed", "skipped", "error"):
        for report in stats.get(outcome, []):
            result.add(outcome, report)
    return result


def lines(result: Tally) -> Iterator[str]:
    """The table as text."""
    columns = ("passed", "failed", "error", "missing", "not lowered", "skipped")
    yield f"{'cases':16}" + "".join(f"{column:>13}" for column in columns)
    for row, counts in sorted(result.rows().items()):
        yield f"{row:16}" + "".join(f"{counts[column]:13}" for column in columns)
    if result.missing:
        names = sorted(result.missing.items())
        yield "missing types (cases): " + ", ".join(f"{name} ({len(cases)})" for name, cases in names)
    for reason, cases in sorted(result.not_lowered.items()):
        yield f"not lowered: {reason} ({len(cases)}): " + ", ".join(sorted(cases))
