"""From a Net to an ONNX graph: every layer lowers itself, this walks the net and gives the names."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field

import onnx

from caffe_compat.errors import CannotLower, ExportError, NetError
from caffe_compat.export.dims import BlobDims, fixed_dims, is_input, static_dims, symbolic_dims
from caffe_compat.export.graph import GraphBuilder, Value, tensor_info
from caffe_compat.export.naming import Names, Version, name_values
from caffe_compat.export.opsets import checked_opset
from caffe_compat.net import Net, Node

SYMBOLIC = "symbolic"


@dataclass(frozen=True)
class Lowered:
    """A net as an ONNX graph.

    ``inputs``: names of the graph's inputs, in the order of the prototxt. ``outputs``: blob -> name of the output
    that holds it; the same name, but for a blob that is written in place over an input. ``batch``: "N", or the
    number that the batch size is fixed to (None where no input has a batch axis). ``notes``: what the user should
    know.
    """

    model: onnx.ModelProto
    inputs: list[str]
    outputs: dict[str, str]
    batch: str | int | None
    notes: list[str] = field(default_factory=list)


def lower_net(
    net: Net, opset: int | None = None, batch: str | int | None = SYMBOLIC, outputs: Sequence[str] | None = None
) -> onnx.ModelProto:
    """The ONNX model of ``net`` in its phase; see ``lower``."""
    return lower(net, opset, batch, outputs).model


def lower(
    net: Net, opset: int | None = None, batch: str | int | None = SYMBOLIC, outputs: Sequence[str] | None = None
) -> Lowered:
    """Lower ``net`` in its phase to an ONNX graph of float32 values.

    The tops of Input and data layers that are read become the graph's inputs. ``opset``: 13 to the newest; 17 by
    default. ``batch``: "symbolic" (the first axis of the inputs is "N"; where the net fixes its batch size, the
    file's is taken and a note tells), a number, or None for the file's. ``outputs``: blobs to compute, by default
    the net's outputs; layers that these do not need are left out.
    Raises ExportError: one for all layers that do not lower, with type, place and reason of each.
    """
    opset = checked_opset(opset)
    _check_batch(batch)
    wanted = _wanted(net, outputs)
    nodes = _needed(net, wanted)
    if batch != SYMBOLIC:
        return _with_dims(net, nodes, wanted, opset, _fixed(net, nodes, batch))
    try:
        return _with_dims(net, nodes, wanted, opset, symbolic_dims(net, _inputs(nodes)))
    except (NetError, ExportError) as error:
        lowered = _with_dims(net, nodes, wanted, opset, fixed_dims(net, _inputs(nodes), None))
        first = str(error).removeprefix(_HEADING).strip().splitlines()[0]
        lowered.notes.append(f"the batch size is fixed to {lowered.batch}, as in the prototxt, because {first}")
        return lowered


_HEADING = "the net cannot be exported:\n"


def _check_batch(batch: str | int | None) -> None:
    number = isinstance(batch, int) and not isinstance(batch, bool) and batch > 0
    if batch is not None and batch != SYMBOLIC and not number:
        raise ExportError(f"batch is {batch!r}; accepted: 'symbolic', a number from 1, or None for the prototxt's")


def _wanted(net: Net, outputs: Sequence[str] | None) -> list[str]:
    """The blobs to compute. Inputs that nobody reads are no outputs worth a graph."""
    given = {top for node in net.nodes if is_input(node) for top in node.tops}
    written = {top for node in net.nodes if not is_input(node) for top in node.tops}
    if outputs is None:
        outputs = [name for name in net.outputs if name in written or name not in given]
        if not outputs:
            raise ExportError("the net has no output that a layer computes, so there is nothing to export")
    if not outputs:
        raise ExportError("the list of outputs is empty: name at least one blob")
    for name in outputs:
        if name not in given | written:
            near = difflib.get_close_matches(name, written, n=3) or sorted(written)
            raise ExportError(f"output '{name}' is no blob of the net; blobs: {', '.join(near)}")
    return list(dict.fromkeys(outputs))


def _needed(net: Net, wanted: Sequence[str]) -> list[Node]:
    """The nodes that the wanted blobs depend on."""
    missing, nodes = set(wanted), []
    for node in reversed(net.nodes):
        if missing.intersection(node.tops):
            missing.difference_update(node.tops)
            missing.update(node.bottoms)
            nodes.append(node)
    return nodes[::-1]


def _inputs(nodes: Sequence[Node]) -> list[str]:
    """Tops of Input and data layers that are read, in the order of the prototxt."""
    read = {name for node in nodes for name in node.bottoms}
    return [top for node in nodes if is_input(node) for top in node.tops if top in read]


def _fixed(net: Net, nodes: list[Node], batch: str | int | None) -> BlobDims:
    assert not isinstance(batch, str)
    try:
        return fixed_dims(net, _inputs(nodes), batch)
    except NetError as error:
        raise ExportError(f"the net does not take batch size {batch}: {error}") from error


def _with_dims(net: Net, nodes: list[Node], wanted: list[str], opset: int, dims: BlobDims) -> Lowered:
    reserved = {name for node in nodes for name in (*node.bottoms, *node.tops)}
    g = GraphBuilder(opset, _parameter_names(net), reserved)
    inputs = _inputs(nodes)
    versions = _walk(g, nodes, dims)
    names = name_values(g, inputs, versions, wanted)
    first = {version.blob: version.dims for version in versions if not version.layer}
    model = g.model(
        net.name,
        [tensor_info(name, first[name]) for name in inputs],
        [tensor_info(name, names.values[name]) for name in names.outputs.values()],
    )
    _describe(model, names)
    return Lowered(model, inputs, names.outputs, dims.batch)


def _walk(g: GraphBuilder, nodes: list[Node], dims: BlobDims) -> list[Version]:
    """Lower all nodes; collects everything that does not lower into one ExportError."""
    values: dict[str, Value] = {}
    versions: list[Version] = []
    refused: list[str] = []
    for node in nodes:
        bottoms = [values[name] for name in node.bottoms]
        try:
            tops = _lower_node(g, node, bottoms)
        except CannotLower as reason:
            refused.append(f"layer '{node.name}' ({node.type}), {node.where}: {reason}")
            tops = tuple(Value(name) for name in node.tops)
        layer = "" if is_input(node) else node.name
        for name, top, top_dims in zip(node.tops, tops, dims.tops[node.index], strict=True):
            values[name] = Value(top, static_dims(top_dims))
            versions.append(Version(name, layer, top, top_dims))
    if refused:
        raise ExportError(_HEADING + "\n".join(f"  {line}" for line in refused))
    return versions


def _lower_node(g: GraphBuilder, node: Node, bottoms: list[Value]) -> tuple[str, ...]:
    """The values of a node's tops. A layer that becomes one ONNX node gives it its own name."""
    if is_input(node):
        return tuple(node.tops)
    g.layer_name = node.name
    start = len(g.nodes)
    try:
        tops = node.layer.lower(g, *bottoms)
    except TypeError as error:
        if all(None not in bottom.shape for bottom in bottoms):
            raise
        raise CannotLower("its lower() computes with the batch size, which is symbolic") from error
    if len(g.nodes) == start + 1 and all(other.name != node.name for other in g.nodes[:start]):
        g.nodes[start].name = node.name
    tops = tops if isinstance(tops, tuple) else (tops,)
    if len(tops) != len(node.tops) or not all(isinstance(top, str) for top in tops):
        raise CannotLower(f"its lower() returned {tops}; accepted: one value of the graph for each of {node.tops}")
    return tops


def _parameter_names(net: Net) -> dict[int, str]:
    """id of a parameter tensor -> ``layer.blob``; the first layer that has it gives the name."""
    names: dict[int, str] = {}
    for node in net.nodes:
        for name, blob in zip(node.layer.blob_names, node.layer.blobs, strict=True):
            if blob.is_meta:
                raise ExportError(f"blob '{name}' of layer '{node.name}' has no values (device 'meta'); load weights")
            names.setdefault(id(blob), f"{node.name}.{name}")
    return names


def _describe(model: onnx.ModelProto, names: Names) -> None:
    """The sizes of all blobs, for readers of the graph."""
    known = {info.name for info in (*model.graph.input, *model.graph.output)}
    model.graph.value_info.extend(tensor_info(n, dims) for n, dims in names.values.items() if n not in known)
