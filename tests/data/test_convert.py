"""Data bases from MNIST's and CIFAR's files."""

from __future__ import annotations

import gzip
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pytest

from caffe_compat.data import lmdb_write
from caffe_compat.data.convert import convert_cifar, convert_idx, convert_mnist
from caffe_compat.data.datum import decode_records
from caffe_compat.data.lmdb_read import Database
from caffe_compat.data.lmdb_write import write_lmdb
from caffe_compat.data.mean import compute_mean
from caffe_compat.data.tiny import tiny
from caffe_compat.errors import CaffeCompatError, DataError
from caffe_compat.proto import pb
from caffe_compat.weights.mean import read_mean, write_mean
from tests.data.making import database, datums, images


def stored(path: Path) -> tuple[np.ndarray, list[int], list[bytes]]:
    """All images, labels and keys of a data base."""
    opened = Database(path)
    records = opened.records(0, opened.size)
    opened.close()
    batch = decode_records(records, path)
    return np.asarray(batch.images), batch.labels.astype(int).tolist(), [key for key, _ in records]


def idx(values: np.ndarray, magic: bytes | None = None) -> bytes:
    head = magic or bytes([0, 0, 8, values.ndim])
    return head + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


@pytest.fixture
def mnist(tmp_path: Path) -> tuple[Path, dict[str, np.ndarray]]:
    """MNIST's four files, some gzipped, with 3 and 2 images of 4 x 5."""
    arrays = {
        "train-images-idx3-ubyte.gz": images(3, (1, 4, 5))[:, 0],
        "train-labels-idx1-ubyte": np.array([7, 0, 9], np.uint8),
        "t10k-images-idx3-ubyte": images(2, (1, 4, 5), 1)[:, 0],
        "t10k-labels-idx1-ubyte.gz": np.array([1, 2], np.uint8),
    }
    for name, values in arrays.items():
        data = idx(values)
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return tmp_path, arrays


def test_mnist(mnist: tuple[Path, dict[str, np.ndarray]], tmp_path: Path) -> None:
    folder, arrays = mnist
    done = convert_mnist(folder, tmp_path / "out", mean=True)
    assert (done.train_records, done.test_records) == (3, 2)
    assert done.train == tmp_path / "out_train_lmdb"
    assert done.test == tmp_path / "out_test_lmdb"
    pixels, labels, keys = stored(done.train)
    np.testing.assert_array_equal(pixels[:, 0], arrays["train-images-idx3-ubyte.gz"])
    assert labels == [7, 0, 9]
    assert keys == [b"00000000", b"00000001", b"00000002"]
    assert stored(done.test)[1] == [1, 2]
    assert done.mean == tmp_path / "out_mean.binaryproto"
    np.testing.assert_allclose(read_mean(done.mean), pixels.mean(0), rtol=1e-6)
    with pytest.raises(CaffeCompatError, match="exist already"):
        convert_mnist(folder, tmp_path / "out")
    assert convert_mnist(folder, tmp_path / "out", overwrite=True).mean is None


def test_one_pair_of_idx_files(mnist: tuple[Path, dict[str, np.ndarray]], tmp_path: Path) -> None:
    folder, arrays = mnist
    pair = (folder / "train-images-idx3-ubyte.gz", folder / "train-labels-idx1-ubyte")
    assert convert_idx(*pair, tmp_path / "padded", pad=2) == 3
    pixels = stored(tmp_path / "padded")[0]
    assert pixels.shape == (3, 1, 8, 9)
    assert pixels.sum() == arrays["train-images-idx3-ubyte.gz"].sum()
    np.testing.assert_array_equal(pixels[:, 0, 2:-2, 2:-2], arrays["train-images-idx3-ubyte.gz"])
    with pytest.raises(DataError, match="swapped"):
        convert_idx(pair[1], pair[0], tmp_path / "no")
    with pytest.raises(DataError, match="one label an image"):
        convert_idx(pair[0], folder / "t10k-labels-idx1-ubyte.gz", tmp_path / "no")
    with pytest.raises(CaffeCompatError, match="pad is -1"):
        convert_idx(*pair, tmp_path / "no", pad=-1)
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:-1], "announces 3 x 4 x 5 values but holds 59"),
        (lambda data: data + b"x", "but holds 61"),
        (lambda data: data[:7], "cut short"),
        (lambda data: b"\0\0\x0d\x03" + data[4:], "begins with the bytes 00 00 0d 03"),
        (lambda data: b"", "begins with the bytes :"),
        (lambda data: gzip.compress(data)[:-9], "damaged gzip"),
    ],
)
def test_damaged_idx(
    mnist: tuple[Path, dict[str, np.ndarray]], tmp_path: Path, change: Callable[[bytes], bytes], message: str
) -> None:
    folder, arrays = mnist
    name = "train-images-idx3-ubyte.gz"
    (folder / name).write_bytes(change(idx(arrays[name])))
    with pytest.raises(DataError, match=message):
        convert_mnist(folder, tmp_path / "out")
    assert not (tmp_path / "out_train_lmdb").exists()


