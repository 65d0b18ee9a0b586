"""BatchNorm's three blobs are statistics, which no solver may touch: old nets had to say so in three `param {}`."""

from __future__ import annotations

from caffe_compat.proto.document import Document

STATISTICS = 3


def freeze_batch_norm(document: Document) -> None:
    """Set lr_mult and decay_mult to 0 in BatchNorm layers of exactly three `param {}`, as Caffe does."""
    for layer in document.message.layer:
        if layer.type == "BatchNorm" and len(layer.param) == STATISTICS:
            for param in layer.param:
                param.lr_mult = param.decay_mult = 0
