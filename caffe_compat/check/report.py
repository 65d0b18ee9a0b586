"""The rows of a check as text that a person reads."""

from __future__ import annotations

import re
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
    """Failures counted by the unsupported layer types that they name, or else by the start of their message."""
    found: dict[str, list[str]] = {}
    for row in rows:
        for reason in _failure(row):
            found.setdefault(reason, []).append(row["path"])
    head = ["", "reasons, commonest first:"] if found else []
    common = sorted(found.items(), key=lambda item: -len(item[1]))[:most]
    return head + [f"{len(paths):>5}  {reason}  (e.g. {paths[0]})" for reason, paths in common]


def _failure(row: dict[str, Any]) -> list[str]:
    """Why the file failed, without its name and the places in it, so that equal reasons are equal text."""
    stage = next((stage for stage in STAGES if row[stage] and not row[stage]["ok"]), None)
    if stage is None:
        return []
    message = row[stage]["message"]
    if row["unsupported"] and "unknown layer type" in message:
        return [f"layer type {name} is not supported" for name in row["unsupported"]]
    path = re.escape(row["path"]) + "(:[0-9]+)*"
    first = re.sub(f" \\({path}\\)|{path}(: )?", "", message.partition("\n")[0])
    return [f"{stage}: {first[:200]}"]
