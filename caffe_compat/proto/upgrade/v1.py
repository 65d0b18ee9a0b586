"""V1 -> current: `layers { type: RELU blobs_lr: 1 }` of 2014 -> `layer { type: "ReLU" param { lr_mult: 1 } }`."""

from __future__ import annotations

from typing import Any

from caffe_compat.errors import PrototxtError
from caffe_compat.proto import pb
from caffe_compat.proto.document import Document, Place
from caffe_compat.proto.upgrade.moves import copy_value, places

TYPES = {
    "NONE": "",
    "ABSVAL": "AbsVal",
    "ACCURACY": "Accuracy",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "CONCAT": "Concat",
    "CONTRASTIVE_LOSS": "ContrastiveLoss",
    "CONVOLUTION": "Convolution",
    "DATA": "Data",
    "DECONVOLUTION": "Deconvolution",
    "DROPOUT": "Dropout",
    "DUMMY_DATA": "DummyData",
    "EUCLIDEAN_LOSS": "EuclideanLoss",
    "ELTWISE": "Eltwise",
    "EXP": "Exp",
    "FLATTEN": "Flatten",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "HINGE_LOSS": "HingeLoss",
    "IM2COL": "Im2col",
    "IMAGE_DATA": "ImageData",
    "INFOGAIN_LOSS": "InfogainLoss",
    "INNER_PRODUCT": "InnerProduct",
    "LRN": "LRN",
    "MEMORY_DATA": "MemoryData",
    "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss",
    "MVN": "MVN",
    "POOLING": "Pooling",
    "POWER": "Power",
    "RELU": "ReLU",
    "SIGMOID": "Sigmoid",
    "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss",
    "SILENCE": "Silence",
    "SLICE": "Slice",
    "SOFTMAX": "Softmax",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "SPLIT": "Split",
    "TANH": "TanH",
    "THRESHOLD": "Threshold",
    "WINDOW_DATA": "WindowData",
}
# One number or name a parameter blob each; today the fields of `param {}`.
PARAM_FIELDS = {"param": "name", "blob_share_mode": "share_mode", "blobs_lr": "lr_mult", "weight_decay": "decay_mult"}


def v1_to_current(document: Document) -> None:
    """Rewrite `layers` as `layer`. The message becomes a new one, so that the old copy of large blobs can be freed.

    PrototxtError where a net has both. A type that only a fork of Caffe knows stays as the layer's type, as written.
    """
    old, place = document.message, document.place
    if not old.layers:
        return
    if old.layer:
        document.fault(_mixture(document))
    net = pb.NetParameter()
    for field, value in old.ListFields():
        if field.name != "layers":
            copy_value(net, field.name, value)
    old_places = places(place, "layers", len(old.layers))
    new_places = [
        _upgrade(layer, layer_place, net.layer.add()) for layer, layer_place in zip(old.layers, old_places, strict=True)
    ]
    del place.children["layers"]
    place.children["layer"] = places(place, "layer", len(old.layer)) + new_places
    document.message = net
    document.notes.append(f"{document.source}: {len(new_places)} layers upgraded from the V1 to the current format")


def _mixture(document: Document) -> PrototxtError:
    return PrototxtError(
        f"{document.where('layer')}: the net has both 'layer' (here) and 'layers' ({document.where('layers')}), "
        "two formats in one file; rewrite the 'layers { type: NAME }' by hand as 'layer { type: \"Name\" }'"
    )


def _upgrade(layer: Any, place: Place, new: Any) -> Place:
    """Fill a LayerParameter from a V1LayerParameter; returns its place."""
    new_place = Place(place.offset)
    _set_type(layer, place, new)
    for name in ("type", *(field.name for field, _ in layer.ListFields())):
        if name not in PARAM_FIELDS and name in place.children:
            new_place.children[name] = place.children[name]
    for field, value in layer.ListFields():
        if field.name in PARAM_FIELDS:
            _set_params(new, new_place, field.name, value, place)
        elif field.name != "type":
            copy_value(new, field.name, value)
    return new_place


def _set_type(layer: Any, place: Place, new: Any) -> None:
    literal = place.at("type").literal
    new.type = literal or TYPES[pb.enum_name("V1LayerParameter.LayerType", layer.type)]


def _set_params(new: Any, new_place: Place, name: str, values: Any, place: Place) -> None:
    for index, value in enumerate(values):
        if index == len(new.param):
            new.param.add()
        setattr(new.param[index], PARAM_FIELDS[name], value)
        where = place.at(name, index)
        if index == len(new_place.children.setdefault("param", [])):
            new_place.add("param", where.offset)
        new_place.children["param"][index].children[PARAM_FIELDS[name]] = [where]
