"""Data layers replaced by inputs, so that a net can be checked on a machine without its data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from caffe_compat.proto import Document, pb

DATA_TYPES = (
    "Data", "ImageData", "HDF5Data", "MemoryData", "WindowData", "DummyData", "AnnotatedData", "VideoData",
    "ImageSegData", "DenseImageData", "MultiImageData", "Python",
)  # fmt: skip
BATCH = 2
SIZES = (224, 227, 32, 28, 299, 300, 321, 500)
"""Sizes of square images that are tried where the prototxt does not say one."""


def data_layers(net: Any) -> list[Any]:
    """The layers that bring data: those without bottoms, by type."""
    return [layer for layer in net.layer if layer.type in DATA_TYPES and not layer.bottom]


def without_data(document: Document, size: int | None, channels: int | None, spatial_labels: bool) -> Document:
    """The net with Input layers for its data layers: images (2, channels, size, size), and labels.

    ``size`` and ``channels`` count only where the layer does not say them. ``spatial_labels``: one for every pixel.
    The places of the layers in the file are kept.
    """
    net = pb.NetParameter()
    net.CopyFrom(document.message)
    for layer in data_layers(net):
        if layer.type == "DummyData":
            continue
        tops = list(layer.top)
        image = image_shape(layer, size, channels)
        label = (BATCH, 1, *image[2:]) if spatial_labels else (BATCH,)
        shapes = [image if i == 0 or (layer.type == "Python" and "label" not in top) else label
                  for i, top in enumerate(tops)]  # fmt: skip
        substitute = pb.LayerParameter(name=layer.name, type="Input", top=tops)
        substitute.include.extend(layer.include)
        substitute.exclude.extend(layer.exclude)
        for shape in shapes:
            substitute.input_param.shape.add(dim=shape)
        layer.CopyFrom(substitute)
    return document.with_message(net)


def writing_into(document: Document, folder: str) -> Document:
    """The net, with the files of its HDF5Output layers in ``folder``: a check leaves no file behind."""
    net = pb.NetParameter()
    net.CopyFrom(document.message)
    for layer in net.layer:
        if layer.hdf5_output_param.file_name:
            layer.hdf5_output_param.file_name = f"{folder}/{Path(layer.hdf5_output_param.file_name).name}"
    return document.with_message(net)


def stages_of(net: Any) -> list[tuple[str, ...]]:
    """No stage, and then each one that a rule of the net names: what to try."""
    rules = [rule for layer in net.layer for rule in (*layer.include, *layer.exclude)]
    return [(), *dict.fromkeys((stage,) for rule in rules for stage in (*rule.stage, *rule.not_stage))]


def says_size(net: Any) -> bool:
    """Whether every data layer says the size of its images."""
    return all(_size(layer) or layer.HasField("memory_data_param") for layer in data_layers(net))


def image_shape(layer: Any, size: int | None, channels: int | None = None) -> tuple[int, ...]:
    """(2, channels, height, width) of a data layer's images."""
    if layer.HasField("memory_data_param"):
        param = layer.memory_data_param
        return (BATCH, param.channels, param.height, param.width)
    height, width = _size(layer) or (size or SIZES[0],) * 2
    return (BATCH, channels or _channels(layer, height), height, width)


def _size(layer: Any) -> tuple[int, int] | None:
    if crop := layer.transform_param.crop_size:
        return crop, crop
    param = layer.image_data_param
    return (param.new_height, param.new_width) if param.new_height and param.new_width else None


def _channels(layer: Any, height: int) -> int:
    """Three colours unless the layer, or the size of MNIST's digits, says gray."""
    gray = layer.transform_param.force_gray or not layer.image_data_param.is_color
    return 1 if gray or height == 28 else len(layer.transform_param.mean_value) or 3


def candidates(document: Document) -> Iterator[Document]:
    """Substituted nets to try in turn, likeliest first."""
    sizes = [None] if says_size(document.message) else list(SIZES)
    for channels in (None, 2, 1):
        for size in sizes:
            for spatial_labels in (False, True):
                yield without_data(document, size, channels, spatial_labels)
