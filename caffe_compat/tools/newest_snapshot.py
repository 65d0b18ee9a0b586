"""The newest snapshot of a run that can be continued."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from caffe_compat.errors import CaffeCompatError
from caffe_compat.solver.snapshot import read_state
from caffe_compat.weights.caffemodel import stored_layers


def newest_snapshot(prefix: str) -> tuple[Path | None, list[str]]:
    """The .solverstate of ``PREFIX_iter_N`` with the highest N that is whole, as are its weights; and what to tell.

    None where there is none: the run has not come to a snapshot yet.
    """
    notes = []
    for path in _states(prefix):
        try:
            stored = read_state(path)
            stored_layers(stored.model)
        except CaffeCompatError as error:
            notes.append(f"--snapshot auto leaves out {path}: {error}")
            continue
        return path, [*notes, f"--snapshot auto continues {path} (iteration {stored.message.iter})"]
    return None, [*notes, f"--snapshot auto found no snapshot {prefix}_iter_N.solverstate: the training starts anew"]


def _states(prefix: str) -> Iterator[Path]:
    """The states of a prefix, the newest first."""
    start = Path(f"{prefix}_iter_")
    pattern = re.compile(re.escape(start.name) + r"(\d+)\.solverstate(\.h5)?")
    names = [path.name for path in start.parent.iterdir()] if start.parent.is_dir() else []
    found = [(int(match[1]), match[0]) for match in map(pattern.fullmatch, names) if match]
    for _, name in sorted(found, reverse=True):
        yield start.parent / name
