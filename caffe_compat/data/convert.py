"""MNIST and CIFAR as LMDBs that the Data layer reads, with the image and label bytes that Caffe's converters write."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from caffe_compat.data.cifar import Split, read_cifar
from caffe_compat.data.idx import read_images, read_labels
from caffe_compat.data.lmdb_write import write_lmdb
from caffe_compat.data.mean import compute_mean
from caffe_compat.errors import DataError
from caffe_compat.files import make_folder, reason, refused_as
from caffe_compat.proto import pb
from caffe_compat.weights.mean import write_mean

StrPath = str | os.PathLike[str]


@dataclass(frozen=True)
class Converted:
    """What was written: two LMDBs, the numbers of their records, and the mean image of the training set, if any."""

    train: Path
    test: Path
    train_records: int
    test_records: int
    mean: Path | None


def convert_idx(images: StrPath, labels: StrPath, out: StrPath, *, pad: int = 0, overwrite: bool = False) -> int:
    """One LMDB ``out`` from one idx file of images and one of labels (plain or .gz); returns the number of records."""
    return write_lmdb(out, _datums(*_idx_split(Path(images), Path(labels)), pad), overwrite)


def convert_mnist(
    source: StrPath, out: StrPath, *, pad: int = 0, mean: bool = False, overwrite: bool = False
) -> Converted:
    """``<out>_train_lmdb`` and ``<out>_test_lmdb`` from MNIST (or a set of the same form).

    ``source``: the folder with train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
    t10k-labels-idx1-ubyte (each plain or .gz), or an .npz (see `read_npz`). ``pad``: zeros added on every side.
    ``mean``: also writes the training set's ``<out>_mean.binaryproto``. Raises DataError for files that are missing
    or damaged, before anything is written.
    """
    source = Path(source)
    if source.is_file():
        train, test = read_npz(source)
    else:
        train, test = (
            _idx_split(_idx_file(source, f"{part}-images"), _idx_file(source, f"{part}-labels"))
            for part in ("train", "t10k")
        )
    return _convert(train, test, out, pad, mean, overwrite)


def convert_cifar(
    source: StrPath,
    out: StrPath,
    *,
    coarse: bool = False,
    pad: int = 0,
    mean: bool = False,
    overwrite: bool = False,
) -> Converted:
    """``<out>_train_lmdb`` and ``<out>_test_lmdb`` from CIFAR-10 or CIFAR-100, told apart by the file names.

    ``source``: the unpacked folder of the binary version, or an .npz (see `read_npz`). ``coarse``: CIFAR-100's 20
    coarse labels. ``pad``, ``mean``: as in `convert_mnist`; padding by 4 gives the 40 x 40 images that random crops
    of 32 are taken from. Pickles are never loaded.
    """
    source = Path(source)
    train, test = read_npz(source) if source.is_file() else read_cifar(source, coarse)
    return _convert(train, test, out, pad, mean, overwrite)


def read_npz(path: StrPath) -> tuple[Split, Split]:
    """(images, labels) for training and test: images uint8 (N, C, H, W), labels whole numbers (N,).

    The arrays of the .npz are ``train_images``, ``train_labels``, ``test_images``, ``test_labels``.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            train, test = (_npz_split(content, part, path) for part in ("train", "test"))
            return train, test
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        raise DataError(
            f"{path} cannot be read as an .npz ({reason(error)}): give the unpacked folder of the binary version, or "
            "an .npz of plain arrays. Pickles and archives are not read"
        ) from error


def _npz_split(content: Any, part: str, path: StrPath) -> Split:
    names = (f"{part}_images", f"{part}_labels")
    if missing := [name for name in names if name not in content]:
        raise DataError(f"{path} lacks {' and '.join(missing)}; it holds: {', '.join(content)}")
    images, labels = (content[name] for name in names)
    if images.ndim != 4 or images.dtype != np.uint8 or labels.dtype.kind not in "iu":
        raise DataError(
            f"{path}: {part}_images is {images.dtype} {images.shape} and {part}_labels {labels.dtype}: accepted are "
            "uint8 (N, channels, height, width) and whole numbers"
        )
    return _matched(images, labels, path)


def _matched(images: np.ndarray, labels: np.ndarray, path: object) -> Split:
    if labels.shape != images.shape[:1] or not len(images):
        raise DataError(f"{path} has {len(images)} images and labels of shape {labels.shape}: give one label an image")
    return images, labels


def _idx_split(images: Path, labels: Path) -> Split:
    return _matched(read_images(images), read_labels(labels), f"{images} with {labels}")


def _idx_file(folder: Path, name: str) -> Path:
    axes = 3 if name.endswith("images") else 1
    names = [f"{name}{dash}idx{axes}-ubyte{end}" for dash in "-." for end in ("", ".gz")]
    for candidate in names:
        if (folder / candidate).is_file():
            return folder / candidate
    raise DataError(f"{folder} holds neither {' nor '.join(names[:2])}: give the folder with MNIST's four idx files")


def _convert(train: Split, test: Split, out: StrPath, pad: int, mean: bool, overwrite: bool) -> Converted:
    names = ("_train_lmdb", "_test_lmdb", "_mean.binaryproto")
    train_path, test_path, mean_path = (Path(f"{os.fspath(out)}{name}") for name in names)
    there = [str(path) for path in (train_path, test_path, *([mean_path] if mean else [])) if path.exists()]
    if there and not overwrite:
        raise DataError(
            f"{', '.join(there)} exist already: remove them, or overwrite them (--overwrite; in Python overwrite=True)"
        )
    with refused_as(DataError):
        make_folder(train_path.parent)
    train_records = write_lmdb(train_path, _datums(*train, pad), overwrite)
    test_records = write_lmdb(test_path, _datums(*test, pad), overwrite)
    if mean:
        write_mean(mean_path, compute_mean(train_path))
    return Converted(train_path, test_path, train_records, test_records, mean_path if mean else None)


def _datums(images: np.ndarray, labels: np.ndarray, pad: int) -> Iterator[Any]:
    if pad < 0:
        raise DataError(f"pad is {pad}: give the number of zero pixels to add on every side, 0 or more")
    for image, label in zip(images, labels, strict=True):
        padded = np.pad(image, ((0, 0), (pad, pad), (pad, pad))) if pad else image
        channels, height, width = padded.shape
        yield pb.Datum(channels=channels, height=height, width=width, data=padded.tobytes(), label=int(label))
