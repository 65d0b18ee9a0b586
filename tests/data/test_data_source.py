"""The Data layer's source: batches by number, seeking, several on one data base."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from caffe_compat.data.lmdb_write import write_lmdb
from caffe_compat.errors import CaffeCompatError, DataError, NetError
from caffe_compat.layers import source as registry
from caffe_compat.proto import pb
from tests.data.making import data_layer, database, datums, images, layer, open_layer, same, take

PIXELS = images(7)
RANDOM = "crop_size: 3 mirror: true"


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return database(tmp_path / "db", PIXELS)


def test_batches_go_around(db: Path) -> None:
    with open_layer(data_layer(db, 3)) as source:
        assert source.top_shapes == [(3, 2, 5, 4), (3,)]
        assert source.size == 7
        for number in range(5):
            assert source.position == number
            rows = [(3 * number + i) % 7 for i in range(3)]
            data, label = source.next()
            assert data.dtype == label.dtype == torch.float32
            assert label.shape == (3,)
            np.testing.assert_array_equal(data, PIXELS[rows])
            np.testing.assert_array_equal(label, rows)


def test_a_batch_larger_than_the_data_base(db: Path) -> None:
    with open_layer(data_layer(db, 17, tops=1)) as source:
        (data,) = source.next()
        np.testing.assert_array_equal(data, PIXELS[[i % 7 for i in range(17)]])


@pytest.mark.parametrize("prefetch", [0, 1, 4])
@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_a_batch_depends_on_seed_and_number_alone(db: Path, prefetch: int, phase: str) -> None:
    plain = take(open_layer(data_layer(db, 3, "prefetch: 0", RANDOM), phase), 9)
    with open_layer(data_layer(db, 3, f"prefetch: {prefetch}", RANDOM), phase) as source:
        assert same(take(source, 2), plain[:2])
        for number in (6, 0, 5, 5, 1):
            source.seek(number)
            assert source.position == number
            assert same(take(source, 3), plain[number : number + 3])


def test_another_seed_gives_other_crops(db: Path) -> None:
    first, second = (take(open_layer(data_layer(db, 7, "", RANDOM), "TRAIN", seed), 4) for seed in (1, 2))
    assert not any(same([a], [b]) for a, b in zip(first, second, strict=True))
    assert not same(first[:1], first[1:2])


def test_rand_skip_is_not_read(db: Path) -> None:
    """As in Caffe 1.0, which gives each of several solvers other records instead."""
    assert {int(open_layer(data_layer(db, 1, "rand_skip: 5"), seed=seed).next()[1]) for seed in range(9)} == {0}


def test_two_forces_matter_for_encoded_images_alone(db: Path, tmp_path: Path) -> None:
    both = "force_color: true force_gray: true"
    assert open_layer(data_layer(db, 7, "", both)).next()[0].shape == PIXELS.shape
    write_lmdb(tmp_path / "png", [pb.Datum(data=encoded(images(1, (4, 6, 3))[0]), encoded=True)])
    with pytest.raises(NetError, match="both force_color and force_gray"):
        open_layer(data_layer(tmp_path / "png", 1, "", both))


def test_train_and_test_nets_share_a_data_base(db: Path) -> None:
    first, second = open_layer(data_layer(db, 3)), open_layer(data_layer(db, 3))
    assert same(take(first, 2), take(second, 2))
    first.close()
    assert len(take(second, 6)) == 6
    second.close()


def test_a_data_base_may_be_replaced_while_it_is_read(db: Path) -> None:
    old = open_layer(data_layer(db, 7, "prefetch: 0"))
    write_lmdb(db, datums(255 - PIXELS), overwrite=True)
    new = open_layer(data_layer(db, 7, "prefetch: 0"))
    np.testing.assert_array_equal(old.next()[0], PIXELS)
    np.testing.assert_array_equal(new.next()[0], 255 - PIXELS)


def test_names_are_relative_to_the_working_directory_then_to_the_prototxt(
    db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = data_layer(Path("db"), 7)
    assert open_layer(message, base_dir=tmp_path).next()
    elsewhere = tmp_path / "run"
    elsewhere.mkdir()
    database(elsewhere / "db", 255 - PIXELS)
    monkeypatch.chdir(elsewhere)
    np.testing.assert_array_equal(open_layer(message, base_dir=tmp_path).next()[0], 255 - PIXELS)


def encoded(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("extra", "channels"),
    [("", 1), ("force_encoded_color: true", 3)],
)
def test_an_encoded_gray_image(tmp_path: Path, extra: str, channels: int) -> None:
    gray = images(1, (1, 4, 6))[0, 0]
    write_lmdb(tmp_path / "db", [pb.Datum(data=encoded(gray), encoded=True, label=2)])
    data, label = open_layer(data_layer(tmp_path / "db", 1, extra)).next()
    np.testing.assert_array_equal(data[0], np.stack([gray] * channels))
    assert label.tolist() == [2]


def test_encoded_colours_are_blue_green_red(tmp_path: Path) -> None:
    rgb = images(1, (4, 6, 3))[0]
    write_lmdb(tmp_path / "db", [pb.Datum(data=encoded(rgb), encoded=True)])
    data, _ = open_layer(data_layer(tmp_path / "db", 1)).next()
    np.testing.assert_array_equal(data[0], rgb[..., ::-1].transpose(2, 0, 1))
    gray, _ = open_layer(data_layer(tmp_path / "db", 1, transform="force_gray: true")).next()
    assert tuple(gray.shape) == (1, 1, 4, 6)
    weighted = rgb @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(gray[0, 0], weighted, atol=1)


def test_encoded_images_of_different_sizes(tmp_path: Path) -> None:
    items = [pb.Datum(data=encoded(images(1, size)[0]), encoded=True) for size in ((4, 6, 3), (5, 4, 3))]
    write_lmdb(tmp_path / "db", items)
    assert open_layer(data_layer(tmp_path / "db", 2, transform="crop_size: 4")).next()[0].shape == (2, 3, 4, 4)
    one = open_layer(data_layer(tmp_path / "db", 1))
    assert [tuple(one.next()[0].shape) for _ in range(2)] == [(1, 3, 4, 6), (1, 3, 5, 4)]
    with pytest.raises(DataError, match="different shapes"):
        open_layer(data_layer(tmp_path / "db", 2)).next()


def test_sixteen_bit_images_are_refused(tmp_path: Path) -> None:
    deep = encoded(np.arange(24, dtype=np.uint16).reshape(4, 6))
    write_lmdb(tmp_path / "db", [pb.Datum(data=deep, encoded=True)])
    with pytest.raises(DataError, match="more than 8 bits"):
        open_layer(data_layer(tmp_path / "db", 1))


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (data_layer(Path("db"), 0), "batch_size is 0"),
        (data_layer(Path("db"), 1, tops=0), "0 tops"),
        (data_layer(Path("dbs"), 1), r'"dbs" is not there.*near names there: db'),
        (data_layer(Path(), 1), "is no LMDB"),
        (layer('type: "Data" top: "x" data_param { batch_size: 1 }'), "has no name"),
        (layer('type: "Nonsense" top: "x"'), "known: Data, "),
    ],
)
def test_refusals(db: Path, message: object, error: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(db.parent)
    with pytest.raises(CaffeCompatError, match=error):
        open_layer(message)


def test_the_registry_is_strict(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="already"):
        registry.source_opener("Data")(lambda *_: None)  # type: ignore[arg-type]
    with pytest.raises(NetError, match="phase"):
        open_layer(data_layer(tmp_path, 1), phase="test")


def test_no_environment_stays_open(db: Path) -> None:
    from caffe_compat.data import lmdb_read

    before = len(lmdb_read._shared)
    with open_layer(data_layer(db, 3)) as source:
        source.next()
        assert len(lmdb_read._shared) == before + 1
    assert len(lmdb_read._shared) == before
    with pytest.raises(NetError):
        open_layer(data_layer(db, 3, transform="crop_size: 99"))
    assert len(lmdb_read._shared) == before
    assert os.path.isdir(db)
