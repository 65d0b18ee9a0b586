"""Dropout: zeroes values at random in TRAIN."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor

from caffe_compat.errors import CannotLower, NetError
from caffe_compat.layers.base import Layer
from caffe_compat.layers.registry import register_layer

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value


@register_layer("Dropout")
class Dropout(Layer):
    """y = x * mask / (1 - dropout_ratio) in TRAIN, y = x in TEST

    Each value of the mask is 0 with probability ``dropout_ratio`` (default 0.5), else 1, drawn from torch's default
    generator. Bottom: x, any shape. Top: y, the same shape; may be the bottom (in place).
    Refused, by a pass in TRAIN: a ratio outside [0, 1). Differs from Caffe: there a ratio of 1 makes NaN.
    """

    autocasts = True
    blocks = ("dropout_param",)
    saves_top = True  # in TEST the top is the bottom itself
    export_note = "TEST only, as the identity: TRAIN draws a random mask"

    def __init__(self, dropout_ratio: float = 0.5) -> None:
        super().__init__()
        self.dropout_ratio = dropout_ratio

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or x.is_meta:  # as Caffe builds a net with any ratio
            return x
        if not 0 <= self.dropout_ratio < 1:
            raise NetError(
                f"dropout_ratio: {self.dropout_ratio:g} is out of range; accepted: from 0 (keep all) to below 1; it is "
                "the part that is dropped, and what is kept is divided by 1 - dropout_ratio"
            )
        return F.dropout(x, self.dropout_ratio, training=True)

    def lower(self, g: GraphBuilder, x: Value) -> Value:
        if self.training:
            raise CannotLower("Dropout draws a random mask in TRAIN; export the net in the TEST phase")
        return x
