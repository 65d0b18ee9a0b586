"""Where a layer's arrays are written to: the registry of what writes a file format.

The layers know only this file; `caffe_compat.data` fills the registry when it is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from caffe_compat.errors import NetError

if TYPE_CHECKING:
    import numpy as np

Writer = Callable[[str, "Mapping[str, np.ndarray]"], None]
_writers: dict[str, Writer] = {}


def array_writer(file_format: str) -> Callable[[Writer], Writer]:
    """Registers ``write(path, arrays)``, which writes a whole file. A second one of a format is a ValueError."""

    def register(writer: Writer) -> Writer:
        if file_format in _writers:
            raise ValueError(f"{file_format} has a writer already ({_writers[file_format].__module__})")
        _writers[file_format] = writer
        return writer

    return register


def write_arrays(file_format: str, path: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes the arrays, name -> values, to ``path``. Raises NetError where nothing writes the format."""
    if file_format not in _writers:
        raise NetError(f"nothing writes {file_format} files: import caffe_compat.data first")
    _writers[file_format](path, arrays)
