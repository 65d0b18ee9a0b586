"""Checking a model and writing it, whole or not at all; above 2 GB the weights stand in a second file.

protobuf cannot hold more than 2 GB in one message, so there the values of large initializers go to ``NAME.data``
beside ``NAME``, as the ONNX format foresees.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
from onnx.external_data_helper import set_external_data

from caffe_compat.errors import ExportError
from caffe_compat.files import atomic_write, refused_as, write_error

LIMIT = 2_000_000_000
"""Bytes of one file; protobuf's own limit is 2**31 - 1."""
_SMALL = 1024


def refuse_unwritable(out: str | os.PathLike[str]) -> None:
    """Raises ExportError where it is plain beforehand that ``out`` cannot be written."""
    if not os.path.exists(Path(out).absolute().parent):
        raise ExportError(str(write_error(out, FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))))
    if os.path.isdir(out):
        raise ExportError(f"cannot write {out}: it is a folder; give the name of a file")


@contextmanager
def staged(model: onnx.ModelProto, out: str | os.PathLike[str]) -> Iterator[onnx.ModelProto | Path]:
    """Checks the model and gives it for verification: itself, or the path of a large one in a temporary folder.

    At the end of the ``with`` block it is written to ``out``; after an exception nothing is. Raises ExportError for an
    invalid graph, and where the file cannot be written.
    """
    out = Path(out)
    if sum(len(tensor.raw_data) for tensor in model.graph.initializer) < LIMIT:
        check_model(model)
        yield model
        with refused_as(ExportError), atomic_write(out) as file:
            file.write(model.SerializeToString())
        return
    try:
        folder = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    except OSError as error:
        raise ExportError(str(write_error(out, error))) from error
    try:
        _write_large(model, folder, out)
        check_model(folder / out.name)
        yield folder / out.name
        os.replace(folder / f"{out.name}.data", f"{out}.data")
        os.replace(folder / out.name, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_model(model: onnx.ModelProto | Path) -> None:
    """onnx's checker with strict shape inference. Raises ExportError."""
    try:
        onnx.checker.check_model(model if isinstance(model, onnx.ModelProto) else os.fspath(model), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"the graph is no valid ONNX, which is a bug of a layer's lower(): {error}") from error


def _write_large(model: onnx.ModelProto, folder: Path, out: Path) -> None:
    """Writes both files; the values are taken out of ``model``."""
    try:
        with open(folder / f"{out.name}.data", "wb") as data:
            for tensor in model.graph.initializer:
                if len(tensor.raw_data) >= _SMALL:
                    offset = data.tell()
                    data.write(tensor.raw_data)
                    set_external_data(tensor, f"{out.name}.data", offset, data.tell() - offset)
                    tensor.ClearField("raw_data")
            data.flush()
            os.fsync(data.fileno())
        with open(folder / out.name, "wb") as file:
            file.write(model.SerializeToString())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ExportError(str(write_error(out, error))) from error
