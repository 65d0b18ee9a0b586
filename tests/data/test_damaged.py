"""Data bases that are cut short, empty, or hold something else."""

from __future__ import annotations

import os
from pathlib import Path

import lmdb
import pytest

from caffe_compat.data.lmdb_write import write_lmdb
from caffe_compat.errors import DataError
from caffe_compat.proto import pb
from tests.data.making import data_layer, database, images, open_layer


@pytest.mark.parametrize("kept", [0, 100, 4096, 5000, 8192, 50_000, -1])
def test_a_data_base_that_is_cut_short(tmp_path: Path, kept: int) -> None:
    """Reading on would end the process with SIGBUS."""
    path = database(tmp_path / "db", images(1000))
    os.truncate(path / "data.mdb", kept if kept >= 0 else (path / "data.mdb").stat().st_size - 1)
    with pytest.raises(DataError, match=r"data\.mdb (is cut short|cannot be opened)"):
        open_layer(data_layer(path, 2))


def test_an_empty_data_base(tmp_path: Path) -> None:
    write_lmdb(tmp_path / "db", [])
    with pytest.raises(DataError, match="holds no record"):
        open_layer(data_layer(tmp_path / "db", 2))


def test_another_file_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "data.mdb").write_bytes(b"something else" * 1000)
    with pytest.raises(DataError, match="cannot be opened"):
        open_layer(data_layer(tmp_path / "db", 2))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"\xff" * 20, r"record b'00000000' of .*db is no Datum \(20 bytes\)"),
        (pb.Datum(channels=2, height=3, width=4, data=b"short").SerializeToString(), "2 x 3 x 4, but it holds 5"),
        (pb.Datum(channels=-1, height=-1, width=4, data=b"four").SerializeToString(), "-1 x -1 x 4, but it holds 4"),
        (pb.Datum(label=1).SerializeToString(), "holds 0 values"),
        (pb.Datum(encoded=True, data=b"no image").SerializeToString(), "cannot be decoded as an image"),
    ],
)
def test_a_record_that_is_no_image(tmp_path: Path, value: bytes, message: str) -> None:
    write_lmdb(tmp_path / "db", [value])
    with pytest.raises(DataError, match=message):
        open_layer(data_layer(tmp_path / "db", 2))


@pytest.mark.parametrize("prefetch", [0, 4])
def test_a_damaged_record_is_reported_by_the_batch_that_holds_it(tmp_path: Path, prefetch: int) -> None:
    path = database(tmp_path / "db", images(6))
    with lmdb.open(str(path), lock=False) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"00000004", b"\xff")
    source = open_layer(data_layer(path, 2, f"prefetch: {prefetch}"))
    source.next()
    source.next()
    for _ in range(2):
        with pytest.raises(DataError, match="b'00000004'"):
            source.next()
    assert source.position == 2
    source.seek(0)
    assert source.next()
    source.close()


def test_an_environment_of_the_users_own_is_named(tmp_path: Path) -> None:
    path = database(tmp_path / "db", images(3))
    with (
        lmdb.open(str(path / "data.mdb"), subdir=False, lock=False),
        pytest.raises(DataError, match=r"close the lmdb\.Environment"),
    ):
        open_layer(data_layer(path, 2))
