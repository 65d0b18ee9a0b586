"""Blobs of a net over batches of its data, kept in data bases or an .npz, as Caffe's extract_features does."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch

from caffe_compat.data.lmdb_write import lmdb_writer
from caffe_compat.errors import CaffeCompatError, DataError, NetError
from caffe_compat.files import atomic_write, refused_as
from caffe_compat.net import Net
from caffe_compat.proto import pb

StrPath = str | os.PathLike[str]


def extract_features(
    net: Net, blobs: Sequence[str], outputs: Sequence[StrPath], batches: int, overwrite: bool = False
) -> int:
    """Run ``batches`` passes and keep the ``blobs``; returns the number of items of the first one.

    ``outputs``: one LMDB for each blob, whose records are float Datums under the keys 0000000000, 0000000001, ...; or
    one file that ends in .npz, with an array (items, ...) for each blob. They appear when they are complete. Raises
    NetError for a blob that the net does not have, and for a net with inputs instead of a data layer.
    """
    _check(net, blobs, batches)
    if len(outputs) == 1 and os.fspath(outputs[0]).endswith(".npz"):
        return _into_npz(net, blobs, Path(outputs[0]), batches)
    if len(outputs) != len(blobs):
        raise CaffeCompatError(
            f"{len(blobs)} blob(s) and {len(outputs)} output(s) are given; accepted: one data base for each blob, "
            "separated by commas, or one .npz for all"
        )
    return _into_databases(net, blobs, outputs, batches, overwrite)


def _check(net: Net, blobs: Sequence[str], batches: int) -> None:
    known = net.shapes
    for name in blobs:
        if name not in known:
            raise NetError(f"the net has no blob '{name}'; blobs: {', '.join(known)}")
    if net.inputs:
        raise NetError(
            f"the net has inputs ({', '.join(net.inputs)}) and no data layer to take items from; name a prototxt with "
            "a data layer for the TEST phase"
        )
    if batches < 1:
        raise NetError(f"{batches} batches are asked for; accepted: 1 or more")


def _passes(net: Net, blobs: Sequence[str], batches: int) -> Iterator[list[np.ndarray]]:
    """The blobs after each pass; an in-place blob as the last layer left it."""
    net.keep_blobs = True
    with torch.no_grad():
        for _ in range(batches):
            net()
            yield [net.blobs[name].float().cpu().numpy() for name in blobs]


def _into_npz(net: Net, blobs: Sequence[str], path: Path, batches: int) -> int:
    parts = list(_passes(net, blobs, batches))
    arrays = {name: np.concatenate([np.atleast_1d(part[index]) for part in parts]) for index, name in enumerate(blobs)}
    with refused_as(DataError), atomic_write(path) as file:
        np.savez(file, allow_pickle=False, **arrays)
    return len(arrays[blobs[0]])


def _into_databases(net: Net, blobs: Sequence[str], outputs: Sequence[StrPath], batches: int, overwrite: bool) -> int:
    for name in blobs:
        if len(net.shapes[name]) > 4:
            raise NetError(f"blob '{name}' has {len(net.shapes[name])} axes; a Datum holds up to 4: write an .npz")
    counts = [0] * len(blobs)
    with ExitStack() as stack:
        puts = [stack.enter_context(lmdb_writer(path, overwrite)) for path in outputs]
        for arrays in _passes(net, blobs, batches):
            for index, array in enumerate(arrays):
                datums = _datums(array)
                puts[index]([(b"%010d" % (counts[index] + i), datum) for i, datum in enumerate(datums)])
                counts[index] += len(datums)
    return counts[0]


def _datums(array: np.ndarray) -> list[Any]:
    """A Datum for each item; a blob of fewer than 4 axes gets ones behind, as in Caffe."""
    items, channels, height, width = (*array.shape, 1, 1, 1, 1)[:4]
    rows = array.reshape(items, -1)
    return [pb.Datum(channels=channels, height=height, width=width, float_data=row.tolist()) for row in rows]
