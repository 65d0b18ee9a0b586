"""Accuracy: the share of labels among the best scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from caffe_compat.errors import NetError
from caffe_compat.layers.arity import Between, Exactly
from caffe_compat.layers.base import Layer, Shape, canonical_axis
from caffe_compat.layers.labels import check_label_count, keep_mask, label_index, lower_labels, out_of_range
from caffe_compat.layers.limits import check_not_empty
from caffe_compat.layers.registry import register_layer

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value


@register_layer("Accuracy")
class Accuracy(Layer):
    """accuracy = share of places i with #{k : x_ik >= x_i[y_i]} <= top_k; it has no gradient

    Bottoms: scores x, any shape, classes k along ``axis``; labels y, one for each place of the scores without that
    axis, in any shape. Tops: accuracy, a scalar; optionally the accuracy of each class, (classes,), 0 for a class
    that no label names.

    accuracy_param: ``top_k`` (default 1), ``axis`` (default 1; negative from the end), ``ignore_label`` (default
    none: all places count). Without any label that counts the accuracy is 0. Refused: another count of labels,
    no labels to build for, top_k above the number of classes, a label that is no class.

    Differs from torch's topk and argmax: a tie counts against the label, so constant scores give 0; a label whose
    own score is NaN counts as right, other scores that are NaN count as lower, as in Caffe.
    """

    blocks = ("accuracy_param",)
    bottoms, tops = Exactly(2), Between(1, 2)
    constant_bottoms = (0, 1)

    def __init__(self, top_k: int = 1, axis: int = 1, ignore_label: int | None = None) -> None:
        super().__init__()
        self.top_k = top_k
        self.axis = axis
        self.ignore_label = ignore_label

    def setup(self, *bottom_shapes: Shape) -> None:
        scores, labels = bottom_shapes
        axis = canonical_axis(self.axis, scores)
        check_label_count(scores, labels, axis)
        check_not_empty(labels, slice(None))
        if self.top_k > scores[axis]:
            raise NetError(
                f"top_k {self.top_k} is more than the {scores[axis]} classes along axis {axis} of scores of shape "
                f"{list(scores)}; accepted: at most {scores[axis]}"
            )

    @torch.no_grad()
    def forward(self, scores: Tensor, labels: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        axis = canonical_axis(self.axis, tuple(scores.shape))
        index, keep = keep_mask(label_index(labels, scores, axis), self.ignore_label)
        try:
            right = (scores >= scores.gather(axis, index)).sum(axis, keepdim=True) <= self.top_k
        except (IndexError, RuntimeError) as error:
            if explained := out_of_range(labels, scores.shape[axis], self.ignore_label):
                raise explained from error
            raise
        counted = torch.ones_like(right) if keep is None else keep
        right = right & counted
        accuracy = _share(right.sum(), counted.sum())
        if self.num_tops == 1:
            return accuracy
        classes = torch.zeros(scores.shape[axis], device=scores.device)
        rights, counts = (classes.scatter_add(0, index.flatten(), x.flatten().float()) for x in (right, counted))
        return accuracy, _share(rights, counts)

    def lower(self, g: GraphBuilder, scores: Value, labels: Value) -> Value | tuple[Value, Value]:
        axis = self.axis % scores.rank
        index, keep = lower_labels(g, labels, scores, axis, self.ignore_label)
        better = g.op("GreaterOrEqual", scores, g.op("GatherElements", scores, index, axis=axis))
        count = g.reduce("Sum", g.cast(better, "float32"), (axis,))
        right = g.op("LessOrEqual", count, g.const(float(self.top_k)))
        if keep is not None:
            right = g.op("And", right, keep)
        hits = g.reshape(g.cast(right, "float32"), (-1, 1))
        counted = None if keep is None else g.reshape(g.cast(keep, "float32"), (-1, 1))
        if counted is None:
            accuracy = g.reduce("Mean", hits, (0, 1), keepdims=False)
        else:
            accuracy = _lower_share(g, hits, counted, (0, 1))
        if self.num_tops == 1:
            return accuracy
        depth, off_on = g.const(scores.static(axis), "int64"), g.const([0.0, 1.0])
        classes = g.op("OneHot", g.reshape(index, (-1,)), depth, off_on, axis=-1)
        named = classes if counted is None else g.op("Mul", classes, counted)
        return accuracy, _lower_share(g, g.op("Mul", classes, hits), named, (0,))


def _share(part: Tensor, whole: Tensor) -> Tensor:
    """part / whole; 0 of nothing is 0."""
    return part / whole.clamp(min=1)


def _lower_share(g: GraphBuilder, part: Value, whole: Value, axes: tuple[int, ...]) -> Value:
    sums = [g.reduce("Sum", x, axes, keepdims=False) for x in (part, whole)]
    return g.op("Div", sums[0], g.op("Max", sums[1], g.const(1.0)))
