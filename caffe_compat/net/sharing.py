"""Pass: parameters shared by name between layers (as Caffe's Net::AppendParam)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from caffe_compat.errors import NetError
from caffe_compat.net.node import Node
from caffe_compat.proto import pb


@dataclass
class LearnableParam:
    """A distinct parameter blob with the factors of its learning rate and weight decay.

    ``layer`` and ``index`` name the owner's blob; BatchNorm's statistics are listed with lr_mult 0.
    """

    node: Node
    index: int
    lr_mult: float | None
    decay_mult: float | None

    @property
    def blob_name(self) -> str:
        return self.node.layer.blob_names[self.index]

    @property
    def tensor(self) -> Tensor:
        return self.node.layer.blobs[self.index]

    @property
    def layer(self) -> str:
        return self.node.name


def check_param_specs(node: Node) -> None:
    """No more ``param {}`` than blobs; statistics cannot be learned. Raises NetError."""
    specs, layer = node.param.param, node.layer
    if len(specs) > len(layer.blobs):
        raise NetError(f"has {len(specs)} param {{ }} entries for {len(layer.blobs)} blob(s); remove the surplus")
    for i, (spec, name) in enumerate(zip(specs, layer.blob_names, strict=False)):
        if name not in layer._parameters and spec.lr_mult != 0:
            raise NetError(
                f"param {i} ('{name}') has lr_mult {spec.lr_mult:g}: the layer computes this blob itself, it cannot be "
                f"learned; write 'param {{ lr_mult: 0 }}' {len(layer.blobs)} times, or leave param out"
            )


def share_params(nodes: list[Node]) -> tuple[list[LearnableParam], list[tuple[Node, int, LearnableParam]]]:
    """The distinct parameters in Caffe's order, and (node, blob index, owner) for every blob that shares one.

    Raises NetError, naming the layer, where shapes, lr_mult or decay_mult of a shared parameter differ.
    """
    learnable: list[LearnableParam] = []
    owners: dict[str, LearnableParam] = {}
    shared: list[tuple[Node, int, LearnableParam]] = []
    for node in nodes:
        specs = list(node.param.param)
        for index in range(len(node.layer.blobs)):
            spec = specs[index] if index < len(specs) else pb.ParamSpec()
            owner = owners.get(spec.name) if spec.name else None
            if owner is None:
                param = _own(node, index, spec)
                learnable.append(param)
                if spec.name:
                    owners[spec.name] = param
            else:
                with node.named():
                    _join(node, index, spec, owner)
                shared.append((node, index, owner))
    for param in learnable:
        param.lr_mult = 1.0 if param.lr_mult is None else param.lr_mult
        param.decay_mult = 1.0 if param.decay_mult is None else param.decay_mult
    return learnable, shared


def _own(node: Node, index: int, spec: Any) -> LearnableParam:
    """A parameter at its first appearance; a factor that is not given may be given by a sharer."""
    if node.layer.blob_names[index] not in node.layer._parameters:
        return LearnableParam(node, index, 0.0, 0.0)
    lr_mult = spec.lr_mult if spec.HasField("lr_mult") else None
    decay_mult = spec.decay_mult if spec.HasField("decay_mult") else None
    return LearnableParam(node, index, lr_mult, decay_mult)


def _join(node: Node, index: int, spec: Any, owner: LearnableParam) -> None:
    mine, theirs = tuple(node.layer.blobs[index].shape), tuple(owner.tensor.shape)
    permissive = pb.enum_name("ParamSpec.DimCheckMode", spec.share_mode) == "PERMISSIVE"
    if math.prod(mine) != math.prod(theirs) or (mine != theirs and not permissive):
        raise NetError(
            f"cannot share param '{spec.name}' of layer '{owner.layer}': its shape there is {list(theirs)}, here "
            f"{list(mine)}; accepted: equal shapes, or equal counts with 'share_mode: PERMISSIVE'"
        )
    for factor in ("lr_mult", "decay_mult"):
        if not spec.HasField(factor):
            continue
        value, known = getattr(spec, factor), getattr(owner, factor)
        if known is not None and known != value:
            raise NetError(
                f"shared param '{spec.name}' has {factor} {value:g} here and {known:g} in layer '{owner.layer}'; "
                "give the same value in both, or in one only"
            )
        setattr(owner, factor, value)


def bind_shared(shared: list[tuple[Node, int, LearnableParam]]) -> None:
    """Let every sharer use the owner's tensor; called once the blobs have memory."""
    for node, index, owner in shared:
        name, tensor = node.layer.blob_names[index], owner.tensor
        if node.layer.blobs[index].shape == tensor.shape:
            if isinstance(tensor, nn.Parameter):
                node.layer._parameters[name] = tensor
            else:
                node.layer._buffers[name] = tensor
        else:
            shape = node.layer.blobs[index].shape
            node.layer._parameters.pop(name, None)
            setattr(node.layer, name, tensor.detach().view(shape))  # without a graph, so that it can be copied
            node.reshaped[name] = tensor
