"""Curves of one or more logs: loss, other outputs such as accuracy, and the learning rate, over the iterations."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from caffe_compat.errors import CaffeCompatError
from caffe_compat.files import atomic_write
from caffe_compat.tools.training_log import Row, TrainingLog

FORMATS = (".png", ".svg")
Points = list[tuple[int, float]]
_STYLES = ("-", "--", ":", "-.")


def plot_logs(logs: Sequence[TrainingLog], out: str | os.PathLike[str]) -> None:
    """Write the picture; the name's end says which format. Raises CaffeCompatError, also without matplotlib."""
    path = Path(out)
    if path.suffix.lower() not in FORMATS:
        raise CaffeCompatError(f"{path}: the name's end says the format; accepted: {', '.join(FORMATS)}")
    pyplot = _pyplot()
    panels = [(name, draw) for name, draw in _PANELS.items() if any(draw(log) for log in logs)]
    figure, grid = pyplot.subplots(len(panels), 1, figsize=(9, 3 * len(panels) + 0.6), sharex=True, squeeze=False)
    for axes, (name, curves) in zip(grid.flat, panels, strict=True):
        for index, log in enumerate(logs):
            _draw(axes, curves(log), f"C{index}", f"{log.name}: " if len(logs) > 1 else "")
        axes.set(ylabel=name, yscale="log" if _wide(line for line in axes.lines) else "linear")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    grid.flat[-1].set(xlabel="iteration")
    figure.tight_layout()
    with atomic_write(path) as file:
        figure.savefig(file, format=path.suffix[1:].lower(), dpi=110)
    pyplot.close(figure)


def _pyplot() -> Any:
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError as error:
        raise CaffeCompatError(
            "pictures of logs need matplotlib, which is not installed: pip install 'caffe-compat[plot]'"
        ) from error
    return pyplot


def _loss(log: TrainingLog) -> dict[str, Points]:
    smoothed = [(row.iteration, row.loss) for row in log.train if row.loss is not None]
    curves = {"training, smoothed": smoothed} if smoothed else _outputs(log.train, "training", log.losses)
    return {**curves, **_outputs(log.test, "test", log.losses)}


def _others(log: TrainingLog) -> dict[str, Points]:
    names = {name for row in (*log.train, *log.test) for name in row.outputs} - log.losses
    return {**_outputs(log.train, "training", names), **_outputs(log.test, "test", names)}


def _rate(log: TrainingLog) -> dict[str, Points]:
    points = [(row.iteration, row.rate) for row in log.train or log.test if math.isfinite(row.rate)]
    return {"learning rate": points} if points else {}


_PANELS: dict[str, Callable[[TrainingLog], dict[str, Points]]] = {
    "loss": _loss,
    "accuracy, other outputs": _others,
    "learning rate": _rate,
}


def _outputs(rows: Sequence[Row], phase: str, names: set[str]) -> dict[str, Points]:
    """Curves of the named outputs, in the order of the log."""
    curves: dict[str, Points] = {}
    for row in rows:
        for name, value in row.outputs.items():
            if name in names:
                curves.setdefault(f"{phase}, {name}", []).append((row.iteration, value))
    return curves


def _draw(axes: Any, curves: dict[str, Points], colour: str, prefix: str) -> None:
    """Curves of one log have one colour; tests have points, and several of a kind different lines."""
    seen = {"test": 0, "training": 0}
    for label, points in curves.items():
        kind = "test" if label.startswith("test") else "training"
        style = _STYLES[seen[kind] % len(_STYLES)]
        seen[kind] += 1
        axes.plot(
            [iteration for iteration, _ in points],
            [value for _, value in points],
            style,
            color=colour,
            marker="o" if kind == "test" else None,
            markersize=3.5,
            linewidth=1 if kind == "training" else 1.4,
            alpha=0.75 if kind == "training" else 1.0,
            label=prefix + label,
        )


def _wide(lines: Any) -> bool:
    """Whether the values are positive and span more than a factor of 30: then their logarithm shows more."""
    values = [float(value) for line in lines for value in line.get_ydata() if math.isfinite(value)]
    return bool(values) and min(values) > 0 and max(values) > 30 * min(values)
