"""The demo's two pictures, drawn with matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from caffe_compat.errors import CaffeCompatError


@dataclass
class Curve:
    """What one stage of training reported: (iteration, value) pairs; accuracy as a share from 0 to 1."""

    title: str
    loss: list[tuple[int, float]] = field(default_factory=list)
    test_loss: list[tuple[int, float]] = field(default_factory=list)
    accuracy: list[tuple[int, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Prediction:
    """A digit (height, width; uint8), its label, and what the exported net says of it."""

    image: np.ndarray
    label: int
    predicted: int
    probability: float


def check_matplotlib() -> None:
    """Raises CaffeCompatError with the remedy when matplotlib is not installed."""
    try:
        import matplotlib

        matplotlib.use("Agg")
    except ImportError as error:
        raise CaffeCompatError(
            "the demo draws its pictures with matplotlib, which is not installed: pip install 'caffe-compat[plot]'"
        ) from error


def draw_curves(curves: Sequence[Curve], path: Path) -> None:
    """Loss and accuracy of the stages, one behind the other on the axis of iterations."""
    from matplotlib import pyplot

    figure, (losses, accuracies) = pyplot.subplots(2, 1, figsize=(8, 6.5), sharex=True)
    start = 0
    for curve, colour in zip(curves, ("tab:blue", "tab:orange"), strict=False):
        for axes, points, style, label in (
            (losses, curve.loss, "-", f"{curve.title}, training"),
            (losses, curve.test_loss, "o", f"{curve.title}, test"),
            (accuracies, curve.accuracy, "o-", f"{curve.title}, test"),
        ):
            axes.plot([start + i for i, _ in points], [value for _, value in points], style, color=colour, label=label)
        start += max(i for i, _ in (*curve.loss, *curve.accuracy))
    losses.set(ylabel="loss", yscale="log")
    accuracies.set(ylabel="accuracy", xlabel="iteration", ylim=(0.8, 1.0))
    for axes in (losses, accuracies):
        axes.legend()
        axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def draw_digits(predictions: Sequence[Prediction], path: Path, columns: int = 8) -> None:
    """Digits with the prediction below each; a wrong one is red and tells the true label."""
    from matplotlib import pyplot

    rows = -(-len(predictions) // columns)
    figure, grid = pyplot.subplots(rows, columns, figsize=(columns * 1.15, rows * 1.45), squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, prediction in zip(grid.flat, predictions, strict=False):
        right = prediction.predicted == prediction.label
        text = f"{prediction.predicted}  ({prediction.probability:.0%})" + ("" if right else f"\nis {prediction.label}")
        axes.imshow(prediction.image, cmap="gray_r", vmin=0, vmax=255)
        axes.text(0.5, -0.08, text, transform=axes.transAxes, ha="center", va="top", fontsize=9,
                  color="black" if right else "red")  # fmt: skip
    figure.subplots_adjust(left=0.02, right=0.98, top=0.98, bottom=0.1, hspace=0.55)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