def test_a_missing_idx_file(mnist: tuple[Path, dict[str, np.ndarray]], tmp_path: Path) -> None:
    (mnist[0] / "t10k-images-idx3-ubyte").unlink()
    with pytest.raises(DataError, match=r"neither t10k-images-idx3-ubyte nor t10k-images-idx3-ubyte\.gz"):
        convert_mnist(mnist[0], tmp_path / "out")


def cifar_rows(count: int, label_bytes: int, seed: int) -> np.ndarray:
    rows = images(count, (1, 1, label_bytes + 3072), seed).reshape(count, -1)
    rows[:, :label_bytes] = (np.arange(count) + seed)[:, None] % 10 + 10 * np.arange(label_bytes)
    return rows


def test_cifar10(tmp_path: Path) -> None:
    parts = [cifar_rows(2, 1, seed) for seed in range(6)]
    for number, rows in enumerate(parts[:5], 1):
        rows.tofile(tmp_path / f"data_batch_{number}.bin")
    with pytest.raises(DataError, match=r"lacks test_batch\.bin"):
        convert_cifar(tmp_path, tmp_path / "c")
    parts[5].tofile(tmp_path / "test_batch.bin")
    done = convert_cifar(tmp_path, tmp_path / "c", pad=4)
    pixels, labels, _ = stored(done.train)
    assert pixels.shape == (10, 3, 40, 40)
    assert labels == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]
    np.testing.assert_array_equal(pixels[:, :, 4:36, 4:36].reshape(10, -1), np.concatenate(parts[:5])[:, 1:])
    with pytest.raises(DataError, match="no coarse labels"):
        convert_cifar(tmp_path, tmp_path / "d", coarse=True)
    (tmp_path / "data_batch_3.bin").write_bytes(b"x" * 3074)
    with pytest.raises(DataError, match="multiple of 3073"):
        convert_cifar(tmp_path, tmp_path / "d")


@pytest.mark.parametrize(("coarse", "labels"), [(True, [0, 1, 2]), (False, [10, 11, 12])])
def test_cifar100(tmp_path: Path, coarse: bool, labels: list[int]) -> None:
    cifar_rows(3, 2, 0).tofile(tmp_path / "train.bin")
    cifar_rows(2, 2, 1).tofile(tmp_path / "test.bin")
    done = convert_cifar(tmp_path, tmp_path / "c", coarse=coarse)
    assert stored(done.train)[1] == labels
    assert done.test_records == 2


def test_pickles_are_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps({"data": 1}))
    with pytest.raises(DataError, match=r"pickles.*cifar-10-binary\.tar\.gz"):
        convert_cifar(tmp_path, tmp_path / "c")
    with pytest.raises(DataError, match="binary version"):
        convert_cifar(tmp_path / "data_batch_1", tmp_path / "c")
    names = ("train_images", "train_labels", "test_images", "test_labels")
    np.savez(tmp_path / "objects.npz", **{name: np.array([{}]) for name in names})  # type: ignore[arg-type]
    with pytest.raises(DataError, match="Pickles"):
        convert_cifar(tmp_path / "objects.npz", tmp_path / "c")


