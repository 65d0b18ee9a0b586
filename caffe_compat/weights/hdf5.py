"""Caffe's weights in HDF5: ``data/LAYER/0``, ``data/LAYER/1``, ... A shared blob is stored by its owner only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from caffe_compat.errors import WeightsError
from caffe_compat.net import Net
from caffe_compat.weights.blob import StoredBlob

SUFFIX = ".h5"
MAGIC = b"\x89HDF\r\n\x1a\n"


def require_h5py() -> Any:
    """The module h5py. Raises WeightsError that says how to install it."""
    try:
        import h5py
    except ImportError as error:
        raise WeightsError("HDF5 files need h5py: pip install h5py") from error
    return h5py


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The file, to be read. Whatever fails inside is a WeightsError that calls the file damaged."""
    h5py = require_h5py()
    try:
        with h5py.File(path, "r") as content:
            yield content
    except (OSError, KeyError, ValueError, RuntimeError, AttributeError, TypeError) as error:
        raise WeightsError(
            f"{path} ({path.stat().st_size} bytes) is damaged, or no file of Caffe: {error}; copy or download it again"
        ) from error


def read_layers(path: Path) -> dict[str, dict[int, StoredBlob]]:
    """Layer name -> blob number -> blob."""
    with opened(path) as content:
        if "data" not in content:
            raise KeyError("it has no group 'data'")
        return {
            name: {int(number): read_blob(group[number]) for number in group} for name, group in content["data"].items()
        }


def read_blob(dataset: Any) -> StoredBlob:
    """A data set as a blob."""
    values = np.asarray(dataset[()])
    if values.dtype.kind not in "fiu":
        raise ValueError(f"{dataset.name} holds values of type {values.dtype}, no numbers")
    return StoredBlob(values.shape, False, values.reshape(-1))


def write_layers(net: Net, file: Any) -> None:
    """The weights of ``net`` into an open file ("w+b"). Raises WeightsError for a name that HDF5 cannot hold."""
    check_names(net)
    shared = {(node.index, index) for node, index, _ in net._shared}
    with require_h5py().File(file, "w") as content:
        data = content.create_group("data")
        for node in net.nodes:
            group = data.require_group(node.name)
            for index, blob in enumerate(node.layer.blobs):
                if (node.index, index) not in shared:
                    group[str(index)] = blob.detach().cpu().numpy()


def check_names(net: Net) -> None:
    """Raises WeightsError where a layer's name cannot be stored in HDF5, or where two layers with blobs have one."""
    taken: dict[str, str] = {}
    for node in net.nodes:
        if node.layer.blobs and taken.setdefault(node.name, node.where) != node.where:
            raise WeightsError(
                f"layers {taken[node.name]} and {node.where} both have the name '{node.name}' and blobs: HDF5 stores "
                "them by name; use the binary format (snapshot_format: BINARYPROTO), or rename one"
            )
        if "/" in node.name or node.name in ("", "."):
            raise WeightsError(
                f"layer '{node.name}' ({node.where}): HDF5 cannot store a layer of this name; use the binary format "
                "(snapshot_format: BINARYPROTO), or rename the layer without '/'"
            )
