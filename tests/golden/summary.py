"""The table at the end of a run over golden values: per group, what passed, failed, is missing, did not lower."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

GOLDEN_ID = re.compile(r"(test_\w+)\[(?:.*-)?((layer|fuzz|solver|init|nets|reject|files)/[^\]]*)\]$")
NOT_LOWERED = "not lowered: "
MISSING = "missing: "


@dataclass
class Tally:
    """Counts of outcomes by group, the missing names by group, and cases by the reason why they do not lower."""

    outcomes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    missing: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    not_lowered: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, outcome: str, report: Any) -> None:
        """Count one report of pytest."""
        match = GOLDEN_ID.search(report.nodeid)
        if not match:
            return
        test, case, group = match.groups()
        row = f"{group} (onnx)" if test == "test_onnx" else group
        reason = skip_reason(report) if outcome == "skipped" else ""
        if reason.startswith(MISSING):
            outcome = "missing"
            self.missing[row].update(reason.removeprefix(MISSING).split(", "))
        elif reason.startswith(NOT_LOWERED):
            outcome = "not lowered"
            self.not_lowered[reason.removeprefix(NOT_LOWERED)].append(case)
        self.outcomes[row][outcome] += 1


def skip_reason(report: Any) -> str:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")


def tally(stats: dict[str, list[Any]]) -> Tally:
    """Count the reports that pytest's terminal reporter holds."""
    result = Tally()
    for outcome in ("passed", "failed", "skipped", "error"):
        for report in stats.get(outcome, []):
            result.add(outcome, report)
    return result


def lines(result: Tally) -> Iterable[str]:
    """The table as text."""
    columns = ("passed", "failed", "error", "missing", "not lowered", "skipped")
    yield f"{'':16}" + "".join(f"{column:>13}" for column in columns)
    for row, counts in sorted(result.outcomes.items()):
        yield f"{row:16}" + "".join(f"{counts[column]:13}" for column in columns)
    for row, names in sorted(result.missing.items()):
        yield f"missing in {row}: " + ", ".join(f"{name} ({count})" for name, count in sorted(names.items()))
    for reason, cases in sorted(result.not_lowered.items()):
        yield f"not lowered: {reason}: " + ", ".join(sorted(set(cases)))
