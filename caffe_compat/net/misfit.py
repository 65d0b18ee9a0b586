"""Why a layer could not compute: its bottoms are of another type, or lie on another device, than its blobs."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from caffe_compat.net.node import Node


def misfit(node: Node, blobs: Mapping[str, Tensor]) -> str:
    """The sentence that says so and gives the remedy; "" where the reason is another. Asked after an error only."""
    own = next((blob for blob in node.layer.blobs if blob.is_floating_point()), None)
    labels = {i % len(node.bottoms) for i in node.layer.constant_bottoms if node.bottoms}
    bottoms = [(name, blobs[name]) for i, name in enumerate(node.bottoms) if i not in labels and name in blobs]
    for name, bottom in bottoms:
        other, whose = (own, "the layer's blobs are") if own is not None else (bottoms[0][1], f"'{bottoms[0][0]}' is")
        if not bottom.is_floating_point():
            return f"bottom '{name}' holds {_type(bottom)}; accepted: floating-point numbers: give {name}.float()"
        if bottom.device != other.device:
            there, here = bottom.device, other.device
            return f"bottom '{name}' lies on {there}, {whose} on {here}; move one: {name}.to('{here}')"
        if bottom.dtype != other.dtype:
            return (
                f"bottom '{name}' holds {_type(bottom)}, {whose} {_type(other)}; convert one: "
                f"{name}.to({other.dtype}), or net.to({bottom.dtype})"
            )
    return ""


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
