"""Reading LevelDB. ``leveldb.zip`` was written by LevelDB itself (through plyvel), with Snappy: see ``content``."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caffe_compat.data import snappy
from caffe_compat.data.database import open_database
from caffe_compat.data.leveldb_log import read_log
from caffe_compat.data.leveldb_read import LevelDatabase
from caffe_compat.data.varint import read_varint
from caffe_compat.errors import DataError
from caffe_compat.proto import pb
from tests.data.making import data_layer, images, open_layer, take


def content() -> list[tuple[bytes, bytes]]:
    """900 records, compacted; every third written again and every fifth from 1 on deleted; the last lie in the log."""
    records: dict[int | str, tuple[bytes, bytes]] = {}

    def put(number: int, version: int) -> None:
        records[number] = (b"%08d" % number, (b"%d,%d;" % (number, version)) * (number % 17 + 1))

    for number in range(900):
        put(number, 0)
    for number in range(0, 900, 3):
        put(number, 1)
    for number in range(1, 900, 5):
        del records[number]
    put(2, 2)
    put(5000, 2)
    del records[3]
    put(1, 2)
    records["long"] = (b"long", bytes(range(256)) * 300)
    return sorted(records.values())


@pytest.fixture
def db(tmp_path: Path) -> Path:
    with zipfile.ZipFile(Path(__file__).with_name("leveldb.zip")) as archive:
        archive.extractall(tmp_path / "db")
    return tmp_path / "db"


@pytest.fixture(params=["cramjam", "plain"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "cramjam":
        pytest.importorskip("cramjam")
    else:
        monkeypatch.setattr(snappy, "_cramjam", lambda: None)


@pytest.mark.usefixtures("decoder")
def test_records(db: Path) -> None:
    expected = content()
    count = len(expected)
    database = open_database(db)
    assert isinstance(database, LevelDatabase)
    assert database.records(0, 3) == expected[:3]
    assert database.records(count - 2, 5) == expected[-2:] + expected[:3]
    assert database.size == count
    assert database.records(0, count) == expected
    assert database.records(7 * count + 400, 2) == expected[400:402]
    database.close()
    database.close()


def test_few_tables_are_open_at_once(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caffe_compat.data.leveldb_read._TABLES_OPEN", 1)
    assert LevelDatabase(db).records(0, 722) == content()


def test_no_more_is_read_than_asked_for(db: Path) -> None:
    database = LevelDatabase(db)
    database.records(10, 5)
    assert not database._complete
    assert len(database._places[0]) == 15


def test_the_data_layer(tmp_path: Path) -> None:
    pixels = images(5, (3, 4, 6))
    write_log(tmp_path / "db", [(b"%03d" % i, datum(p, i)) for i, p in enumerate(pixels)])
    with open_layer(data_layer(tmp_path / "db", 3)) as source:
        batches = take(source, 3)
        assert source.size == 5
        source.seek(2)
        np.testing.assert_array_equal(take(source, 1)[0][0], batches[2][0])
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in batches]), [0, 1, 2, 3, 4, 0, 1, 2, 3])
    np.testing.assert_array_equal(np.concatenate([data for data, _ in batches]), pixels[[0, 1, 2, 3, 4, 0, 1, 2, 3]])


def datum(pixels: np.ndarray, label: int) -> bytes:
    channels, height, width = pixels.shape
    values: bytes = pb.Datum(
        channels=channels, height=height, width=width, data=pixels.tobytes(), label=label
    ).SerializeToString()
    return values


def write_log(path: Path, records: list[tuple[bytes, bytes]]) -> None:
    """A data base whose records all lie in its log, a batch for each."""
    path.mkdir()
    (path / "CURRENT").write_text("MANIFEST-000001\n")
    (path / "MANIFEST-000001").write_bytes(log([b"\x01\x1aleveldb.BytewiseComparator\x02\x03"]))
    batches = [
        struct.pack("<QI", i, 1) + b"\x01" + prefixed(key) + prefixed(value) for i, (key, value) in enumerate(records)
    ]
    (path / "000003.log").write_bytes(log(batches))


def prefixed(data: bytes) -> bytes:
    size, head = len(data), b""
    while size > 127:
        head += bytes([size & 127 | 128])
        size >>= 7
    return head + bytes([size]) + data


def log(records: list[bytes]) -> bytes:
    """The records in log format, each in as many pieces as its place asks for. Checksums are 0."""
    out = b""
    for record in records:
        begun = False
        while True:
            left = 32768 - len(out) % 32768
            if left < 7:
                out += bytes(left)
                continue
            piece, record = record[: left - 7], record[left - 7 :]
            kind = (4 if begun else 1) if not record else (3 if begun else 2)
            out += struct.pack("<IHB", 0, len(piece), kind) + piece
            begun = True
            if not record:
                break
    return out


@pytest.mark.parametrize("first", [0, 1, 32768 - 14, 32768 - 13, 32768 - 8, 32768 - 7, 32768 - 6, 100_000])
def test_records_that_lie_across_blocks(first: int) -> None:
    records = [b"a" * first, b"b" * 70_000, b"", b"c"]
    data = log(records)
    assert list(read_log(data)) == records
    assert list(read_log(data + bytes(500))) == records
    assert list(read_log(data[:-1])) == records[:-1]


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize(
    ("packed", "plain"),
    [
        (b"\x00", b""),
        (b"\x05\x10hello", b"hello"),
        (b"\x0a\x04ab\x11\x02", b"ababababab"),
        (b"\x46\xf0\x45" + b"x" * 70, b"x" * 70),
        (b"\xac\x02\xf4\x2b\x01" + b"y" * 300, b"y" * 300),
        (b"\x08\x0cabcd\x0e\x04\x00", b"abcdabcd"),
        (b"\x08\x0cabcd\x0f\x04\x00\x00\x00", b"abcdabcd"),
    ],
)
def test_snappy(packed: bytes, plain: bytes) -> None:
    assert snappy.decompress(packed) == plain


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize("packed", [b"\x05\x10hell", b"\x06\x10hello", b"\x05\x00a\x0d\x09", b"\x05\x01\x00"])
def test_damaged_snappy(packed: bytes) -> None:
    with pytest.raises((ValueError, IndexError)):
        snappy.decompress(packed)


def test_snappy_in_python_alone_decodes_what_the_library_compresses() -> None:
    cramjam = pytest.importorskip("cramjam")
    random = np.random.default_rng(0)
    for size in (1, 100, 70_000, 300_000):
        data = random.integers(0, 4, size, dtype=np.uint8).repeat(random.integers(1, 9))[:size].tobytes()
        assert snappy.decompress_plain(bytes(cramjam.snappy.compress_raw(data))) == data


def test_varints() -> None:
    assert read_varint(b"\x00", 0) == (0, 1)
    assert read_varint(b"_\xac\x02_", 1) == (300, 3)
    with pytest.raises(IndexError):
        read_varint(b"\x80", 0)


# ---- damaged ones


def cut(path: Path, kept: int) -> None:
    path.write_bytes(path.read_bytes()[:kept])


def garble(path: Path, start: int, end: int | None = None) -> None:
    data = bytearray(path.read_bytes())
    data[start:end] = b"\x95" * len(data[start:end])
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda db: (db / "000007.ldb").unlink(), "table 7 of the LevelDB .* cannot be read: .*No such file"),
        (lambda db: cut(db / "000005.ldb", 12_000), "table 5 of .*it does not end as a table does"),
        (lambda db: cut(db / "000005.ldb", 0), "table 5 of .*copy it again"),
        (lambda db: garble(db / "000005.ldb", 0, 300), "table 5 of"),
        (lambda db: garble(db / "000005.ldb", 12_600, -48), "table 5 of"),
        (lambda db: (db / "CURRENT").write_text("MANIFEST-000099\n"), "MANIFEST-000099 of"),
        (lambda db: (db / "CURRENT").write_bytes(b"\xff\xfe"), "CURRENT of"),
        (lambda db: garble(db / "MANIFEST-000008", 8), "MANIFEST-000008 of"),
        (lambda db: cut(db / "MANIFEST-000008", 0), "holds"),
        (lambda db: garble(db / "000010.log", 10, 60_000), r"000010\.log of"),
    ],
)
def test_damage_is_told(db: Path, damage: Any, message: str) -> None:
    damage(db)
    if message == "holds":  # nothing is listed: only the log is left
        assert LevelDatabase(db).size == 4
        return
    with pytest.raises(DataError, match=message):
        LevelDatabase(db).records(0, 722)


def test_another_order_of_the_keys_is_refused(tmp_path: Path) -> None:
    write_log(tmp_path / "db", [])
    (tmp_path / "db" / "MANIFEST-000001").write_bytes(log([b"\x01\x03own"]))
    with pytest.raises(DataError, match="the keys are ordered by own, which is unknown"):
        LevelDatabase(tmp_path / "db")


def test_one_without_records(tmp_path: Path) -> None:
    write_log(tmp_path / "db", [])
    with pytest.raises(DataError, match="holds no record"):
        LevelDatabase(tmp_path / "db")


def test_a_record_of_the_log_that_was_cut_off_does_not_count(db: Path) -> None:
    cut(db / "000010.log", 77_001)
    assert LevelDatabase(db).records(0, 722)[:-1] == content()[:-1]
    assert LevelDatabase(db).size == 721
