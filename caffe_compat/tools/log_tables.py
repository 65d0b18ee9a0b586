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


def write_tables(log: TrainingLog, folder: str | os.PathLike[str], delimiter: str = ",") -> dict[Path, int]:
    """Write ``LOG.train`` and ``LOG.test`` into ``folder``; their paths and numbers of rows."""
    written = {}
    for phase, rows in (("train", log.train), ("test", log.test)):
        path = Path(folder) / f"{log.name}.{phase}"
        text = as_csv(rows, delimiter)
        with atomic_write(path, "w") as file:
            file.write(text)
        written[path] = max(text.count("\n") - 1, 0)
    return written


def as_csv(rows: Sequence[Row], delimiter: str = ",") -> str:
    """The rows as CSV: NumIters, Seconds, LearningRate, and each output that some row has.

    As in Caffe, rows without outputs are left out (the loss after the last update). Where none has any, as in logs of
    2013, the loss is the column.
    """
    cells = [row.cells() for row in rows if row.outputs]
    cells = cells or [{**row.cells(), "loss": row.loss} for row in rows if row.loss is not None]
    names = dict.fromkeys(name for row in cells for name in row)
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", delimiter=delimiter, lineterminator="\n")
    if cells:
        writer.writeheader()
    writer.writerows(cells)
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
