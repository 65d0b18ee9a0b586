"""Data layers kept scale, mean_file, crop_size and mirror in their own block; today they are `transform_param`.

Caffe moves them in V1 layers only. In a current layer it ignores them without a word: here with a note.
"""

from __future__ import annotations

from typing import Any

from caffe_compat.proto import pb
from caffe_compat.proto.document import Document, Place
from caffe_compat.proto.upgrade.moves import move_places, only_place, places, tell

FIELDS = ("scale", "mean_file", "crop_size", "mirror")
V1_BLOCKS = {"DATA": "data_param", "IMAGE_DATA": "image_data_param", "WINDOW_DATA": "window_data_param"}
# A current WindowData layer does read its own block's scale.
IGNORED = {
    "Data": ("data_param", FIELDS),
    "ImageData": ("image_data_param", FIELDS),
    "WindowData": ("window_data_param", FIELDS[1:]),
}


def move_transform_fields(document: Document) -> None:
    """Move the fields of V1 data layers to `transform_param`."""
    layers = document.message.layers
    blocks = {pb.enum_value("V1LayerParameter.LayerType", kind): block for kind, block in V1_BLOCKS.items()}
    for layer, place in zip(layers, places(document.place, "layers", len(layers)), strict=True):
        block = blocks.get(layer.type)
        if block is not None and layer.HasField(block):
            _move(document, layer, place, block)


def _move(document: Document, layer: Any, place: Place, block: str) -> None:
    source, source_place = getattr(layer, block), only_place(place, block)
    for name in FIELDS:
        if source.HasField(name):
            setattr(layer.transform_param, name, getattr(source, name))
            source.ClearField(name)
            tell(document, source_place.at(name), f"{name!r} upgraded from {block} to transform_param")
            move_places(source_place, name, only_place(place, "transform_param"), name)


def tell_ignored_transform_fields(document: Document) -> None:
    """Note the fields that a current data layer does not look at."""
    for index, layer in enumerate(document.message.layer):
        block, names = IGNORED.get(layer.type, ("", ()))
        for name in names:
            if layer.HasField(block) and getattr(layer, block).HasField(name):
                place = document.place.at("layer", index).at(block).at(name)
                tell(document, place, f"Caffe ignores {name!r} in {block} of a 'layer'; move it to transform_param")
