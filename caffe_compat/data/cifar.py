"""CIFAR's binary version: per image one label byte (CIFAR-100: coarse, then fine) and 3 x 32 x 32 bytes, RGB."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from caffe_compat.errors import DataError

_PIXELS = 3 * 32 * 32
_CIFAR10 = ([f"data_batch_{i}.bin" for i in range(1, 6)], ["test_batch.bin"])
_CIFAR100 = (["train.bin"], ["test.bin"])
_PICKLED = ("data_batch_1", "test_batch", "train", "test")
_BINARY = "get the binary version (cifar-10-binary.tar.gz or cifar-100-binary.tar.gz) and unpack it"

Split = tuple[np.ndarray, np.ndarray]


def read_cifar(folder: Path, coarse: bool = False) -> tuple[Split, Split]:
    """(images, labels) for training and test from the .bin files in ``folder``: uint8 (N, 3, 32, 32) and (N,).

    Which of CIFAR-10 and CIFAR-100 it is is seen from the file names. ``coarse``: CIFAR-100's 20 labels for its 100.
    """
    for names, label_bytes in ((_CIFAR10, 1), (_CIFAR100, 2)):
        if all((folder / name).is_file() for part in names for name in part):
            if coarse and label_bytes == 1:
                raise DataError(f"{folder} holds CIFAR-10, which has no coarse labels: leave coarse away")
            column = 1 if label_bytes == 2 and not coarse else 0
            train, test = (_read([folder / name for name in part], label_bytes, column) for part in names)
            return train, test
    raise DataError(_missing(folder))


def _read(files: list[Path], label_bytes: int, column: int) -> Split:
    rows = []
    for file in files:
        content = np.fromfile(file, dtype=np.uint8)
        if len(content) == 0 or len(content) % (label_bytes + _PIXELS):
            raise DataError(
                f"{file} has {len(content)} bytes: accepted is a multiple of {label_bytes + _PIXELS}; download and "
                "unpack it again"
            )
        rows.append(content.reshape(-1, label_bytes + _PIXELS))
    table = np.concatenate(rows)
    return table[:, label_bytes:].reshape(-1, 3, 32, 32), table[:, column]


def _missing(folder: Path) -> str:
    if any((folder / name).is_file() for name in _PICKLED):
        return f"{folder} holds CIFAR as Python pickles, which are never loaded (they can run any code): {_BINARY}"
    if (folder / _CIFAR10[1][0]).exists() or (folder / _CIFAR10[0][0]).exists():
        missing = [name for part in _CIFAR10 for name in part if not (folder / name).is_file()]
        return f"{folder} lacks {', '.join(missing)}: unpack all of cifar-10-binary.tar.gz there"
    return (
        f"{folder} holds no CIFAR: expected data_batch_1.bin ... test_batch.bin, or train.bin and test.bin; {_BINARY}"
    )
