"""HingeLoss: one score against the rest, each with a margin of 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from caffe_compat.errors import CannotLower, NetError
from caffe_compat.layers.labels import out_of_range
from caffe_compat.layers.loss import Loss, refuse_many_axes
from caffe_compat.layers.registry import register_layer

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value


@register_layer("HingeLoss")
class HingeLoss(Loss):
    """loss = sum_i sum_k max(0, 1 - s_ik x_ik)^p / N, with s_ik = 1 where k is the label y_i, else -1

    p is 1 or 2. Bottoms: scores x, (N, ...) of 1 to 4 axes, all but the first taken as classes k; labels y, N values.
    Top: loss, a scalar.

    ``norm`` (L1, the default: p = 1; L2: p = 2). Refused: another first dimension; by a pass, more than 4 axes, a
    label that is no class. Of more than N labels the first N, in the order of memory, are read, as in Caffe.

    Differs from torch: ``multi_margin_loss`` compares each score with that of the label and divides by the classes;
    here each score stands alone. A score that is NaN counts 0.
    """

    blocks = ("hinge_loss_param",)
    constant_bottoms = (1,)
    export_note = "with exactly one label for each row"

    def __init__(self, norm: str = "L1") -> None:
        super().__init__()
        if norm not in ("L1", "L2"):
            raise NetError(f"norm {norm!r} is unknown; accepted: L1, L2")
        self.norm = norm

    def forward(self, scores: Tensor, labels: Tensor) -> Tensor:
        self.check_shapes(tuple(scores.shape), tuple(labels.shape))
        if not scores.is_meta:  # as in Caffe, whose Reshape does not ask
            refuse_many_axes(tuple(scores.shape))
        rows = scores.reshape(scores.shape[0], -1) if scores.numel() else scores.reshape(0, 1)
        index = labels.reshape(-1)[: rows.shape[0]].long().unsqueeze(1)
        try:
            margins = 1 + rows.scatter(1, index, -rows.gather(1, index))
        except (IndexError, RuntimeError) as error:
            if explained := out_of_range(labels, rows.shape[1], None):
                raise explained from error
            raise
        violations = torch.where(margins > 0, margins, 0)
        total = violations.sum() if self.norm == "L1" else violations.square().sum()
        return total / max(1, rows.shape[0])

    def lower(self, g: GraphBuilder, scores: Value, labels: Value) -> Value:
        if any(size != 1 for size in labels.shape[1:]):
            raise CannotLower(f"labels of shape {list(labels.shape)} are more than one a row; slice them to (N, 1)")
        rows = g.op("Flatten", scores, axis=1)
        index = g.cast(g.reshape(labels, (-1, 1)), "int64")
        turned = g.op("Neg", g.op("GatherElements", rows, index, axis=1))
        margins = g.op("Relu", g.shifted(g.op("ScatterElements", rows, index, turned, axis=1), 1.0))
        each = g.reduce("Sum" if self.norm == "L1" else "SumSquare", margins, (1,), keepdims=False)
        return g.reduce("Mean", each, (0,), keepdims=False)
