"""What a loss becomes in the deploy net: the layer that turns its scores into probabilities, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from caffe_compat.export.labels import is_loss
from caffe_compat.proto import pb

PROBABILITY_LAYER = {
    "SoftmaxWithLoss": "Softmax",
    "SMSoftmaxLoss": "Softmax",
    "InfogainLoss": "Softmax",
    "SigmoidCrossEntropyLoss": "Sigmoid",
}
"""Loss type -> the type of the layer that makes probabilities of its scores. Other losses leave their scores."""


@dataclass(frozen=True)
class Head:
    """A loss that counts: its index among the layers, its score blobs."""

    index: int
    layer: Any
    scores: list[str]


def main_heads(layers: Sequence[Any], tainted: set[int], given: set[str]) -> tuple[list[Head], list[Any]]:
    """The losses to deploy, and the auxiliary ones, which help to train only.

    Auxiliary is a loss that has the label of another one with a greater loss weight. ``tainted``: indices of layers
    that depend on labels. ``given``: the tops of data layers and all blobs that depend on labels.
    """
    losses = [
        (i, layer) for i, layer in enumerate(layers) if is_loss(layer) or (i in tainted and any(layer.loss_weight))
    ]
    greatest: dict[tuple[str, ...], float] = {}
    for _, layer in losses:
        key = _labels(layer, given)
        greatest[key] = max(greatest.get(key, 0.0), _weight(layer))
    heads, auxiliary = [], []
    for i, layer in losses:
        key = _labels(layer, given)
        if _weight(layer) < greatest[key] and key:
            auxiliary.append(layer)
        else:
            heads.append(Head(i, layer, [name for name in layer.bottom if name not in given]))
    return heads, auxiliary


def probability_layer(loss: Any, name: str, top: str) -> Any | None:
    """The layer (message) that makes probabilities of the loss's scores; None where the loss has no such layer."""
    layer_type = PROBABILITY_LAYER.get(loss.type)
    if layer_type is None:
        return None
    layer = pb.LayerParameter(name=name, type=layer_type, bottom=loss.bottom[:1], top=[top])
    if layer_type == "Softmax" and loss.HasField("softmax_param"):
        layer.softmax_param.CopyFrom(loss.softmax_param)
        layer.softmax_param.ClearField("engine")
    if loss.type == "InfogainLoss" and loss.infogain_loss_param.HasField("axis"):
        layer.softmax_param.axis = loss.infogain_loss_param.axis
    return layer


def _labels(loss: Any, given: set[str]) -> tuple[str, ...]:
    return tuple(name for name in loss.bottom if name in given)


def _weight(loss: Any) -> float:
    return float(loss.loss_weight[0]) if loss.loss_weight else 1.0
