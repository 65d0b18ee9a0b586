"""The rows of a check as text that a person reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from caffe_compat.check.stages import STAGES

_MARKS = {True: "yes", False: "NO", None: "-"}


def as_text(rows: Sequence[dict[str, Any]]) -> str:
    """One line a file, then counts, then the commonest reasons."""
    width = max((len(row["path"]) for row in rows), default=4)
    lines = ["  ".join(["file".ljust(width), "kind   ", *(stage.ljust(6) for stage in STAGES)]).rstrip()]
    for row in rows:
        marks = (_MARKS[row[stage]["ok"] if row[stage] else None].ljust(6) for stage in STAGES)
        lines.append("  ".join([row["path"].ljust(width), row["kind"].ljust(7), *marks]).rstrip())
    return "\n".join([*lines, "", *_counts(rows), *_reasons(rows)])


def _counts(rows: Sequence[dict[str, Any]]) -> list[str]:
    lines = [f"{len(rows)} files: " + ", ".join(f"{n} {kind}" for kind, n in Counter(r["kind"] for r in rows).items())]
    for stage in STAGES:
        results = [row[stage]["ok"] for row in rows if row[stage]]
        lines.append(f"{stage:>7}: {sum(results)} of {len(results)}")
    return lines


def _reasons(rows: Sequence[dict[str, Any]], most: int = 12) -> list[str]:
    """Failures counted by their unsupported layer types, or else by the start of their message."""
    reasons: Counter[str] = Counter()
    for row in rows:
        failed = next((stage for stage in STAGES if row[stage] and not row[stage]["ok"]), None)
        if failed and row["unsupported"]:
            reasons.update(f"layer type {name} is not supported" for name in row["unsupported"])
        elif failed:
            reasons[f"{failed}: {row['path']}: {row[failed]['message'][:200]}"] += 1
    head = ["", "reasons, commonest first:"] if reasons else []
    return head + [f"{count:>5}  {reason}" for reason, count in reasons.most_common(most)]
