"""What Caffe's losses share: two bottoms of one batch size, and what the sum over labels is divided by."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from caffe_compat.errors import NetError
from caffe_compat.layers.arity import Between, Exactly
from caffe_compat.layers.base import Layer, Shape, canonical_axis
from caffe_compat.layers.labels import check_label_count, keep_mask, label_index, lower_labels, out_of_range
from caffe_compat.layers.limits import check_not_empty

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value

NORMALIZATIONS = ("FULL", "VALID", "BATCH_SIZE", "NONE")


class Loss(Layer):
    """A loss of two bottoms with the same first dimension; its top is a scalar."""

    bottoms = Exactly(2)
    is_loss = True

    def setup(self, *bottom_shapes: Shape) -> None:
        self.check_shapes(*bottom_shapes)

    def check_shapes(self, *bottom_shapes: Shape) -> None:
        """Refuse bottoms that do not fit; asked in ``setup`` and in every pass, for other sizes. Raises NetError."""
        first, second = bottom_shapes[:2]
        if not first or not second or first[0] != second[0]:
            raise NetError(
                f"the bottoms have shapes {list(first)} and {list(second)}; accepted: the same first dimension "
                "(the batch size) in both"
            )


def refuse_many_axes(shape: Shape) -> None:
    """Caffe reads the batch size of some losses with an accessor for blobs of at most 4 axes. Raises NetError."""
    if len(shape) > 4:
        raise NetError(
            f"the bottom of shape {list(shape)} has {len(shape)} axes; accepted: at most 4; put a Flatten layer before"
        )


# ---- normalisation


def normalization_mode(normalization: str | None, normalize: bool | None, default: str = "VALID") -> str:
    """What loss_param asks for; the old ``normalize`` counts where ``normalization`` is not set. Raises NetError."""
    if normalization is None and normalize is not None:
        return "VALID" if normalize else "BATCH_SIZE"
    mode = default if normalization is None else normalization
    if mode not in NORMALIZATIONS:
        raise NetError(f"normalization {mode!r} is unknown; accepted: {', '.join(NORMALIZATIONS)}")
    return mode


def normalizer(mode: str, outer: int, inner: int, keep: Tensor | None = None) -> Tensor | int:
    """What the sum of losses is divided by, at least 1.

    FULL: outer * inner, all places; VALID: those that ``keep`` counts; BATCH_SIZE: outer; NONE: 1. ``outer`` and
    ``inner``: the product of the axes before and after the classes.
    """
    if mode == "VALID" and keep is not None:
        return keep.sum().clamp(min=1)
    return max(1, {"FULL": outer * inner, "VALID": outer * inner, "BATCH_SIZE": outer, "NONE": 1}[mode])


class ClassLoss(Loss):
    """A loss of scores and labels, summed over all places and divided by ``loss_param``'s normalisation.

    A subclass says ``sum_of(scores, index, weight, axis)``: the sum of weight * loss, where ``index`` holds the
    labels in the scores' rank, and ``lower_losses``: the losses of the places in ONNX.
    """

    blocks: ClassVar[tuple[str, ...]] = ("loss_param", "softmax_param")
    tops = Between(1, 2)
    constant_bottoms = (1,)

    def __init__(
        self,
        ignore_label: int | None = None,
        normalization: str | None = None,
        normalize: bool | None = None,
        axis: int = 1,
    ) -> None:
        super().__init__()
        self.ignore_label = ignore_label
        self.normalization = normalization_mode(normalization, normalize)
        self.axis = axis

    def setup(self, *bottom_shapes: Shape) -> None:
        scores, labels = bottom_shapes
        axis = canonical_axis(self.axis, scores)
        super().setup(scores, labels)
        check_label_count(scores, labels, axis)
        check_not_empty(scores, slice(axis, axis + 1))

    def forward(self, scores: Tensor, labels: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        axis = canonical_axis(self.axis, tuple(scores.shape))
        wide = scores.float() if scores.dtype in (torch.float16, torch.bfloat16) else scores
        try:
            loss = self._sum(wide, labels, axis)
        except (IndexError, RuntimeError) as error:
            if explained := out_of_range(labels, scores.shape[axis], self.ignore_label):
                raise explained from error
            raise
        if self.num_tops == 1:
            return loss
        return loss, torch.softmax(scores.detach(), axis)

    def _sum(self, scores: Tensor, labels: Tensor, axis: int) -> Tensor:
        index, keep = keep_mask(label_index(labels, scores, axis), self.ignore_label)
        outer, inner = math.prod(scores.shape[:axis]), math.prod(scores.shape[axis + 1 :])
        divisor = normalizer(self.normalization, outer, inner, keep)
        weight = 1 / divisor if keep is None else keep.to(scores.dtype) / divisor
        return self.sum_of(scores, index, weight, axis)

    def sum_of(self, scores: Tensor, index: Tensor, weight: Tensor | float, axis: int) -> Tensor:
        raise NotImplementedError

    # ---- ONNX

    def lower(self, g: GraphBuilder, scores: Value, labels: Value) -> Value | tuple[Value, Value]:
        axis = self.axis % scores.rank
        index, keep = lower_labels(g, labels, scores, axis, self.ignore_label)
        losses = self.lower_losses(g, scores, index, axis)
        if keep is not None:
            losses = g.op("Where", keep, losses, g.const(0.0))
        total = g.reduce("Sum", losses, range(scores.rank), keepdims=False)
        loss = g.op("Div", total, lower_normalizer(g, self.normalization, scores, labels, axis, keep))
        return loss if self.num_tops == 1 else (loss, g.op("Softmax", scores, axis=axis))

    def lower_losses(self, g: GraphBuilder, scores: Value, index: Value, axis: int) -> Value:
        raise NotImplementedError


def lower_normalizer(g: GraphBuilder, mode: str, scores: Value, labels: Value, axis: int, keep: Value | None) -> Value:
    """`normalizer` in ONNX, for a symbolic batch too."""
    if mode == "VALID" and keep is not None:
        count = g.reduce("Sum", g.cast(keep, "float32"), range(scores.rank), keepdims=False)
        return g.op("Max", count, g.const(1.0))
    counted = {"FULL": (*scores.shape[:axis], *scores.shape[axis + 1 :]), "BATCH_SIZE": scores.shape[:axis]}
    dims = counted.get("FULL" if mode == "VALID" else mode, ())
    fixed = [dim for dim in dims if dim is not None]
    if len(fixed) == len(dims):
        return g.const(float(max(1, math.prod(fixed))))
    places = g.cast(g.op("Size", labels), "float32")
    if mode == "BATCH_SIZE":
        places = g.op("Div", places, g.const(float(math.prod(scores.static(i) for i in range(axis + 1, scores.rank)))))
    return g.op("Max", places, g.const(1.0))
