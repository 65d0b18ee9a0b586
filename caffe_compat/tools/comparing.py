"""Two runs side by side: at which iteration their logs or snapshots part; how the layers of two weight files differ."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from caffe_compat.errors import CaffeCompatError
from caffe_compat.tools.training_log import TrainingLog, read_log
from caffe_compat.tools.weight_files import FORMATS, Arrays, read_arrays

StrPath = str | os.PathLike[str]
_SNAPSHOT = re.compile(r"(.*_iter_)(\d+)\.caffemodel(?:\.h5)?")


@dataclass
class Difference:
    """How one quantity differs. ``error``: the largest difference, as a share of the largest value there.

    ``iteration``: the first one beyond the tolerance; None where there is none, or nothing of the kind. ``values``:
    the two there, or the norms of the two blobs.
    """

    name: str
    error: float
    iteration: int | None = None
    values: tuple[float, float] | None = None


@dataclass
class Comparison:
    """``rows``: the quantities. ``only``: what only the first, or only the second has. ``parted``: any difference
    beyond the tolerance; ``iteration``: the first iteration with one."""

    kind: str
    tolerance: float
    rows: list[Difference] = field(default_factory=list)
    only: tuple[list[str], list[str]] = field(default_factory=lambda: ([], []))
    iterations: list[int] = field(default_factory=list)

    @property
    def parted(self) -> bool:
        return any(row.error > self.tolerance for row in self.rows) or any(self.only)

    @property
    def iteration(self) -> int | None:
        return min((row.iteration for row in self.rows if row.iteration is not None), default=None)

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        rows = [{**asdict(row), "error": row.error if math.isfinite(row.error) else None} for row in self.rows]
        return {"kind": self.kind, "parted": self.parted, "iteration": self.iteration, "tolerance": self.tolerance,
                "rows": rows, "only": self.only}  # fmt: skip


def compare(left: StrPath, right: StrPath, tolerance: float) -> Comparison:
    """Compare two logs, two weight files, or two series of snapshots (``PREFIX`` of PREFIX_iter_N.caffemodel, or the
    folder they are in). Raises CaffeCompatError where one of them is nothing of the kind, or they are of two kinds.
    """
    kinds = kind_of(left), kind_of(right)
    if kinds[0] != kinds[1]:
        raise CaffeCompatError(f"{left} is {kinds[0]}, and {right} {kinds[1]}; compare two of one kind")
    compared = _COMPARE[kinds[0]](left, right, tolerance)
    if not compared.rows:
        raise CaffeCompatError(f"{left} and {right} have nothing in common that could be compared")
    return compared


def kind_of(name: StrPath) -> str:
    """ "a log", "weights" or "snapshots"."""
    path = Path(name)
    if path.is_file() and ".solverstate" in path.name:
        raise CaffeCompatError(f"{path} is a solver state; compare the .caffemodel files beside them")
    if path.is_file():
        return "weights" if path.name.endswith((*FORMATS, ".h5")) else "a log"
    if snapshots(name):
        return "snapshots"
    raise CaffeCompatError(
        f"there is neither a file {path}, nor a snapshot {path}_iter_N.caffemodel; accepted: two logs, two weight "
        "files, or the prefixes (or folders) of two series of snapshots"
    )


def snapshots(name: StrPath) -> dict[int, Path]:
    """Iteration -> weights, of the snapshots of a prefix, or in a folder of one run. Raises CaffeCompatError."""
    path = Path(name)
    folder, prefix = (path, None) if path.is_dir() else (path.parent, f"{path.name}_iter_")
    found: dict[str, dict[int, Path]] = {}
    for file in sorted(folder.iterdir()) if folder.is_dir() else []:
        match = _SNAPSHOT.fullmatch(file.name)
        if match and prefix in (None, match[1]):
            found.setdefault(match[1], {})[int(match[2])] = file
    if len(found) > 1:
        prefixes = ", ".join(str(folder / name.removesuffix("_iter_")) for name in found)
        raise CaffeCompatError(f"the folder {folder} holds snapshots of several runs: {prefixes}; name one of these")
    return dict(sorted(next(iter(found.values())).items())) if found else {}


def compare_logs(left: StrPath, right: StrPath, tolerance: float) -> Comparison:
    """Every quantity at every iteration that both logs tell of."""
    curves = _curves(read_log(left)), _curves(read_log(right))
    result = Comparison("logs", tolerance)
    for name in curves[0].keys() & curves[1].keys():
        common = sorted(curves[0][name].keys() & curves[1][name].keys())
        if common:
            result.rows.append(_along(name, {i: (curves[0][name][i], curves[1][name][i]) for i in common}, tolerance))
            result.iterations = sorted({*result.iterations, *common})
    order = list(curves[0])
    result.rows.sort(key=lambda row: order.index(row.name))
    result.only = _only(curves[0], curves[1])
    return result


def _curves(log: TrainingLog) -> dict[str, dict[int, float]]:
    """Quantity -> iteration -> value; of an iteration that was run twice, the last."""
    curves: dict[str, dict[int, float]] = {}
    for phase, rows in (("train", log.train), ("test", log.test)):
        for row in rows:
            values = {f"{phase} {name}": value for name, value in row.outputs.items()}
            if phase == "train":
                values["learning rate"] = row.rate
            if row.loss is not None:
                values["smoothed loss" if phase == "train" else "test loss"] = row.loss
            for name, value in values.items():
                curves.setdefault(name, {})[row.iteration] = value
    return curves


def _along(name: str, pairs: Mapping[int, tuple[float, float]], tolerance: float) -> Difference:
    errors = {iteration: _error(*pair) for iteration, pair in pairs.items()}
    first = next((iteration for iteration, error in errors.items() if error > tolerance), None)
    return Difference(name, max(errors.values()), first, pairs[first] if first is not None else None)


def _error(left: float, right: float) -> float:
    if left == right or (math.isnan(left) and math.isnan(right)):
        return 0.0
    error = abs(left - right) / max(abs(left), abs(right))
    return error if math.isfinite(error) else math.inf


def compare_weights(left: StrPath, right: StrPath, tolerance: float) -> Comparison:
    """Every blob that both files have."""
    result = Comparison("weights", tolerance)
    arrays = read_arrays(left), read_arrays(right)
    result.rows = list(_blobs(*arrays))
    result.only = _only(*arrays)
    return result


def _blobs(left: Arrays, right: Arrays) -> Iterator[Difference]:
    for name in left:
        if name in right:
            norms = float(np.linalg.norm(left[name])), float(np.linalg.norm(right[name]))
            yield Difference(name, _array_error(left[name], right[name]), values=norms)


def _array_error(left: np.ndarray, right: np.ndarray) -> float:
    if left.shape != right.shape:
        return math.inf
    if np.array_equal(left, right, equal_nan=True):
        return 0.0
    largest = max(np.abs(left).max(), np.abs(right).max())
    error = float(np.abs(left.astype(np.float64) - right).max() / largest)
    return error if math.isfinite(error) else math.inf


def compare_snapshots(left: StrPath, right: StrPath, tolerance: float) -> Comparison:
    """Every blob at every iteration of which both series have a snapshot."""
    series = snapshots(left), snapshots(right)
    result = Comparison("snapshots", tolerance, iterations=sorted(series[0].keys() & series[1].keys()))
    rows: dict[str, Difference] = {}
    for iteration in result.iterations:
        arrays = read_arrays(series[0][iteration]), read_arrays(series[1][iteration])
        result.only = _only(*arrays)
        for found in _blobs(*arrays):
            row = rows.setdefault(found.name, Difference(found.name, 0.0))
            row.error = max(row.error, found.error)
            if found.error > tolerance and row.iteration is None:
                row.iteration, row.values = iteration, found.values
    result.rows = list(rows.values())
    return result


def _only(left: Mapping[str, Any], right: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    return [name for name in left if name not in right], [name for name in right if name not in left]


_COMPARE = {"a log": compare_logs, "weights": compare_weights, "snapshots": compare_snapshots}
