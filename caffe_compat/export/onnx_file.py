"""From a prototxt and its weights to an .onnx file that is checked, verified, and says how to feed it."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnx import helper

from caffe_compat.errors import WeightsError
from caffe_compat.export.deploy import Deployed, deploy_net
from caffe_compat.export.facts import Given, gather
from caffe_compat.export.folding import fold_scales
from caffe_compat.export.input_shape import InputShapes, named_shapes, shapes_given
from caffe_compat.export.lower import SYMBOLIC, lower
from caffe_compat.export.opsets import checked_opset
from caffe_compat.export.prepend import prepend_preprocessing
from caffe_compat.export.preprocessing import to_metadata
from caffe_compat.export.report import ExportReport, sizes
from caffe_compat.export.saving import refuse_unwritable, staged
from caffe_compat.export.unknown import refuse_unknown_types
from caffe_compat.export.verify import TOLERANCE, VerifyReport, verify
from caffe_compat.net import Net
from caffe_compat.net.state import stage_names
from caffe_compat.proto import read_net
from caffe_compat.weights import load_weights


def export_onnx(
    net_or_path: Net | str | os.PathLike[str],
    out: str | os.PathLike[str],
    weights: Any = None,
    *,
    phase: str = "TEST",
    level: int = 0,
    stages: Sequence[str] = (),
    opset: int | None = None,
    batch: str | int | None = SYMBOLIC,
    input_shape: InputShapes | Sequence[int] | None = None,
    outputs: Sequence[str] | None = None,
    labels: Sequence[str] | str | os.PathLike[str] | None = None,
    mean: str | os.PathLike[str] | np.ndarray | None = None,
    mean_values: Sequence[float] | None = None,
    scale: float | None = None,
    channel_order: str | None = None,
    resize: tuple[int, int] | None = None,
    deploy: bool = True,
    fold: bool = False,
    preprocess_in_graph: bool = False,
    verify: bool = True,
    tolerance: float = TOLERANCE,
    strict: bool = False,
) -> ExportReport:
    """Write the .onnx file of a net: a train_val or deploy prototxt (file or text) with its weights, or a Net.

    deploy: a train_val net is first brought into its deploy form. opset: 13 to the newest, 17 by default.
    batch: "symbolic", a number, or None for the prototxt's. input_shape: of inputs whose data is not here, or other
    than the prototxt's: {"data": (1, 3, 227, 227)}, or the shape of the only input. outputs: blobs to compute.
    labels (a list, or a text file with one a line), mean (a .binaryproto or an array (C, H, W)), mean_values, scale,
    channel_order ("BGR", "RGB", "GRAY"), resize (height, width before the crop): the preprocessing that the file tells
    its users; by default that of the TEST data layer. preprocess_in_graph: the graph itself does (x - mean) * scale.
    fold: BatchNorm and Scale into the convolutions before them. verify: compare onnxruntime with torch first.
    Raises ExportError (and PrototxtError, NetError, WeightsError, DataError); then nothing is written.
    """
    start = time.perf_counter()
    refuse_unwritable(out)
    opset = checked_opset(opset)
    notes: list[str] = []
    net, data_layers = _prepare(net_or_path, weights, phase, level, stages, input_shape, deploy, strict, notes)
    lowered = lower(net, opset, batch, outputs)
    notes += lowered.notes
    model = lowered.model
    if fold and (folded := fold_scales(model)):
        notes.append(f"{folded} nodes were folded into convolutions")
    given = Given(labels, mean, mean_values, scale, channel_order, resize, preprocess_in_graph)
    facts = gather(net, lowered, data_layers, given, notes)
    if preprocess_in_graph:
        prepend_preprocessing(model, facts)
    helper.set_model_props(model, to_metadata(facts, opset))
    report = ExportReport(
        Path(out), opset, lowered.batch, sizes(model.graph.input), sizes(model.graph.output), len(model.graph.node),
        0, 0.0, facts, None, notes,
    )  # fmt: skip
    with staged(model, out) as candidate:
        if verify:
            report.verified = _verify(net, candidate, tolerance)
    report.bytes = Path(out).stat().st_size
    report.seconds = time.perf_counter() - start
    return report


_verify_net = verify


def _verify(net: Net, model: Any, tolerance: float) -> VerifyReport:
    report = _verify_net(net, model, tolerance=tolerance)
    report.check()
    return report


def _prepare(
    net_or_path: Any, weights: Any, phase: str, level: int, stages: Sequence[str], input_shape: Any, deploy: bool,
    strict: bool, notes: list[str],
) -> tuple[Net, list[Any]]:  # fmt: skip
    """The net to lower, and the data layers that it had."""
    built = net_or_path if isinstance(net_or_path, Net) else None
    if built is not None:
        document, level, stages = built.document, built.state.level, tuple(built.state.stages)
    else:
        stages = stage_names(stages)
        document = read_net(net_or_path, strict=strict)
        notes += document.notes
    if not deploy:
        net = built or Net(document, phase, level, tuple(stages))
        data_layers = [node.param for node in net.nodes if node.param.HasField("transform_param")]
        return _filled(net, built, weights, notes, document.ignored), data_layers
    shapes = _shapes(input_shape, document, built)
    deployed = deploy_net(document, level, tuple(stages), shapes)
    notes += deployed.notes
    reasons = [*document.ignored, *deployed.notes]
    if built is not None and not deployed.changed and input_shape is None and built.phase == "TEST":
        return _filled(built, built, weights, notes, reasons), []
    with shapes_given(shapes if input_shape is not None else None):
        net = _rebuild(deployed, level, stages)
    return _filled(net, built, weights, notes, reasons), deployed.data_layers


def _shapes(input_shape: Any, document: Any, built: Net | None) -> InputShapes:
    """Input shapes by name. A net that runs already knows those of its data layers."""
    if input_shape is not None:
        return named_shapes(input_shape, document)
    known = [] if built is None else [node for node in built.nodes if node.name in built.sources]
    return {top: shape for node in known for top, shape in zip(node.tops, node.top_shapes, strict=True)}


def _rebuild(deployed: Deployed, level: int, stages: Sequence[str]) -> Net:
    refuse_unknown_types(deployed.document)
    return Net(deployed.document, "TEST", level, tuple(stages), seed=0)


def _filled(net: Net, built: Net | None, weights: Any, notes: list[str], reasons: Sequence[str]) -> Net:
    """The net with the weights of files, or of the Net that it was made from; ``reasons``: why they may not fit."""
    if built is not None and net is not built:
        _copy_blobs(built, net)
    if weights:
        net = copy.deepcopy(net) if net is built else net  # the caller's keeps its own
        try:
            report = load_weights(net, weights)
        except WeightsError as error:  # an assumed shape may be the reason
            raise WeightsError("\n".join([str(error), *(f"note: {note}" for note in reasons)])) from error
        if report.untouched and built is None:
            notes.append(f"no weights for {', '.join(report.untouched)}: they keep the values of their fillers")
    elif built is None and net.learnable:
        notes.append("no weights are given: the file holds the values of the fillers")
    return net


def _copy_blobs(source: Net, target: Net) -> None:
    layers = {(node.where, node.name): node.layer for node in reversed(source.nodes)}  # names may occur twice
    with torch.no_grad():
        for node in target.nodes:
            values = layers[node.where, node.name].blobs if node.layer.blobs else ()
            for blob, value in zip(node.layer.blobs, values, strict=True):
                blob.copy_(value)
