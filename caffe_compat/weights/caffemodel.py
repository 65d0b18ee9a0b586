"""Caffe's binary weight files: a NetParameter whose layers hold blobs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from caffe_compat.errors import PrototxtError, WeightsError
from caffe_compat.files import atomic_write, is_device, refused_as
from caffe_compat.net import Net, Node
from caffe_compat.proto import pb, read_binary, upgrade_net
from caffe_compat.weights import hdf5, wire
from caffe_compat.weights.blob import StoredBlob, decode_blob, encode_blob
from caffe_compat.weights.formats import ACCEPTED, foreign, other_message

_LAYER, _V1_LAYERS = 100, 2
_NAME = {_LAYER: 1, _V1_LAYERS: 4}
_BLOBS = {_LAYER: 7, _V1_LAYERS: 6}
_V0_LAYER = 1


@dataclass
class StoredLayer:
    """A layer of a weight file: its name and its blobs by number.

    ``owners_only``: the file (HDF5) leaves out the blobs that a layer shares with another.
    """

    name: str
    blobs: dict[int, StoredBlob] = field(default_factory=dict)
    owners_only: bool = False


def read_caffemodel(path: str | os.PathLike[str]) -> Any:
    """The NetParameter in ``path``, upgraded to the current form. Raises WeightsError."""
    data = _read(Path(path))
    try:
        return upgrade_net(read_binary(bytes(data), "NetParameter"))
    except PrototxtError as error:
        raise _damaged(Path(path), data, str(error)) from error


def stored_layers(path: str | os.PathLike[str]) -> list[StoredLayer]:
    """The layers of a weight file, their values as views of the file's bytes. Raises WeightsError."""
    path = Path(path)
    if is_hdf5(path):
        return [StoredLayer(name, blobs, owners_only=True) for name, blobs in hdf5.read_layers(path).items()]
    data = _read(path)
    try:
        layers = list(_layers(data))
        if not any(layer.blobs for layer in layers):
            raise WeightsError(f"{path} holds no weights: none of its {len(layers)} layer(s) has blobs; {ACCEPTED}")
        return layers
    except wire.DamagedError as error:
        raise _damaged(path, data, str(error)) from error


def _layers(data: memoryview) -> Iterator[StoredLayer]:
    found: dict[int, list[memoryview]] = {_LAYER: [], _V1_LAYERS: []}
    for number, kind, _, content, _ in wire.fields(data):
        if number in found and kind == wire.BYTES:
            found[number].append(content)
    if all(found.values()):
        raise wire.DamagedError("it has layers of the old form and of the current one, where Caffe stops, too")
    number = _V1_LAYERS if found[_V1_LAYERS] else _LAYER
    for content in found[number]:
        layer = StoredLayer("")
        for part, kind, _, value, _ in wire.fields(content):
            if part == _NAME[number] and kind == wire.BYTES:
                layer.name = bytes(value).decode("utf-8", "surrogateescape")
            elif part == _BLOBS[number] and kind == wire.BYTES:
                layer.blobs[len(layer.blobs)] = decode_blob(value)
            elif number == _V1_LAYERS and part == _V0_LAYER:
                yield from _v0_layers(data)
                return
        yield layer


def _v0_layers(data: memoryview) -> Iterator[StoredLayer]:
    """The oldest files, whose layers lie inside layers: through the upgrade."""
    for layer in upgrade_net(read_binary(bytes(data), "NetParameter")).layer:
        blobs = [decode_blob(memoryview(blob.SerializeToString())) for blob in layer.blobs]
        yield StoredLayer(layer.name, dict(enumerate(blobs)))


def is_hdf5(path: Path) -> bool:
    """Whether the content of a file is HDF5, whatever its name says."""
    try:
        with open(path, "rb") as file:
            return file.read(len(hdf5.MAGIC)) == hdf5.MAGIC
    except OSError:
        return False


def _read(path: Path) -> memoryview:
    """The file's bytes, once they look like a NetParameter."""
    if is_device(path):
        raise WeightsError(f"{path} is a device, not a file; {ACCEPTED}")
    try:
        data = memoryview(path.read_bytes())
    except OSError as error:
        raise WeightsError(f"cannot read the weights {path}: {error.strerror}; give a .caffemodel file") from error
    found = foreign(data) or other_message(data)
    if found:
        raise WeightsError(f"{path} is no weight file, it is {found}; {ACCEPTED}")
    return data


def _damaged(path: Path, data: memoryview, reason: str) -> WeightsError:
    return WeightsError(
        f"{path} ({len(data)} bytes) is truncated or damaged: {reason}; copy or download the file again, and compare "
        "its size with the original's"
    )


def save_caffemodel(net: Net, path: str | os.PathLike[str]) -> None:
    """Write the weights of ``net`` to ``path`` as Caffe's Net::ToProto does, whole or not at all.

    Every layer of the net is written with its blobs, a shared one in each layer that uses it. A file beyond 2 GiB
    is read by caffe_compat only. A name that ends in ".h5" makes Caffe's HDF5 form, of the blobs alone. Raises
    WeightsError where the system refuses.
    """
    with refused_as(WeightsError), atomic_write(path, "w+b") as file:
        write_caffemodel(net, file, hdf5_form=os.fspath(path).endswith(hdf5.SUFFIX))


def write_caffemodel(net: Net, file: Any, hdf5_form: bool = False) -> None:
    """``save_caffemodel`` into a file opened as "w+b"."""
    if hdf5_form:
        hdf5.write_layers(net, file)
        return
    file.write(pb.NetParameter(name=net.name).SerializeToString())
    for node in net.nodes:
        blobs = [encode_blob(blob.detach().cpu().numpy()) for blob in node.layer.blobs]
        write_message(file, _LAYER, _layer_message(node).SerializeToString(), _BLOBS[_LAYER], blobs)


def write_message(file: Any, number: int, head: bytes, blob_field: int, blobs: list[tuple[bytes, memoryview]]) -> None:
    """Field ``number``: a message made of ``head`` and of blobs as its field ``blob_field``."""
    starts = [wire.bytes_header(blob_field, len(start) + values.nbytes) + start for start, values in blobs]
    length = len(head) + sum(len(start) + values.nbytes for start, (_, values) in zip(starts, blobs, strict=True))
    file.write(wire.bytes_header(number, length) + head)
    write_blobs(file, blob_field, blobs)


def write_blobs(file: Any, blob_field: int, blobs: list[tuple[bytes, memoryview]]) -> None:
    """Each blob as one more value of field ``blob_field``."""
    for start, values in blobs:
        file.write(wire.bytes_header(blob_field, len(start) + values.nbytes) + start)
        file.write(values)


def _layer_message(node: Node) -> Any:
    """The LayerParameter with what Caffe's layers fill in: phase, loss weight, and statistics not to be learned."""
    message = pb.LayerParameter()
    message.CopyFrom(node.param)
    message.ClearField("blobs")
    message.phase = pb.enum_value("Phase", node.phase)
    if node.layer.is_loss and not message.loss_weight:
        message.loss_weight.extend(node.loss_weights)
    if not message.param and node.layer.blobs and not node.layer._parameters:
        for _ in node.layer.blobs:
            message.param.add(lr_mult=0)
    return message
