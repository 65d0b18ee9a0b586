"""The functions behind ``import caffe_compat``; imported at their first use, because they bring torch."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch

import caffe_compat.data  # noqa: F401 - registers the sources of the data layers
from caffe_compat.errors import CaffeCompatError, IgnoredFieldWarning
from caffe_compat.net import Net
from caffe_compat.proto import Document, read_net


def load_net(
    path_or_text: str | os.PathLike[str],
    phase: str = "TEST",
    level: int = 0,
    stages: Sequence[str] = (),
    weights: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    device: str | torch.device = "cpu",
    seed: int | None = None,
    strict: bool = False,
    input_shape: Mapping[str, Sequence[int]] | Sequence[int] | None = None,
) -> Net:
    """Read a net prototxt (a file, or its text) and build it.

    phase: "TRAIN" or "TEST". level, stages: the net state that include and exclude rules are held against.
    weights: one file or several, loaded in order by layer name (.caffemodel; "a.caffemodel,b.caffemodel" too). What
    became of each layer is in ``net.load_report``; in TEST a layer that no file has is also a warning.
    device: where the blobs lie; "meta" builds shapes without memory. seed: of fillers and data layers.
    strict: unknown fields are an error. Otherwise each is ignored with an IgnoredFieldWarning, and is among the
    ``net.document.notes``.
    input_shape: the caller feeds the net, ``net(data=x, label=y)``: its data layers become inputs. The shape of the
    only input, or a dict by name, ``{"data": (1, 3, 227, 227)}``; labels are one for each item unless given.
    Raises PrototxtError, NetError, WeightsError, DataError, each naming file and line or layer.
    """
    document = read_net(path_or_text, strict=strict)
    try:
        net = _built(document, phase, level, stages, device, seed, input_shape)
    except CaffeCompatError as error:
        if not document.ignored:
            raise
        raise type(error)("\n".join([str(error), *(f"note: {note}" for note in document.ignored)])) from error
    for note in document.ignored:
        warnings.warn(note, IgnoredFieldWarning, stacklevel=2)
    if weights:
        from caffe_compat.weights.load import load_weights, weight_paths

        report = load_weights(net, weights)
        if report.untouched and phase == "TEST":
            warnings.warn(f"{', '.join(map(str, weight_paths(weights)))}: {report}", stacklevel=2)
    return net


def _built(
    document: Document, phase: str, level: int, stages: Sequence[str], device: Any, seed: int | None, input_shape: Any
) -> Net:
    if input_shape is None:
        return Net(document, phase, level, stages, device, seed)
    from caffe_compat.export.dataless import build_without_data
    from caffe_compat.export.input_shape import named_shapes

    shapes = named_shapes(input_shape, document)
    return build_without_data(document, phase, level, stages, shapes, device, seed)


def export_onnx(net_or_path: Any, out: str | os.PathLike[str], weights: Any = None, **options: Any) -> Any:
    """Export a net for deployment: see ``caffe_compat.export.export_onnx``."""
    from caffe_compat.export.onnx_file import export_onnx as export

    report = export(net_or_path, out, weights, **options)
    for note in report.notes:
        if note.endswith(": ignored"):
            warnings.warn(note, IgnoredFieldWarning, stacklevel=2)
    return report
