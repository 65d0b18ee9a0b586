"""Caffe's solver state in HDF5: ``iter``, ``learned_net``, ``current_step``, ``history/0``, ... and our ``resume``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from caffe_compat.errors import SolverError, WeightsError
from caffe_compat.proto import pb
from caffe_compat.weights import hdf5
from caffe_compat.weights.blob import StoredBlob


def write_hdf5_state(state: Any, history: Sequence[np.ndarray], file: Any) -> None:
    """A SolverState and the history into a file opened as "w+b"."""
    with hdf5.require_h5py().File(file, "w") as content:
        content["iter"] = np.array([state.iter], np.int32)
        content["learned_net"] = np.bytes_(state.learned_net)
        content["current_step"] = np.array([state.current_step], np.int32)
        content["resume"] = np.frombuffer(state.resume.SerializeToString(), np.uint8)
        group = content.create_group("history")
        for index, values in enumerate(history):
            group[str(index)] = values


def read_hdf5_state(path: Path) -> tuple[Any, list[StoredBlob]]:
    """The SolverState in ``path``, and its history apart. Raises SolverError."""
    from google.protobuf.message import DecodeError

    try:
        with hdf5.opened(path) as content:
            if "data" in content and "iter" not in content:
                raise SolverError(
                    f"{path} is a .caffemodel: it holds weights only, give it with --weights (in Python: weights=)"
                )
            message = pb.SolverState(
                iter=int(content["iter"][0]),
                learned_net=bytes(content["learned_net"][()]).decode("utf-8", "surrogateescape"),
                current_step=int(content["current_step"][0]),
            )
            if "resume" in content:
                message.resume.ParseFromString(content["resume"][()].tobytes())
            group = content["history"]
            return message, [hdf5.read_blob(group[str(index)]) for index in range(len(group))]
    except (WeightsError, DecodeError) as error:
        raise SolverError(f"{error}; resume from an older snapshot") from error
