"""convert_imageset against data bases that Caffe's tool wrote from the same list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from caffe_compat.data.database import open_database
from caffe_compat.data.imageset import convert_imageset
from caffe_compat.data.mean import compute_mean
from caffe_compat.errors import CaffeCompatError, DataError
from caffe_compat.pictures import decode
from caffe_compat.proto import pb
from caffe_compat.weights.mean import read_mean
from tests.conftest import DEFAULT_GOLDEN
from tests.data.making import images

CAFFES = DEFAULT_GOLDEN / "files" / "databases"
TOOL = {
    "raw": {},
    "resized": {"resize_height": 8, "resize_width": 9},
    "gray": {"gray": True},
    "png": {"encoded": True},
    "jpg": {"encoded": True, "encode_type": "jpg"},
}
"""How Caffe's tool was called for each data base."""


def records(path: Path) -> list[tuple[bytes, bytes]]:
    database = open_database(path)
    found = database.records(0, database.size)
    database.close()
    return found


@pytest.mark.parametrize("name", TOOL)
def test_the_records_are_those_of_caffe(name: str, tmp_path: Path) -> None:
    done = convert_imageset(f"{CAFFES}/", CAFFES / "list.txt", tmp_path / "db", **TOOL[name])  # type: ignore[arg-type]
    assert done.records == 7
    ours, caffes = records(tmp_path / "db"), records(CAFFES / f"{name}_db")
    assert [key for key, _ in ours] == [key for key, _ in caffes]
    if name != "jpg":
        assert ours == caffes
    for (_, our), (_, caffe) in zip(ours, caffes, strict=True):
        compare(pb.Datum.FromString(our), pb.Datum.FromString(caffe))


def compare(ours: Any, caffes: Any) -> None:
    """An encoder of another version may choose other bytes: then the pixels count."""
    assert (ours.label, ours.encoded, ours.channels) == (caffes.label, caffes.encoded, caffes.channels)
    if ours.encoded:
        pixels = [decode(datum.data, "as stored", "x").astype(int) for datum in (ours, caffes)]
        assert np.abs(pixels[0] - pixels[1]).max() <= 1


@pytest.mark.parametrize("name", ["raw", "resized", "gray"])
def test_the_mean_is_that_of_caffe(name: str, tmp_path: Path) -> None:
    convert_imageset(f"{CAFFES}/", CAFFES / "list.txt", tmp_path / "db", **TOOL[name])  # type: ignore[arg-type]
    np.testing.assert_array_equal(compute_mean(tmp_path / "db"), read_mean(CAFFES / f"{name}_mean.binaryproto"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, pixels in enumerate(images(12, (4, 5, 3))):
        Image.fromarray(pixels).save(tmp_path / f"im {number}.png")
    (tmp_path / "list.txt").write_text("".join(f"im {number}.png {number}\n" for number in range(12)))
    return tmp_path


def labels(path: Path) -> list[int]:
    return [pb.Datum.FromString(value).label for _, value in records(path)]


def test_shuffled_by_the_seed(folder: Path) -> None:
    orders = []
    for seed in (1, 1, 2):
        convert_imageset(folder, folder / "list.txt", folder / "db", shuffle=True, seed=seed, overwrite=True)
        orders.append(labels(folder / "db"))
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[2]) == list(range(12))
    assert records(folder / "db")[3][0] == b"00000003_im %d.png" % orders[2][3]


def test_the_file_itself_is_stored_where_it_may_be(folder: Path) -> None:
    convert_imageset(folder, folder / "list.txt", folder / "db", encode_type="PNG")
    assert pb.Datum.FromString(records(folder / "db")[0][1]).data == (folder / "im 0.png").read_bytes()
    convert_imageset(folder, folder / "list.txt", folder / "gray", encoded=True, gray=True)
    assert decode(pb.Datum.FromString(records(folder / "gray")[0][1]).data, "as stored", "x").shape == (4, 5, 1)


def test_damaged_images(folder: Path) -> None:
    (folder / "im 3.png").write_bytes(b"no image")
    (folder / "im 5.png").unlink()
    with pytest.raises(DataError, match=r"im 3.png cannot be decoded"):
        convert_imageset(folder, folder / "list.txt", folder / "db")
    assert not (folder / "db").exists()
    steps: list[tuple[int, int]] = []
    done = convert_imageset(
        folder, folder / "list.txt", folder / "db", skip_damaged=True, progress=lambda *step: steps.append(step)
    )
    assert done.records == 10
    assert [name in message for name, message in zip(("im 3.png", "im 5.png"), done.skipped, strict=True)] == [True] * 2
    assert labels(folder / "db") == [0, 1, 2, 4, *range(6, 12)]
    assert steps[-1] == (12, 12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resize_width": 3}, "resize_height is 0 and resize_width 3: give both"),
        ({"backend": "leveldb"}, "accepted is lmdb"),
        ({"encode_type": "xyz"}, 'encode_type is "xyz"; accepted: jpg'),
        ({"check_size": True}, r"im 1.png has the shape \(3, 5, 3\), the first image \(4, 5, 3\)"),
        ({"check_size": True, "encoded": True}, r"im 1.png has the shape \(3, 5, 3\), the first image \(4, 5, 3\)"),
    ],
)
def test_refusals(folder: Path, options: dict[str, Any], message: str) -> None:
    Image.fromarray(images(1, (3, 5, 3))[0]).save(folder / "im 1.png")
    with pytest.raises(CaffeCompatError, match=message):
        convert_imageset(folder, folder / "list.txt", folder / "db", **options)
    assert not (folder / "db").exists()
