"""Labels: whole numbers that name classes, in blobs of float32 and of any rank, one for each place of the scores."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from caffe_compat.errors import NetError
from caffe_compat.layers.base import Shape

if TYPE_CHECKING:
    from caffe_compat.export.graph import GraphBuilder, Value


def label_shape(shape: Shape, axis: int) -> Shape:
    """The scores' shape with 1 in place of the classes: one label for each place."""
    return (*shape[:axis], 1, *shape[axis + 1 :])


def label_index(labels: Tensor, scores: Tensor, axis: int) -> Tensor:
    """Labels (any rank; fractions are cut off) as int64 of the scores' rank. Raises NetError for a wrong count."""
    check_label_count(tuple(scores.shape), tuple(labels.shape), axis)
    return labels.reshape(label_shape(tuple(scores.shape), axis)).long()


def check_label_count(scores: Shape, labels: Shape, axis: int) -> None:
    """Raise NetError unless there is one label for each place of the scores."""
    places = label_shape(scores, axis)
    if math.prod(labels) != math.prod(places):
        raise NetError(
            f"{math.prod(labels)} labels (shape {list(labels)}) for {math.prod(places)} predictions: scores of shape "
            f"{list(scores)} with the {scores[axis]} classes along axis {axis} need labels of shape "
            f"{[*scores[:axis], *scores[axis + 1 :]]}, or any other of that count; reshape one of the two, or set axis"
        )


def out_of_range(labels: Tensor, classes: int, ignore_label: int | None) -> NetError | None:
    """The error that names the first label out of range; None when all are in range (it waits for a GPU)."""
    values = labels.detach().reshape(-1).cpu()
    index = values.long()
    bad = (index < 0) | (index >= classes)
    if ignore_label is not None:
        bad &= index != ignore_label
    if not bad.any():
        return None
    first = int(bad.nonzero()[0])
    place = [int(i) for i in torch.unravel_index(torch.tensor(first), labels.shape)] if labels.dim() else []
    ignored = "" if ignore_label is None else f", or the ignore_label {ignore_label}"
    return NetError(
        f"label {values[first].item():g} at {place} (of labels of shape {list(labels.shape)}; {int(bad.sum())} are out "
        f"of range) is no class; accepted: 0 to {classes - 1}{ignored}; correct the labels, raise num_output of the "
        f"layer that makes the {classes} scores, or leave such labels out with loss_param {{ ignore_label: ... }}"
    )


def keep_mask(index: Tensor, ignore_label: int | None) -> tuple[Tensor, Tensor | None]:
    """The labels with 0 where ignored, and which count (None: all do)."""
    if ignore_label is None:
        return index, None
    keep = index != ignore_label
    return index * keep, keep


def lower_labels(
    g: GraphBuilder, labels: Value, scores: Value, axis: int, ignore_label: int | None
) -> tuple[Value, Value | None]:
    """`label_index` and `keep_mask` in ONNX."""
    dims = label_shape(tuple(-1 if dim is None else dim for dim in scores.shape), axis)
    index = g.cast(g.reshape(labels, dims), "int64")
    if ignore_label is None:
        return index, None
    ignored = g.const(ignore_label, "int64")
    keep = g.op("Not", g.op("Equal", index, ignored))
    return g.op("Where", keep, index, g.const(0, "int64")), keep
