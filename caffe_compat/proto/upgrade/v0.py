"""V0 -> V1: `layers { layer { type: "conv" num_output: 96 } bottom: ... }` of 2013.

A V0 layer held the fields of all types in one message; V1 gives each type a block.
"""

from __future__ import annotations

from typing import Any

from caffe_compat.proto import pb
from caffe_compat.proto.document import Document, Place
from caffe_compat.proto.upgrade.moves import copy_value, move_places, only_place, places, tell

TYPES = {
    "accuracy": "ACCURACY",
    "bnll": "BNLL",
    "concat": "CONCAT",
    "conv": "CONVOLUTION",
    "data": "DATA",
    "dropout": "DROPOUT",
    "euclidean_loss": "EUCLIDEAN_LOSS",
    "flatten": "FLATTEN",
    "hdf5_data": "HDF5_DATA",
    "hdf5_output": "HDF5_OUTPUT",
    "im2col": "IM2COL",
    "images": "IMAGE_DATA",
    "infogain_loss": "INFOGAIN_LOSS",
    "innerproduct": "INNER_PRODUCT",
    "lrn": "LRN",
    "multinomial_logistic_loss": "MULTINOMIAL_LOGISTIC_LOSS",
    "pool": "POOLING",
    "relu": "RELU",
    "sigmoid": "SIGMOID",
    "softmax": "SOFTMAX",
    "softmax_loss": "SOFTMAX_LOSS",
    "split": "SPLIT",
    "tanh": "TANH",
    "window_data": "WINDOW_DATA",
}
# V0 type -> V1 block, and V0 field -> field of that block (the same name where none is given).
BLOCKS: dict[str, tuple[str, dict[str, str]]] = {
    "conv": (
        "convolution_param",
        {"num_output": "", "biasterm": "bias_term", "weight_filler": "", "bias_filler": "", "pad": "",
         "kernelsize": "kernel_size", "group": "", "stride": ""},
    ),
    "innerproduct": (
        "inner_product_param",
        {"num_output": "", "biasterm": "bias_term", "weight_filler": "", "bias_filler": ""},
    ),
    "pool": ("pooling_param", {"pool": "", "pad": "", "kernelsize": "kernel_size", "stride": ""}),
    "dropout": ("dropout_param", {"dropout_ratio": ""}),
    "lrn": ("lrn_param", {"local_size": "", "alpha": "", "beta": "", "k": ""}),
    "concat": ("concat_param", {"concat_dim": ""}),
    "infogain_loss": ("infogain_loss_param", {"source": ""}),
    "data": ("data_param", {"source": "", "batchsize": "batch_size", "rand_skip": ""}),
    "hdf5_data": ("hdf5_data_param", {"source": "", "batchsize": "batch_size"}),
    "images": (
        "image_data_param",
        {"source": "", "batchsize": "batch_size", "rand_skip": "", "shuffle_images": "shuffle", "new_height": "",
         "new_width": ""},
    ),
    "window_data": (
        "window_data_param",
        {"source": "", "batchsize": "batch_size", "det_fg_threshold": "fg_threshold",
         "det_bg_threshold": "bg_threshold", "det_fg_fraction": "fg_fraction", "det_context_pad": "context_pad",
         "det_crop_mode": "crop_mode"},
    ),
}  # fmt: skip
TRANSFORM = {"scale": "scale", "meanfile": "mean_file", "cropsize": "crop_size", "mirror": "mirror"}
KEPT = ("name", "blobs", "blobs_lr", "weight_decay")


def v0_to_v1(document: Document) -> None:
    """Rewrite every V0 layer as a V1 layer. A field without meaning for the layer's type is dropped with a note."""
    net = document.message
    old = [index for index, layer in enumerate(net.layers) if layer.HasField("layer")]
    where = places(document.place, "layers", len(net.layers))
    for index in old:
        _upgrade(document, net.layers[index], where[index])
    if old:
        document.notes.append(f"{document.source}: {len(old)} layers upgraded from the V0 to the V1 format")


def _upgrade(document: Document, layer: Any, place: Place) -> None:
    v0, v0_place = layer.layer, only_place(place, "layer")
    _set_type(layer, v0.type, place, v0_place)
    for field, value in v0.ListFields():
        if field.name != "type" and not _move(layer, place, v0.type, field.name, value, v0_place):
            tell(document, v0_place.at(field.name), f"{field.name!r} means nothing to a {v0.type!r} layer: ignored")
    layer.ClearField("layer")
    del place.children["layer"]


def _set_type(layer: Any, name: str, place: Place, v0_place: Place) -> None:
    move_places(v0_place, "type", place, "type")
    if name in TYPES:
        layer.type = pb.enum_value("V1LayerParameter.LayerType", TYPES[name])
    else:
        only_place(place, "type").literal = name


def _move(layer: Any, place: Place, kind: str, name: str, value: Any, v0_place: Place) -> bool:
    """Give the V1 layer one field of its V0 layer; False where that has no home in it."""
    if name in KEPT:
        target, target_place, new_name = layer, place, name
    elif name in TRANSFORM:
        target, target_place, new_name = layer.transform_param, only_place(place, "transform_param"), TRANSFORM[name]
    elif kind == "hdf5_output" and name == "hdf5_output_param":
        target, target_place, new_name = layer, place, name
    elif kind in BLOCKS and name in BLOCKS[kind][1]:
        block, names = BLOCKS[kind]
        target, target_place, new_name = getattr(layer, block), only_place(place, block), names[name] or name
    else:
        return False
    copy_value(target, new_name, value)
    move_places(v0_place, name, target_place, new_name)
    return True
