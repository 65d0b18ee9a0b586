"""V0 nets padded images in a layer of its own; today `pad` is a field of the convolution or pooling that follows."""

from __future__ import annotations

from typing import Any

from caffe_compat.errors import PrototxtError
from caffe_compat.proto.document import Document
from caffe_compat.proto.upgrade.moves import only_place, places


def fold_padding(document: Document) -> None:
    """Move each padding layer's `pad` into the layers that read its top, and drop it.

    PrototxtError where a padding layer feeds anything but a convolution or pooling of one bottom, as in Caffe.
    """
    net = document.message
    padding = [index for index, layer in enumerate(net.layers) if layer.layer.type == "padding"]
    if not padding:
        return
    where = places(document.place, "layers", len(net.layers))
    producers: dict[str, int] = {}
    for index, layer in enumerate(net.layers):
        for bottom, blob in enumerate(layer.bottom):
            if producers.get(blob) in padding:
                _fold(document, producers[blob], index, bottom)
        producers.update((top, index) for top in layer.top)
    for index in reversed(padding):
        del net.layers[index], where[index]
    document.notes.append(f"{document.source}: {len(padding)} padding layers folded into the layers after them")


def _fold(document: Document, padding: int, reader: int, bottom: int) -> None:
    """Give layer ``reader`` the pad of layer ``padding`` and the bottom that this one read."""
    layers = document.message.layers
    source, target = layers[padding], layers[reader]
    _check(document, source, target, reader)
    target.layer.pad = source.layer.pad
    target.bottom[bottom] = source.bottom[0]
    source_place, target_place = document.place.at("layers", padding), document.place.at("layers", reader)
    if "pad" in source_place.at("layer").children:
        pad = source_place.at("layer").children["pad"]
        only_place(target_place, "layer").children["pad"] = pad


def _check(document: Document, source: Any, target: Any, index: int) -> None:
    where = document.where("layers", index)
    padding, layer = source.layer.name, target.layer
    if layer.type not in ("conv", "pool"):
        raise PrototxtError(
            f"{where}: layer {layer.name!r} of type {layer.type!r} reads padding layer {padding!r}; only conv and pool "
            "layers can: take the padding layer out"
        )
    if (len(target.bottom), len(source.bottom), len(source.top)) != (1, 1, 1):
        raise PrototxtError(
            f"{where}: layer {layer.name!r} and padding layer {padding!r} must have one bottom each, and the "
            f"padding layer one top; they have {len(target.bottom)}, {len(source.bottom)} and {len(source.top)}"
        )
