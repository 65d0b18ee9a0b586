"""Gathers the preprocessing of an exported net: from the data layer that it had, or from the caller."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from caffe_compat.data.paths import resolve_path
from caffe_compat.errors import CaffeCompatError, ExportError
from caffe_compat.export.input_shape import stored_size
from caffe_compat.export.lower import Lowered
from caffe_compat.export.preprocessing import INDEPENDENT, PROBABILITIES, SCORES, Preprocessing
from caffe_compat.net import Net
from caffe_compat.weights.mean import read_mean

_KINDS = {"Softmax": PROBABILITIES, "Sigmoid": INDEPENDENT}


@dataclass(frozen=True)
class Given:
    """What the caller says about the input; None where the data layer decides."""

    labels: Sequence[str] | str | os.PathLike[str] | None = None
    mean: str | os.PathLike[str] | np.ndarray | None = None
    mean_values: Sequence[float] | None = None
    scale: float | None = None
    channel_order: str | None = None
    resize: tuple[int, int] | None = None
    in_graph: bool = False


def gather(net: Net, lowered: Lowered, data_layers: list[Any], given: Given, notes: list[str]) -> Preprocessing:
    """The facts for the model's metadata. Adds to ``notes`` what is not known. Raises ExportError."""
    name = lowered.inputs[0] if lowered.inputs else ""
    layer = next((layer for layer in data_layers if name in layer.top), None)
    folder = Path(net.document.source).parent
    shape = net.shapes[name] if name else ()
    image, values = _mean(layer, given, folder, notes)
    transform = layer.transform_param if layer is not None else None
    order = given.channel_order
    if order is None:
        order = {1: "GRAY", 3: "BGR"}.get(shape[1], "") if len(shape) == 4 else ""
    facts = Preprocessing(
        input_name=name,
        mean_values=values,
        mean_image=image,
        scale=float(given.scale if given.scale is not None else transform.scale if transform is not None else 1.0),
        channel_order=order.upper(),
        resize=given.resize or _resize(layer, image, shape, folder),
        in_graph=given.in_graph,
        labels=read_labels(given.labels),
        outputs=_kinds(net, lowered),
        source=Path(net.document.source).name,
        net=net.name,
    )
    notes += _count_labels(net, lowered, facts.labels)
    return facts.fitted(tuple(shape))


def _count_labels(net: Net, lowered: Lowered, labels: Sequence[str]) -> list[str]:
    """A note where no output has as many classes as there are labels."""
    classes = {name: net.shapes[blob][1] for blob, name in lowered.outputs.items() if len(net.shapes[blob]) > 1}
    if not labels or not classes or len(labels) in classes.values():
        return []
    found = ", ".join(f"{name} has {count} classes" for name, count in classes.items())
    return [f"{len(labels)} labels are given, but {found}; give one label for each class, in their order"]


def read_labels(labels: Sequence[str] | str | os.PathLike[str] | None) -> tuple[str, ...]:
    """Labels as they are, or from a text file with one a line."""
    if labels is None:
        return ()
    if not isinstance(labels, (str, os.PathLike)):
        return tuple(str(label) for label in labels)
    try:
        text = Path(labels).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(
            f"cannot read the labels {os.fspath(labels)}: {getattr(error, 'strerror', None) or 'they are not UTF-8'}; "
            "give a UTF-8 text, one label a line"
        ) from error
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _mean(layer: Any, given: Given, folder: Path, notes: list[str]) -> tuple[np.ndarray | None, tuple[float, ...]]:
    if given.mean is not None and given.mean_values is not None:
        raise ExportError("mean and mean_values are both given; accepted: one of the two")
    if given.mean_values is not None:
        return None, tuple(float(value) for value in given.mean_values)
    if given.mean is not None:
        return _image(given.mean), ()
    transform = layer.transform_param if layer is not None else None
    if transform is None or not transform.HasField("mean_file"):
        return None, tuple(transform.mean_value) if transform is not None else ()
    try:
        return read_mean(resolve_path(transform.mean_file, folder, "transform_param's mean_file")), ()
    except CaffeCompatError as error:
        raise ExportError(
            f"the mean of layer '{layer.name}' is needed for the input's preprocessing: {error}; or give it as --mean "
            "FILE or --mean-values B,G,R (in Python: mean=, mean_values=)"
        ) from error


def _image(mean: Any) -> np.ndarray:
    if isinstance(mean, np.ndarray):
        return mean.astype(np.float32)
    return read_mean(mean)


def _resize(layer: Any, mean: np.ndarray | None, shape: Sequence[int], folder: Path) -> tuple[int, int] | None:
    """(height, width) of the pictures before the crop; None where that is the input's size or not known."""
    size = stored_size(layer, folder) if layer is not None and len(shape) == 4 else None
    if size is None and mean is not None and mean.ndim == 3:
        size = (mean.shape[1], mean.shape[2])
    fits = size is not None and len(shape) == 4 and size[0] >= shape[2] and size[1] >= shape[3]
    return size if fits and size != tuple(shape[2:]) else None


def _kinds(net: Net, lowered: Lowered) -> dict[str, str]:
    """Output name -> its kind, by the layer that made it."""
    makers = {top: node.type for node in net.nodes for top in node.tops}
    return {name: _KINDS.get(makers[blob], SCORES) for blob, name in lowered.outputs.items()}
