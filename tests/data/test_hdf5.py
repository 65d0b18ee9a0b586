"""HDF5Data: rows of several files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffe_compat.errors import CaffeCompatError
from tests.data.making import layer, open_layer, same, take

h5py = pytest.importorskip("h5py")
TEXT = 'type: "HDF5Data" top: "x" top: "y" hdf5_data_param { source: "list.txt" batch_size: 4 SHUFFLE }'
SIZES = (3, 6, 1)


def text(shuffle: bool = False) -> str:
    return TEXT.replace("SHUFFLE", "shuffle: true" if shuffle else "")


def write(path: Path, **arrays: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    start = 0
    for number, size in enumerate(SIZES):
        rows = np.arange(start, start + size)
        write(tmp_path / f"{number}.h5", y=rows.astype("i4"), x=np.stack([rows, -rows], 1).astype("f8"))
        start += size
    (tmp_path / "list.txt").write_text("0.h5\n1.h5\n\n2.h5\n")
    return tmp_path


def test_rows_carry_on_over_the_ends_of_files(folder: Path) -> None:
    with open_layer(layer(text()), base_dir=folder) as source:
        assert source.top_shapes == [(4, 2), (4,)]
        assert source.size == 10
        for number, (x, y) in enumerate(take(source, 8)):
            rows = [(4 * number + i) % 10 for i in range(4)]
            assert y.dtype == x.dtype == np.float32
            assert y.tolist() == rows
            assert x.tolist() == [[row, -row] for row in rows]


def test_a_list_may_name_several_files_a_line(folder: Path) -> None:
    """Caffe parts the names at any blanks; a name with blanks in it is read, too."""
    (folder / "1.h5").rename(folder / "the 1.h5")
    (folder / "list.txt").write_text("0.h5\tthe 1.h5\n")
    with pytest.raises(CaffeCompatError, match=r'"the" is not there'):
        open_layer(layer(text()), base_dir=folder)
    (folder / "list.txt").write_text("0.h5\t2.h5 \nthe 1.h5\n")
    assert next(iter(take(open_layer(layer(text()), base_dir=folder), 2)[1]))[:, 0].tolist() == [3, 4, 5, 6]


def test_seek(folder: Path) -> None:
    plain = take(open_layer(layer(text(True)), base_dir=folder), 12)
    source = open_layer(layer(text(True)), base_dir=folder)
    for number in (7, 0, 9, 2):
        source.seek(number)
        assert same(take(source, 3), plain[number : number + 3])
    source.close()


def test_shuffle_takes_the_files_and_their_rows_in_an_order_of_each_pass(folder: Path) -> None:
    rows = np.concatenate([y for _, y in take(open_layer(layer(text(True)), base_dir=folder), 25)]).astype(int)
    passes = rows.reshape(10, 10)
    assert all(sorted(one) == list(range(10)) for one in passes)
    assert len({tuple(one) for one in passes}) == 10
    file_of = np.repeat([0, 1, 2], SIZES)
    orders = {tuple(dict.fromkeys(file_of[one])) for one in passes}
    assert len(orders) > 2
    assert all(len(order) == 3 for order in orders)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": np.zeros(3)}, 'no data set "x"; there are: y'),
        ({"x": np.zeros((3, 2)), "y": np.zeros(4)}, "same number of rows"),
        ({"x": np.zeros((0, 2)), "y": np.zeros(0)}, "at least one"),
        ({"x": np.zeros((3, 5)), "y": np.zeros(3)}, "other shapes"),
        ({"x": np.zeros((3, 2), "S3"), "y": np.zeros(3)}, r"type \|S3"),
        ({"x": np.float32(1), "y": np.zeros(3)}, r"shape \(\)"),
    ],
)
def test_files_that_do_not_fit(folder: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    write(folder / "1.h5", **arrays)
    with pytest.raises(CaffeCompatError, match=message):
        open_layer(layer(text()), base_dir=folder)


@pytest.mark.parametrize(
    ("listed", "message"),
    [("", "lists no file"), ("9.h5", '"9.h5" is not there'), ("list.txt", "cannot be opened as an HDF5 file")],
)
def test_lists_that_are_wrong(folder: Path, listed: str, message: str) -> None:
    (folder / "list.txt").write_text(listed)
    with pytest.raises(CaffeCompatError, match=message):
        open_layer(layer(text()), base_dir=folder)


def test_a_truncated_file(folder: Path) -> None:
    whole = (folder / "1.h5").read_bytes()
    (folder / "1.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CaffeCompatError, match="cannot be opened"):
        open_layer(layer(text()), base_dir=folder)


def test_a_list_that_is_no_text(folder: Path) -> None:
    with pytest.raises(CaffeCompatError, match="is no list"):
        open_layer(layer(text().replace("list.txt", "0.h5")), base_dir=folder)


def test_a_prototxt_as_a_list(folder: Path) -> None:
    (folder / "list.txt").write_text('layer { name: "x" }\n')
    with pytest.raises(CaffeCompatError, match=r"list\.txt must be a text file that names HDF5 files, one a line"):
        open_layer(layer(text()), base_dir=folder)


def test_refusals(folder: Path) -> None:
    with pytest.raises(CaffeCompatError, match="does not transform"):
        open_layer(layer(text() + " transform_param { scale: 2 }"), base_dir=folder)
    with pytest.raises(CaffeCompatError, match="has no top"):
        open_layer(layer(text().replace('top: "x" top: "y"', "")), base_dir=folder)
