"""Binary files: .caffemodel, .solverstate, .binaryproto."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from caffe_compat.errors import PrototxtError
from caffe_compat.proto import schema
from caffe_compat.proto.sources import read_file

_HDF5 = b"\x89HDF"


def read_binary(path_or_bytes: str | PathLike[str] | bytes, message: str) -> Any:
    """The message of a binary file or of bytes, not upgraded (see ``upgrade_net``).

    PrototxtError where the file is missing, truncated, damaged, or something else. Fields that the schema does not
    have (of forks) are kept in the message, unread.
    """
    data = path_or_bytes if isinstance(path_or_bytes, bytes) else read_file(Path(path_or_bytes))
    source = "the data" if isinstance(path_or_bytes, bytes) else str(path_or_bytes)
    if data.startswith(_HDF5):
        raise PrototxtError(f"{source} is an HDF5 file, not a binary {message}; its name should end in .h5")
    made = schema.message_class(message)()
    from google.protobuf.message import DecodeError

    try:
        made.ParseFromString(data)
    except DecodeError:
        raise PrototxtError(f"{source} is not a binary {message}: truncated or damaged") from None
    if data and not made.ListFields():
        raise PrototxtError(f"{source} is not a binary {message}: no field of it is in the file")
    return made
