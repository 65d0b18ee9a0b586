"""BatchNorm's three blobs are statistics, which no solver may touch: old nets had to say so in three `param {}`."""

from __future__ import annotations

from caffe_compat.proto.document import Document
from caffe_compat.proto.upgrade.moves import tell

STATISTICS = 3


def freeze_batch_norm(document: Document) -> None:
    """Set lr_mult and decay_mult to 0 in BatchNorm layers of exactly three `param {}`, as Caffe does."""
    for index, layer in enumerate(document.message.layer):
        if layer.type != "BatchNorm" or len(layer.param) != STATISTICS:
            continue
        if any(param.lr_mult for param in layer.param):
            tell(
                document,
                document.place.at("layer", index),
                f"BatchNorm {layer.name!r}: every lr_mult set to 0, as by Caffe",
            )
        for param in layer.param:
            param.lr_mult = param.decay_mult = 0
