"""Snapshots: a .caffemodel and a .solverstate, as Caffe writes and reads them."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from caffe_compat.errors import SolverError
from caffe_compat.files import atomic_write, refused_as
from caffe_compat.net import Net
from caffe_compat.proto import pb
from caffe_compat.solver.hdf5_state import read_hdf5_state, write_hdf5_state
from caffe_compat.weights import hdf5, wire
from caffe_compat.weights.blob import StoredBlob, decode_blob, encode_blob
from caffe_compat.weights.caffemodel import is_hdf5, write_blobs, write_caffemodel
from caffe_compat.weights.formats import foreign

_LEARNED_NET, _HISTORY = 2, 3
_REMEDY = "accepted: the .solverstate of a snapshot, whose .caffemodel lies beside it"


def snapshot_paths(prefix: str, iteration: int, hdf5_form: bool) -> tuple[str, str]:
    """The names of a snapshot's model and state."""
    suffix = hdf5.SUFFIX if hdf5_form else ""
    return f"{prefix}_iter_{iteration}.caffemodel{suffix}", f"{prefix}_iter_{iteration}.solverstate{suffix}"


def check_prefix(prefix: str, source: str) -> None:
    """Raises SolverError where no snapshot could be written: before the training, not after hours of it."""
    if not prefix:
        raise SolverError(
            f"{source}: a snapshot is to be written, but snapshot_prefix is not given; give the start of the file "
            "names, or set snapshot_after_train: false"
        )
    folder = Path(prefix + "_").parent
    if folder.exists() and not folder.is_dir():
        raise SolverError(f"snapshot_prefix '{prefix}': {folder} is a file, no folder; correct the prefix")
    if not folder.is_dir():
        raise SolverError(
            f"snapshot_prefix '{prefix}': there is no folder {folder}; create it (mkdir -p {folder}), or "
            "correct the prefix"
        )
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SolverError(
            f"snapshot_prefix '{prefix}': cannot write into the folder {folder}: {error.strerror}; free space there, "
            "change its permissions, or give another prefix"
        ) from error


def write_snapshot(net: Net, state: Any, history: list[Tensor], model_path: str, state_path: str) -> None:
    """Write the weights to ``model_path`` and ``state`` (a SolverState) with ``history`` to ``state_path``.

    Names that end in ".h5" make Caffe's HDF5 form.

    Each file appears whole or not at all, and a state never without its model: an old state of that name goes before
    the new model comes. Raises SolverError where the system refuses; old files are then still there.
    """
    hdf5_form = state_path.endswith(hdf5.SUFFIX)
    arrays = [blob.detach().cpu().numpy() for blob in history]
    with refused_as(SolverError), atomic_write(state_path, "w+b") as state_file:
        if hdf5_form:
            write_hdf5_state(state, arrays, state_file)
        else:
            state_file.write(state.SerializeToString())
            write_blobs(state_file, _HISTORY, [encode_blob(array) for array in arrays])
        with atomic_write(model_path, "w+b") as model_file:
            write_caffemodel(net, model_file, hdf5_form)
            for file in (model_file, state_file):
                file.flush()
                os.fsync(file.fileno())
            Path(state_path).unlink(missing_ok=True)


@dataclass
class StoredState:
    """A .solverstate: ``message`` is the SolverState without its history; ``model``: the file with the weights."""

    message: Any
    history: list[StoredBlob]
    model: Path


def read_state(path: str | os.PathLike[str]) -> StoredState:
    """Read a .solverstate of Caffe or of ours. Raises SolverError that says what the file is if it is none."""
    path = Path(path)
    if is_hdf5(path):
        message, history = read_hdf5_state(path)
        return StoredState(message, history, _model_path(path, message))
    try:
        data = memoryview(path.read_bytes())
    except OSError as error:
        raise SolverError(f"cannot read the snapshot {path}: {error.strerror}; {_REMEDY}") from error
    if found := foreign(data):
        raise SolverError(f"{path} is no snapshot, it is {found}; {_REMEDY}")
    try:
        message, history = _parse(path, data)
    except wire.DamagedError as error:
        raise SolverError(
            f"{path} ({len(data)} bytes) is truncated, damaged, or no solver state: {error}; {_REMEDY}; resume from an "
            "older snapshot"
        ) from error
    return StoredState(message, history, _model_path(path, message))


def _parse(path: Path, data: memoryview) -> tuple[Any, list[StoredBlob]]:
    from google.protobuf.message import DecodeError

    history: list[StoredBlob] = []
    rest = bytearray()
    for field in wire.fields(data):
        if field.number == 1 and field.kind == wire.BYTES:
            raise SolverError(
                f"{path} is a .caffemodel: it holds weights only, give it with --weights (in Python: weights=); "
                f"{_REMEDY}"
            )
        if field.number == _HISTORY and field.kind == wire.BYTES:
            history.append(decode_blob(field.content))
        else:
            rest += field.whole
    try:
        message = pb.SolverState.FromString(bytes(rest))
    except DecodeError as error:
        raise wire.DamagedError(str(error)) from error
    if not message.HasField("iter"):
        raise wire.DamagedError("it has no iteration number")
    return message, history


def _model_path(path: Path, message: Any) -> Path:
    """The weights of a state: where it says (as Caffe), else beside it."""
    named = Path(message.learned_net)
    beside = path.parent / named.name
    found = next((model for model in (named, beside) if model.is_file()), None)
    if found is None:
        raise SolverError(f"{path}: its weights {message.learned_net} are not there, nor is {beside}; {_REMEDY}")
    return found


def check_history(path: str | os.PathLike[str], stored: list[StoredBlob], history: list[Tensor], kind: str) -> None:
    """Raises SolverError where a state's history is not that of this solver."""
    if len(stored) != len(history):
        raise SolverError(
            f"{path} holds {len(stored)} history blobs, this solver of type {kind} has {len(history)}; resume with the "
            "solver type and the net that wrote it, or start from its weights with --weights (in Python: weights=)"
        )
    for index, (theirs, mine) in enumerate(zip(stored, history, strict=True)):
        if not theirs.fits(tuple(mine.shape)) or theirs.values.size != mine.numel():
            raise SolverError(
                f"{path}: history blob {index} has shape {list(theirs.shape)} and {theirs.values.size} values, the "
                f"net's parameter has shape {list(mine.shape)}; resume with the net that wrote it"
            )


def copy_history(stored: list[StoredBlob], history: list[Tensor]) -> None:
    """Put a state's history into that of the solver."""
    for theirs, mine in zip(stored, history, strict=True):
        mine.copy_(torch.from_numpy(np.array(theirs.values, np.float32)).view(mine.shape))
