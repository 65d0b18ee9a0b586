"""Weights from one format into another: .caffemodel, .caffemodel.h5, .safetensors, .npz."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch

from caffe_compat.errors import WeightsError
from caffe_compat.files import atomic_write, refused_as
from caffe_compat.net import Net
from caffe_compat.proto import pb
from caffe_compat.tools.weight_files import CAFFE, format_of, read_arrays, write_arrays
from caffe_compat.weights import hdf5, load_weights, save_caffemodel
from caffe_compat.weights.blob import encode_blob
from caffe_compat.weights.caffemodel import StoredLayer, stored_layers, write_message

StrPath = str | os.PathLike[str]
_LAYER, _BLOBS = 100, 7


def convert(source: StrPath, out: StrPath, net: Net | None = None) -> str:
    """Write the weights ``source`` to ``out``, whole or not at all; the names' ends say the formats.

    ``net`` gives blobs their names in .safetensors and .npz, those of ``net.state_dict()``; its blobs are overwritten.
    Between Caffe's two formats it may be None. Returns what was done. Raises WeightsError, also where ``source`` lacks
    a blob of the net.
    """
    formats = format_of(source), format_of(out)
    if net is not None:
        report = load_into(net, source)
        save_from(net, out)
        return report
    if not set(formats) <= set(CAFFE):
        raise WeightsError(
            f"{source} to {out}: the names of the blobs in .safetensors and .npz are those of the net: name its "
            "prototxt with --model (in Python: net=)"
        )
    layers = [layer for layer in stored_layers(source) if layer.blobs]
    _check_shapes(source, layers)
    with refused_as(WeightsError), atomic_write(out, "w+b") as file:
        (_write_hdf5 if formats[1] == ".h5" else _write_binary)(layers, file)
    return f"{len(layers)} layer(s) converted"


def load_into(net: Net, source: StrPath) -> str:
    """Put all blobs of ``net`` from a file of any format; what became of the layers. Raises WeightsError."""
    if format_of(source) in CAFFE:
        report = load_weights(net, source)
        if missing := [name for name in report.untouched if name in _owners(net)]:
            raise WeightsError(f"{source} lacks layers of the net: {', '.join(missing)}; give the net's own file")
        ignored = f"; not converted (the net has no such layer): {', '.join(report.ignored)}" if report.ignored else ""
        return f"{len(report.loaded)} layer(s) converted{ignored}"
    arrays, blobs = read_arrays(source), net.state_dict()
    _check_names(source, arrays, blobs)
    with torch.no_grad():
        for name, blob in blobs.items():
            blob.copy_(torch.from_numpy(np.ascontiguousarray(arrays[name])))
    return f"{len(blobs)} blob(s) converted"


def _owners(net: Net) -> set[str]:
    """The layers with a blob that is not another layer's: HDF5 leaves out all others."""
    shared = {(node.index, index) for node, index, _ in net._shared}
    return {node.name for node in net.nodes if any((node.index, i) not in shared for i in range(len(node.layer.blobs)))}


def save_from(net: Net, out: StrPath) -> None:
    """Write the blobs of ``net`` in the format that the name's end says."""
    if format_of(out) in CAFFE:
        save_caffemodel(net, out)
    else:
        write_arrays(out, {name: blob.cpu().numpy().copy() for name, blob in net.state_dict().items()})


def _check_names(source: StrPath, arrays: dict[str, np.ndarray], blobs: dict[str, Any]) -> None:
    """Raises WeightsError that lists what does not fit."""
    wrong = [f"'{name}' is missing" for name in blobs if name not in arrays]
    wrong += [f"'{name}' is no blob of the net" for name in arrays if name not in blobs]
    wrong += [
        f"'{name}' has shape {list(arrays[name].shape)}, in the net {list(blob.shape)}"
        for name, blob in blobs.items()
        if name in arrays and arrays[name].shape != tuple(blob.shape)
    ]
    if wrong:
        more = f"; and {len(wrong) - 8} more" if len(wrong) > 8 else ""
        raise WeightsError(f"{source} does not fit the net: {'; '.join(wrong[:8])}{more}; give the net of this file")


def _check_shapes(source: StrPath, layers: list[StoredLayer]) -> None:
    if any(blob.legacy for layer in layers for blob in layer.blobs.values()):
        raise WeightsError(
            f"{source} is in an old form that says four sizes of every blob, not its real shape; name the net's "
            "prototxt with --model (in Python: net=)"
        )


def _write_binary(layers: list[StoredLayer], file: Any) -> None:
    for layer in layers:
        blobs = [
            encode_blob(layer.blobs[index].values.reshape(layer.blobs[index].shape)) for index in sorted(layer.blobs)
        ]
        write_message(file, _LAYER, pb.LayerParameter(name=layer.name).SerializeToString(), _BLOBS, blobs)


def _write_hdf5(layers: list[StoredLayer], file: Any) -> None:
    with hdf5.require_h5py().File(file, "w") as content:
        for layer in layers:
            if "/" in layer.name or not layer.name:
                raise WeightsError(f"layer '{layer.name}': HDF5 cannot store a layer of this name; take another format")
            group = content.require_group(f"data/{layer.name}")
            for index, blob in layer.blobs.items():
                if str(index) not in group:
                    group[str(index)] = np.asarray(blob.values, np.float32).reshape(blob.shape)
