"""What a file is that was given as weights or as a snapshot but is none."""

from __future__ import annotations

import string

from caffe_compat.weights import wire

ACCEPTED = "accepted: a .caffemodel of Caffe or of its forks, of any age, binary or HDF5"
_MAGIC = {
    b"PK\x03\x04": "a zip archive, as PyTorch and numpy write them",
    b"\x80\x02": "a Python pickle",
    b"\x80\x04": "a Python pickle",
    b"\x1f\x8b": "a gzip archive: unpack it first",
    b"version https://git-lfs": "a Git LFS pointer: fetch the file itself with 'git lfs pull'",
    b"<": "a web page or XML: download the file itself",
}


def foreign(data: memoryview) -> str | None:
    """What the content of a file is, if it is surely no binary message."""
    head = bytes(data[:64])
    if not head:
        return "empty (0 bytes)"
    for magic, name in _MAGIC.items():
        if head.lstrip().startswith(magic):
            return name
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < len(data):
        return "a safetensors file"
    if all(chr(byte) in string.printable for byte in head):
        return "a text file; weights are binary (a prototxt is the net, not its weights)"
    return None


def other_message(data: memoryview) -> str | None:
    """What the content of a file is, if it is a message but no NetParameter, whose field 1 is a name, no number."""
    try:
        kinds = {field.number: field.kind for field in wire.fields(data)}
    except wire.DamagedError:
        return None
    if kinds.get(1) != wire.VARINT:
        return None
    if kinds.get(7) == wire.BYTES and kinds.get(8) == wire.BYTES:
        return "an ONNX model"
    if kinds.get(2) == wire.VARINT and kinds.get(5) == wire.BYTES:
        return "a mean image (.binaryproto)"
    if kinds.get(3) == wire.BYTES or kinds.get(2) == wire.BYTES:
        return (
            "a solver state; train on from it with --snapshot (in Python: snapshot=), its weights are in the "
            ".caffemodel beside it"
        )
    return None
