"""The rows of a training's log as the two CSV files of Caffe's parse_log.py, or as JSON."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from caffe_compat.files import atomic_write
from caffe_compat.tools.training_log import Row, TrainingLog


def write_tables(log: TrainingLog, folder: str | os.PathLike[str], delimiter: str = ",") -> list[Path]:
    """Write ``LOG.train`` and ``LOG.test`` into ``folder``; their paths."""
    paths = [Path(folder) / f"{log.name}.{phase}" for phase in ("train", "test")]
    for path, rows in zip(paths, (log.train, log.test), strict=True):
        with atomic_write(path, "w") as file:
            file.write(as_csv(rows, delimiter))
    return paths


def as_csv(rows: Sequence[Row], delimiter: str = ",") -> str:
    """The rows as CSV: NumIters, Seconds, LearningRate, and each output that some row has."""
    names = dict.fromkeys(name for row in rows for name in row.cells())
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", delimiter=delimiter, lineterminator="\n")
    if rows:
        writer.writeheader()
    for row in rows:
        writer.writerow(row.cells())
    return text.getvalue()


def as_json(log: TrainingLog) -> str:
    """Both tables, with the smoothed loss (or the test loss) as Loss; null where a number is none."""
    return json.dumps(
        {"train": [_plain(row) for row in log.train], "test": [_plain(row) for row in log.test]}, indent=1
    )


def _plain(row: Row) -> dict[str, Any]:
    cells = {**row.cells(), "NumIters": row.iteration}
    if row.loss is not None:
        cells["Loss"] = row.loss
    return {name: value if math.isfinite(value) else None for name, value in cells.items()}
