"""What of a training net hangs on its labels: that part cannot run where pictures come without them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caffe_compat.layers import LAYERS

_WITH_WEIGHTS = {
    "BatchNorm", "Bias", "BN", "Convolution", "Deconvolution", "DepthwiseConvolution", "Embed", "InnerProduct",
    "LSTM", "Normalize", "PReLU", "RNN", "Scale",
}  # fmt: skip


def is_data(layer: Any) -> bool:
    """Whether a layer (message) brings data: it has tops and no bottoms."""
    return not layer.bottom and bool(layer.top) and layer.type not in ("Input", "Parameter")


def is_loss(layer: Any) -> bool:
    """Whether a layer (message) is a loss by its type."""
    known = LAYERS.get(layer.type)
    return known.is_loss if known is not None else layer.type.endswith("Loss")


def label_tops(layers: Sequence[Any]) -> set[str]:
    """The tops of data layers that are labels: they reach no layer with weights, only losses and the like.

    A top that nobody reads is none. If none of the tops reaches weights, the first one is the data.
    """
    tops = [top for layer in layers if is_data(layer) for top in layer.top]
    labels = [top for top in tops if not _reaches_weights(top, layers)]
    if len(labels) == len(tops):
        labels = labels[1:]
    return set(labels)


def depending_on(blobs: set[str], layers: Sequence[Any]) -> set[int]:
    """Indices of the layers that read one of ``blobs``, or what is computed from them."""
    tainted, found = set(blobs), set()
    for index, layer in enumerate(layers):
        if tainted.intersection(layer.bottom):
            found.add(index)
            tainted.update(layer.top)
    return found


def _reaches_weights(top: str, layers: Sequence[Any]) -> bool:
    return any(_has_weights(layers[index]) for index in depending_on({top}, layers))


def _has_weights(layer: Any) -> bool:
    if is_loss(layer):
        return False
    return layer.type in _WITH_WEIGHTS or "Convolution" in layer.type or bool(layer.param)
