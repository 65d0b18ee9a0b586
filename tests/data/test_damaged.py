"""Data bases that are cut short, empty, or hold something else."""

from __future__ import annotations

import os
import subprocess
import sys
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


EVERY_PAGE = """
import sys
from pathlib import Path
import numpy as np
from caffe_compat.data.lmdb_read import Database
from caffe_compat.errors import DataError

path, copy = Path(sys.argv[1]), Path(sys.argv[1]).with_name("copy")
data = (path / "data.mdb").read_bytes()
copy.mkdir()
random = np.random.default_rng(0)
told = 0
for page in range(2, len(data) // 4096):
    for length, value in ((4096, None), (16, None), (64, None), (4096, b"\\0"), (2048, b"\\0"), (4096, b"\\xff")):
        start = page * 4096 + (2048 if length == 2048 else 16 if length == 64 else 0)
        wrong = value * length if value else random.bytes(length)
        (copy / "data.mdb").unlink(missing_ok=True)
        (copy / "data.mdb").write_bytes(data[:start] + wrong + data[start + length :])
        for from_the_end in (False, True):
            try:
                database = Database(copy)
                try:
                    if from_the_end:
                        database.records(database.size - 1, 1)
                    database.records(0, database.size)
                finally:
                    database.close()
            except DataError:
                told += 1
print(told)
"""


def test_pages_that_were_overwritten_do_not_end_the_process(tmp_path: Path) -> None:
    """Each page of small and large values: a leaf or a branch is told; an overflow page only holds other pixels."""
    for name, pixels in (("small", images(300)), ("large", images(60, (3, 40, 40)))):
        path = database(tmp_path / name / "db", pixels)
        done = subprocess.run(
            [sys.executable, "-c", EVERY_PAGE, str(path)], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) > 20


def test_a_page_that_was_zeroed_is_named(tmp_path: Path) -> None:
    path = database(tmp_path / "db", images(300))
    data = bytearray((path / "data.mdb").read_bytes())
    data[5 * 4096 : 6 * 4096] = bytes(4096)
    (path / "data.mdb").write_bytes(data)
    with pytest.raises(DataError, match=r"db is damaged.*: its page 5 holds something else than it should; copy it"):
        open_layer(data_layer(path, 300)).next()


def test_a_data_base_that_grew_since_it_was_opened(tmp_path: Path) -> None:
    """The transaction sees the tree of its own time."""
    path = database(tmp_path / "db", images(5))
    program = "import lmdb, sys; e = lmdb.open(sys.argv[1]); t = e.begin(write=True); t.put(b'x', b'y'); t.commit()"
    with open_layer(data_layer(path, 2)) as source:
        subprocess.run([sys.executable, "-c", program, str(path)], check=True)
        assert source.next()[1].tolist() == [0, 1]
    with pytest.raises(DataError, match="record b'x'"):
        open_layer(data_layer(path, 6)).next()
