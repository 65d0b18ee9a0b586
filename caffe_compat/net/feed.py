"""What the caller gives to a net: its inputs, and the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from caffe_compat.errors import NetError
from caffe_compat.net.node import Node


def fed(
    nodes: Sequence[Node], inputs: Sequence[str], args: Sequence[Tensor], named: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The inputs of a forward pass by name. Raises NetError that lists what the net takes."""
    if len(args) > len(inputs):
        raise NetError(f"the net takes {len(inputs)} input(s) ({_shapes(nodes, inputs)}), found {len(args)}")
    blobs = {**dict(zip(inputs, args, strict=False)), **named}
    if len(blobs) < len(args) + len(named):
        twice = ", ".join(name for name in inputs[: len(args)] if name in named)
        raise NetError(f"input(s) given twice, by place and by name: {twice}")
    for name, blob in blobs.items():
        if not isinstance(blob, Tensor):
            device = next((blob.device for node in nodes for blob in node.layer.blobs), None)
            blobs[name] = from_array(name, blob).to(device)
    missing, unknown = [n for n in inputs if n not in blobs], [n for n in blobs if n not in inputs]
    if missing or unknown:
        what = [f"input(s) missing: {', '.join(missing)}"] if missing else []
        what += [f"unknown input(s): {', '.join(unknown)}"] if unknown else []
        raise NetError(f"{'; '.join(what)}; the net takes {_shapes(nodes, inputs)}")
    _check_memory([name for name, blob in blobs.items() if not blob.numel()], nodes)
    return blobs


def _check_memory(empty: Sequence[str], nodes: Sequence[Node]) -> None:
    """A blob of Caffe has memory once it has held a value: an empty batch passes where the prototxt's holds some."""
    for node in nodes if empty else ():
        for name, shape in zip(node.tops, node.top_shapes, strict=True):
            if name in empty and not node.bottoms and 0 in shape:
                raise NetError(
                    f"layer '{node.name}' ({node.type}), {node.where}: the prototxt gives the input '{name}' the shape "
                    f"{list(shape)}, which holds no value, and so does what was fed; Caffe stops in such a pass. Give "
                    "it sizes of 1 or more: an empty batch may be fed then"
                )


def from_array(name: str, array: Any) -> Tensor:
    """A numpy array as a blob: float32. Raises NetError for anything else."""
    if not hasattr(array, "__array__"):
        raise NetError(f"{name} is a {type(array).__name__}; accepted: a torch tensor, or a numpy array")
    return torch.from_numpy(np.array(array, np.float32))


def _shapes(nodes: Sequence[Node], inputs: Sequence[str]) -> str:
    shapes = {name: shape for node in nodes for name, shape in zip(node.tops, node.top_shapes, strict=True)}
    return ", ".join(f"{name} {list(shapes[name])}" for name in inputs) or "no inputs (it has a data layer)"


def checked_device(name: str | torch.device) -> torch.device:
    """The device of that name, once it answers. Raises NetError."""
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise NetError(f"device '{name}' is not there ({reason}); accepted: cpu, cuda, cuda:N, meta") from error
    return device
