"""Which files there are to check, and what each one is."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from caffe_compat.errors import CaffeCompatError

TEXT = (".prototxt", ".pt", ".prototext", ".pbtxt", ".txt.prototxt")
WEIGHTS = (".caffemodel", ".solverstate", ".binaryproto", ".h5")
MISSING = "no such file or folder"
_NET = re.compile(r"^\s*(layers?|input|input_dim|input_shape|force_backward)\s*[:{<]", re.M)
_SOLVER = re.compile(
    r"^\s*(net|train_net|test_net|net_param|train_net_param|base_lr|lr_policy|max_iter|solver_mode|solver_type)\s*[:{<]",
    re.M,
)


def find_files(names: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The files named, and every prototxt and weights file below the folders named, sorted.

    A name that does not exist stays in the list, and `check_file` tells of it. Raises CaffeCompatError where none does.
    """
    paths = [Path(name) for name in names]
    there = [os.path.exists(path) for path in paths]  # Path.exists raises for too long a name
    if not any(there):
        raise CaffeCompatError(f"{', '.join(map(str, paths))}: {MISSING}")
    found: list[Path] = []
    for path in paths:
        below = path.rglob("*") if os.path.isdir(path) else ()
        inside = sorted(p for p in below if p.is_file() and p.name.endswith(TEXT + WEIGHTS))
        found.extend(inside if os.path.isdir(path) else [path])
    return found


def kind_of(path: Path) -> str:
    """"net", "solver", "weights" or "other", from the name and, for text, the fields at hand."""
    if path.name.endswith(WEIGHTS):
        return "weights"
    text = path.read_text(encoding="utf-8", errors="replace")
    net, solver = _NET.search(text), _SOLVER.search(text)
    if solver and (not net or solver.start() < net.start()):
        return "solver"
    return "net" if net else "other"
