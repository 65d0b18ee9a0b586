"""HDF5Output writes what Caffe writes."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

import caffe_compat.data  # noqa: F401 - registers the writer
from caffe_compat.api import load_net
from caffe_compat.errors import CaffeCompatError, NetError
from caffe_compat.layers import sink
from caffe_compat.layers.hdf5_output import HDF5Output
from tests.conftest import DEFAULT_GOLDEN
from tests.layers.single import refused

CAFFES = DEFAULT_GOLDEN / "files" / "databases"


def arrays(path: Path) -> dict[str, np.ndarray]:
    with h5py.File(path) as content:
        return {name: content[name][...] for name in content}


def test_the_file_is_that_of_caffe(tmp_path: Path) -> None:
    """Its rows are those of part0.h5."""
    rows = arrays(CAFFES / "part0.h5")
    text = "\n".join(
        f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ '
        f"{' '.join(f'dim: {dim}' for dim in rows[name].shape)} }} }} }}"
        for name in ("data", "label")
    )
    output = (
        'layer { name: "o" type: "HDF5Output" bottom: "data" bottom: "label" '
        f'hdf5_output_param {{ file_name: "{tmp_path}/o.h5" }} }}'
    )
    net = load_net(f"{text}\n{output}")
    assert not (tmp_path / "o.h5").exists()
    net(**{name: torch.from_numpy(rows[name]) for name in ("data", "label")})
    ours, caffes = arrays(tmp_path / "o.h5"), arrays(CAFFES / "written_by_layer.h5")
    assert set(ours) == set(caffes)
    for name, values in caffes.items():
        np.testing.assert_array_equal(ours[name], values)
        assert ours[name].dtype == values.dtype


def test_further_passes_add_rows_in_test_and_are_refused_in_train(tmp_path: Path) -> None:
    layer = HDF5Output(str(tmp_path / "o.h5"))
    layer.eval()
    for number in range(3):
        assert layer(torch.full((2, 3), float(number)), torch.tensor([number, number])) == ()
    written = arrays(tmp_path / "o.h5")
    assert written["data"].shape == (6, 3, 1, 1)
    assert written["label"].ravel().tolist() == [0, 0, 1, 1, 2, 2]
    layer.train()
    with pytest.raises(NetError, match=r"give the layer include \{ phase: TEST \}"):
        layer(torch.zeros(2, 3), torch.zeros(2))
    assert len(arrays(tmp_path / "o.h5")["data"]) == 6


def test_a_further_pass_writes_its_own_rows_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first file is Caffe's, in one piece; the second pass makes one that can grow, and later ones add to it."""
    wholes: list[int] = []
    whole = sink._writers["HDF5"]
    monkeypatch.setitem(sink._writers, "HDF5", lambda path, arrays: (wholes.append(1), whole(path, arrays))[1])
    layer = HDF5Output(str(tmp_path / "o.h5"))
    layer.eval()
    nodes = []
    for rows in (2, 3, 1, 4):
        layer(torch.arange(rows * 3.0).reshape(rows, 3), torch.arange(float(rows)))
        nodes.append((tmp_path / "o.h5").stat().st_ino)
    assert len(wholes) == 1
    assert len(set(nodes[1:])) == 1
    assert arrays(tmp_path / "o.h5")["label"].ravel().tolist() == [0, 1, 0, 1, 2, 0, 0, 1, 2, 3]
    with pytest.raises(CaffeCompatError, match=r"has rows of shape \[3, 1, 1\], .*\[5, 1, 1\]"):
        layer(torch.zeros(2, 5), torch.zeros(2))
    (tmp_path / "o.h5").unlink()
    with pytest.raises(CaffeCompatError, match=r"cannot add to .*o.h5"):
        layer(torch.zeros(2, 3), torch.zeros(2))


def test_refusals(tmp_path: Path) -> None:
    refused("hdf5_output_param has no file_name", HDF5Output)
    for shapes in ([(2, 3), (3,)], [(), ()], [(2, 1, 1, 1, 1), (2,)]):
        with pytest.raises(NetError, match="accepted"):
            HDF5Output("x").setup(*shapes)
    with pytest.raises(CaffeCompatError, match="folder does not exist"):
        HDF5Output(str(tmp_path / "no" / "o.h5"))(torch.zeros(1), torch.zeros(1))


def test_the_writers_are_registered_once() -> None:
    with pytest.raises(ValueError, match="HDF5 has a writer already"):
        sink.array_writer("HDF5")(lambda path, arrays: None)
    with pytest.raises(NetError, match="nothing writes XYZ files"):
        sink.write_arrays("XYZ", "x", {})