@pytest.mark.parametrize(("name", "convert"), [("mnist", convert_mnist), ("cifar10", convert_cifar)])
def test_tiny(tmp_path: Path, name: str, convert: Callable[..., Any]) -> None:
    with np.load(tiny(name)) as arrays:
        done = convert(tiny(name), tmp_path / name)
        for part, path in (("train", done.train), ("test", done.test)):
            pixels, labels, keys = stored(path)
            np.testing.assert_array_equal(pixels, arrays[f"{part}_images"])
            assert labels == arrays[f"{part}_labels"].tolist()
            assert keys == sorted(keys)
    with pytest.raises(DataError, match="there are: cifar10, mnist"):
        tiny("imagenet")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test_labels": None}, "lacks test_labels"),
        ({"train_images": np.zeros((2, 3, 4, 4))}, "train_images is float64"),
        ({"train_labels": np.zeros(3, int)}, "one label an image"),
    ],
)
def test_an_npz_that_does_not_fit(tmp_path: Path, change: dict[str, np.ndarray | None], message: str) -> None:
    arrays = {"train_images": images(2), "train_labels": np.arange(2), "test_images": images(1)}
    arrays["test_labels"] = np.arange(1)
    kept = {name: values for name, values in (arrays | change).items() if values is not None}
    np.savez(tmp_path / "x.npz", **kept)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=message):
        convert_cifar(tmp_path / "x.npz", tmp_path / "c")


def test_the_map_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lmdb_write, "_FIRST_MAP_SIZE", 1 << 15)
    monkeypatch.setattr(lmdb_write, "_COMMIT_EVERY", 7)
    pixels = images(100, (3, 30, 20))
    assert write_lmdb(tmp_path / "db", datums(pixels)) == 100
    found, labels, keys = stored(tmp_path / "db")
    np.testing.assert_array_equal(found, pixels)
    assert labels == list(range(100))
    assert keys[99] == b"00000099"
    assert os.listdir(tmp_path / "db") == ["data.mdb"]


def test_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Any:
        yield pb.Datum(label=1)
        raise ValueError("broken")

    database(tmp_path / "db", images(2))
    with pytest.raises(ValueError, match="broken"):
        write_lmdb(tmp_path / "db", broken(), overwrite=True)
    with pytest.raises(CaffeCompatError, match="exists already"):
        write_lmdb(tmp_path / "db", [])
    monkeypatch.setattr(lmdb_write, "_FULL", 1 << 62)  # as if the disk had no room

    def refuse(*_: object) -> None:
        raise lmdb.DiskError("mdb_txn_commit: Input/output error")

    monkeypatch.setattr(lmdb_write, "_commit", refuse)
    with pytest.raises(CaffeCompatError, match="the disk is full"):
        write_lmdb(tmp_path / "db", [b""], overwrite=True)
    assert len(stored(tmp_path / "db")[1]) == 2
    assert os.listdir(tmp_path) == ["db"]


def test_mean(tmp_path: Path) -> None:
    pixels = images(600)
    mean = compute_mean(database(tmp_path / "db", pixels))
    np.testing.assert_array_equal(mean, pixels.mean(0, dtype=np.float64).astype(np.float32))
    write_mean(tmp_path / "mean", mean)
    np.testing.assert_array_equal(read_mean(tmp_path / "mean"), mean)
    blob = pb.BlobProto.FromString((tmp_path / "mean").read_bytes())
    assert (blob.num, blob.channels, blob.height, blob.width) == (1, 2, 5, 4)


def test_means_in_other_forms(tmp_path: Path) -> None:
    values = np.arange(24, dtype=np.float64)
    blob = pb.BlobProto(double_data=values.tolist())
    for dims in ((2, 3, 4), (1, 2, 3, 4)):
        blob.shape.dim[:] = dims
        (tmp_path / "mean").write_bytes(blob.SerializeToString())
        np.testing.assert_array_equal(read_mean(tmp_path / "mean"), values.reshape(2, 3, 4))
    blob.shape.dim[:] = (2, 3, 5)
    (tmp_path / "mean").write_bytes(blob.SerializeToString())
    with pytest.raises(DataError, match=r"\(2, 3, 5\) and it holds 24 values"):
        read_mean(tmp_path / "mean")
    (tmp_path / "mean").write_bytes(b"\xff\xff")
    with pytest.raises(DataError, match="no mean image"):
        read_mean(tmp_path / "mean")
    with pytest.raises(DataError, match="cannot read"):
        read_mean(tmp_path / "none")
    with pytest.raises(DataError, match="shape"):
        write_mean(tmp_path / "mean", values)


def test_images_of_different_shapes_have_no_mean(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="of one shape"):
        compute_mean(database(tmp_path / "db", [images(1)[0], images(1, (2, 4, 5))[0]]))
