"""The README's table of what works, made from the registered layers and solver types.

``python -m caffe_compat.tools.readme`` prints it; a test holds the README to it.
"""

from __future__ import annotations

from caffe_compat.solver.policies import POLICIES
from caffe_compat.solver.updates import RULES
from caffe_compat.tools.support import Row, support_rows


def readme_table() -> str:
    """Markdown: layers by origin, solver types, learning-rate policies."""
    rows = support_rows()
    caffe = [row for row in rows if row.origin == "Caffe"]
    lines = ["| what | works |", "| --- | --- |"]
    lines.append(f"| Caffe's layers | {_built(caffe)} of {len(caffe)} types build and train: {_names(caffe)} |")
    ours = [row for row in rows if row.origin == "caffe_compat" and row.build.ok]
    lines.append(f"| layers of this project | {_names(ours)} |")
    forks = [row for row in rows if row.origin not in ("Caffe", "caffe_compat")]
    built = f": {_names(forks)}" if _built(forks) else " yet"
    lines.append(f"| layers of Caffe's forks | {_built(forks)} of {len(forks)} known types{built} |")
    no_onnx = [row for row in caffe if row.build.ok and not row.export.ok]
    without = f"all but {_names(no_onnx)}" if no_onnx else "all of them"
    lines.append(f"| ONNX export | {without}; what a configuration cannot do is in `caffe-compat layers` |")
    lines.append(f"| solvers | {', '.join(sorted(RULES))} |")
    lines.append(f"| learning-rate policies | {', '.join(POLICIES)}, and a linear warm-up (`warmup_iter`) |")
    return "\n".join(lines)


def _built(rows: list[Row]) -> int:
    return sum(row.build.ok for row in rows)


def _names(rows: list[Row]) -> str:
    return ", ".join(row.type for row in rows if row.build.ok)


if __name__ == "__main__":
    print(readme_table())
