"""From a NetParameter to nodes, by named passes.

The order is Caffe's: filter by state; per layer create, wire, set up, infer shapes, weigh losses; then over the
whole net share parameters, cut gradients, allow in-place memory, free blobs after their last use.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caffe_compat.errors import NetError
from caffe_compat.layers.base import Shape
from caffe_compat.layers.create import create_layer
from caffe_compat.layers.limits import check_blob
from caffe_compat.layers.source import open_source
from caffe_compat.layers.source_layer import SourceLayer
from caffe_compat.net.given import check_given
from caffe_compat.net.gradients import check_propagate_down, cut_gradients, freeze_blobs
from caffe_compat.net.inplace import allow_inplace
from caffe_compat.net.losses import set_loss_weights, weigh_read_losses
from caffe_compat.net.node import AUTOMATIC, Node, naming
from caffe_compat.net.sharing import LearnableParam, check_param_specs, share_params
from caffe_compat.net.state import NetState
from caffe_compat.net.users_code import users_code
from caffe_compat.net.wiring import Wiring, free_after_last_use, net_outputs
from caffe_compat.proto import Document, pb


@dataclass
class Built:
    """What the passes make of a NetParameter; the blobs still lie on the meta device."""

    nodes: list[Node]
    outputs: list[str]
    learnable: list[LearnableParam]
    shared: list[tuple[Node, int, LearnableParam]]


def build_nodes(document: Document, state: NetState, seed: int) -> Built:
    """Run all passes. Raises NetError or DataError that names the layer and its place in the file."""
    net = document.message
    wiring = Wiring()
    shapes: dict[str, Shape] = {}
    nodes: list[Node] = []
    for index, param in kept_layers(document, state):
        where = document.where("layer", index)
        with naming(param.name, param.type, where):
            node = _node(len(nodes), param, where, state)
            wiring.connect(node.name, node.bottoms, node.tops, node.layer.allows_inplace, param.loss_weight)
            _open(node, seed + len(nodes), document)
            _set_up(node, shapes)
            check_given(node)
            set_loss_weights(node)
            check_param_specs(node)
        nodes.append(node)
    outputs = net_outputs(wiring)
    learnable, shared = share_params(nodes)
    freeze_blobs(nodes, net.force_backward)
    weigh_read_losses(nodes)
    cut_gradients(nodes, net.force_backward)
    allow_inplace(nodes)
    free_after_last_use(nodes, outputs)
    return Built(nodes, outputs, learnable, shared)


def kept_layers(document: Document, state: NetState) -> list[tuple[int, Any]]:
    """(index in the file, LayerParameter) of the layers that belong to the net."""
    kept = []
    for index, param in enumerate(document.message.layer):
        with naming(param.name, param.type, document.where("layer", index)):
            if state.keeps(param):
                kept.append((index, param))
    return kept


def _node(index: int, param: Any, where: str, state: NetState) -> Node:
    phase = pb.enum_name("Phase", param.phase) if param.HasField("phase") else state.phase
    layer = create_layer(param)
    layer.train(phase == "TRAIN")
    unnamed = layer.num_tops - len(param.top)
    node = Node(index, param, where, layer, list(param.bottom), [*param.top, *[AUTOMATIC] * unnamed], phase)
    check_propagate_down(node)
    return node


def _open(node: Node, seed: int, document: Document) -> None:
    """Open the source of a data layer."""
    if isinstance(node.layer, SourceLayer) and node.layer.source is None:
        folder = Path(document.source).parent
        opening = (node.type, node.param, node.phase, len(node.tops), seed, folder)
        node.layer.source = open_source(*opening)
        if not hasattr(node.layer.source, "set_input_arrays"):  # those live in memory, and are copied
            node.layer.opening = opening


def _set_up(node: Node, shapes: dict[str, Shape]) -> None:
    """Make the blobs and infer the shapes of the tops; refuse sizes that Caffe cannot count."""
    node.bottom_shapes = [shapes[name] for name in node.bottoms]
    with users_code(node.layer):
        node.layer.setup(*node.bottom_shapes)
        node.top_shapes = node.layer.top_shapes(*node.bottom_shapes)
    if len(node.top_shapes) != len(node.tops):
        raise NetError(f"its forward returned {len(node.top_shapes)} tensor(s) for {len(node.tops)} top(s)")
    for name, shape in zip(node.tops, node.top_shapes, strict=True):
        check_blob(f"top '{name}'", shape)
        if name in node.bottoms and shape != shapes[name]:
            raise NetError(
                f"top and bottom are both '{name}', but the top's shape {list(shape)} is not the bottom's, "
                f"{list(shapes[name])}; rename the top"
            )
        shapes[name] = shape
