"""InfogainLoss: softmax loss in which a matrix says how much each prediction counts for each label."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from caffe_compat.errors import NetError, PrototxtError
from caffe_compat.layers.arity import Between
from caffe_compat.layers.base import Shape, canonical_axis
from caffe_compat.layers.limits import check_not_empty
from caffe_compat.layers.loss import (
    Loss,
    check_label_count,
    keep_mask,
    label_index,
    lower_labels,
    lower_normalizer,
    normalization_mode,
    normalizer,
    out_of_range,
)
from caffe_compat.layers.multinomial_logistic_loss import LOG_THRESHOLD
from caffe_compat.layers.registry import register_layer
from caffe_compat.proto import read_binary

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value


@register_layer("InfogainLoss")
class InfogainLoss(Loss):
    """loss = -sum_i sum_k H[y_i, k] log(max(p_ik, 1e-20)) / normaliser, with p_i = softmax of the scores at place i

    With H the unit matrix this is SoftmaxWithLoss. The gradient is (p_ik sum_j H[y_i, j] - H[y_i, k]) / normaliser;
    the floor 1e-20 has no part in it.

    Bottoms: scores, any shape, K classes along ``axis``; labels y, one for each place of the scores without that
    axis, in any shape with the same first dimension; optionally the matrix H, K * K values, row by row, in any shape.
    Only the scores get a gradient. Tops: loss, a scalar; optionally p, the scores' shape, without a gradient; a
    prototxt that names it must say ``loss_weight: 1 loss_weight: 0``.

    infogain_loss_param: ``source``: a binary BlobProto with H, where there is no third bottom, found from the working
    directory; ``axis`` (default 1; negative from the end). loss_param: ``ignore_label`` (default none),
    ``normalization`` (default VALID), as in SoftmaxWithLoss. Refused: neither source nor third bottom, an H of
    another size, another count of labels or first dimension, no scores to build for, ``normalize`` (use
    normalization), a label that is no class (on a GPU: an assertion of the device).

    Differs from torch: no such loss there; labels may be float, their fractions are cut off.
    """

    blocks = ("infogain_loss_param", "loss_param")
    bottoms, tops = Between(2, 3), Between(1, 2)
    constant_bottoms = (1, -1)  # the labels, and H where it is a bottom
    matrix: Tensor | None

    def __init__(
        self,
        source: str | None = None,
        axis: int = 1,
        ignore_label: int | None = None,
        normalization: str | None = None,
        normalize: bool | None = None,
    ) -> None:
        super().__init__()
        if normalize is not None:
            raise NetError(
                "loss_param's normalize is refused here, as by Caffe; use normalization: VALID (for true) or BATCH_SIZE"
            )
        self.source = source
        self.axis = axis
        self.ignore_label = ignore_label
        self.normalization = normalization_mode(normalization, None)
        self.register_buffer("matrix", None, persistent=False)

    def setup(self, *bottom_shapes: Shape) -> None:
        scores, labels = bottom_shapes[:2]
        axis = canonical_axis(self.axis, scores)
        super().setup(scores, labels)
        check_label_count(scores, labels, axis)
        check_not_empty(scores, slice(None))
        if len(bottom_shapes) == 2:
            self.matrix = read_matrix(self.source)
        size = math.prod(bottom_shapes[2]) if self.matrix is None else self.matrix.numel()
        if size != scores[axis] ** 2:
            raise NetError(
                f"the infogain matrix H has {size} values, the scores of shape {list(scores)} have {scores[axis]} "
                f"classes along axis {axis}; accepted: {scores[axis]} x {scores[axis]} = {scores[axis] ** 2} values"
            )

    def forward(self, scores: Tensor, labels: Tensor, matrix: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        axis = canonical_axis(self.axis, tuple(scores.shape))
        index, keep = keep_mask(label_index(labels, scores, axis), self.ignore_label)
        h = self._rows(scores, matrix, scores.shape[axis])
        outer, inner = math.prod(scores.shape[:axis]), math.prod(scores.shape[axis + 1 :])
        divisor = normalizer(self.normalization, outer, inner, keep)
        probability = torch.softmax(scores.detach(), axis)
        try:
            loss = _Infogain.apply(scores, probability, h, index, keep, divisor, axis)
        except (IndexError, RuntimeError) as error:
            if explained := out_of_range(labels, scores.shape[axis], self.ignore_label):
                raise explained from error
            raise
        return loss if self.num_tops == 1 else (loss, probability)

    def _rows(self, scores: Tensor, matrix: Tensor | None, classes: int) -> Tensor:
        matrix = self.matrix if matrix is None else matrix
        if matrix is None or matrix.numel() != classes**2:
            raise NetError(f"the infogain matrix H needs {classes} x {classes} values for the {classes} classes")
        return matrix.detach().to(scores.device, scores.dtype).reshape(classes, classes)

    def lower(
        self, g: GraphBuilder, scores: Value, labels: Value, matrix: Value | None = None
    ) -> Value | tuple[Value, Value]:
        axis = self.axis % scores.rank
        classes = scores.static(axis)
        index, keep = lower_labels(g, labels, scores, axis, self.ignore_label)
        probability = g.op("Softmax", scores, axis=axis)
        last = g.transpose(probability, [i for i in range(scores.rank) if i != axis] + [axis])
        logs = g.op("Log", g.op("Max", g.reshape(last, (-1, classes)), g.const(LOG_THRESHOLD)))
        h = self._lower_matrix(g, matrix, classes)
        weights = g.op("Gather", h, g.reshape(index, (-1,)), axis=0)
        losses = g.reduce("Sum", g.op("Mul", weights, logs), (1,), keepdims=False)
        if keep is not None:
            losses = g.op("Where", g.reshape(keep, (-1,)), losses, g.const(0.0))
        total = g.op("Neg", g.reduce("Sum", losses, (0,), keepdims=False))
        loss = g.op("Div", total, lower_normalizer(g, self.normalization, scores, labels, axis, keep))
        return loss if self.num_tops == 1 else (loss, probability)

    def _lower_matrix(self, g: GraphBuilder, matrix: Value | None, classes: int) -> Value:
        if matrix is not None:
            return g.reshape(matrix, (classes, classes))
        assert self.matrix is not None  # setup read it
        return g.const(self.matrix.cpu().float().numpy().reshape(classes, classes))


def read_matrix(source: str | None) -> Tensor:
    """The values of a binary BlobProto, on one axis. Raises NetError."""
    if not source:
        raise NetError(
            'needs the infogain matrix: give infogain_loss_param { source: "H.binaryproto" }, or a third bottom'
        )
    try:
        blob = read_binary(source, "BlobProto")
    except PrototxtError as error:
        raise NetError(f"cannot read the infogain matrix (from the working directory): {error}") from error
    return torch.from_numpy(np.array(blob.double_data or blob.data, dtype=np.float32))


class _Infogain(torch.autograd.Function):
    """The sum over the kept places / divisor; its gradient does not see the floor of the probabilities."""

    @staticmethod
    def forward(
        ctx: Any, scores: Tensor, probability: Tensor, h: Tensor, index: Tensor, keep: Tensor | None,
        divisor: Tensor | int, axis: int,
    ) -> Tensor:  # fmt: skip
        places = (*index.shape[:axis], *index.shape[axis + 1 :], h.shape[0])
        weights = h.index_select(0, index.flatten()).reshape(places).movedim(-1, axis)
        losses = probability.clamp(min=LOG_THRESHOLD).log_().mul_(weights).sum(axis, keepdim=True).neg_()
        ctx.save_for_backward(probability, weights)
        ctx.keep, ctx.divisor, ctx.axis = keep, divisor, axis
        return (losses if keep is None else losses.masked_fill_(~keep, 0)).sum() / divisor

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        probability, weights = ctx.saved_tensors
        gradient = (probability * weights.sum(ctx.axis, keepdim=True)).sub_(weights).mul_(grad / ctx.divisor)
        return gradient if ctx.keep is None else gradient.masked_fill_(~ctx.keep, 0), *(None,) * 6
