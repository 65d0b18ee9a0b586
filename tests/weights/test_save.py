"""Weights written: what comes back, what is as Caffe's own files, where nothing can be written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffe_compat.api import load_net
from caffe_compat.errors import WeightsError
from caffe_compat.proto import pb
from caffe_compat.weights import save_caffemodel
from tests.weights.making import NET, SUFFIXES, blobs, same, saved


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_round_trip(suffix: str) -> None:
    net = saved("net.caffemodel" + suffix)
    other = load_net(NET, weights="net.caffemodel" + suffix, seed=2)
    assert same(blobs(net), blobs(other))


SHARED = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" param { name: "w" } param { }
  inner_product_param { num_output: 3 weight_filler { type: "gaussian" } bias_filler { type: "gaussian" } } }
layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" param { name: "w" } param { }
  inner_product_param { num_output: 3 bias_filler { type: "gaussian" } } }
"""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_shared_blobs(suffix: str) -> None:
    """HDF5 holds a shared blob once; in a net that does not share it, it is missing."""
    net = load_net(SHARED, seed=1)
    save_caffemodel(net, "shared" + suffix)
    assert same(blobs(net), blobs(load_net(SHARED, weights="shared" + suffix, seed=2)))
    apart = SHARED.replace('param { name: "w" }', "param { }")
    if not suffix:
        assert same(blobs(net), blobs(load_net(apart, weights="shared")))
        return
    with pytest.raises(WeightsError, match=r"layer 'b' has 1 blob\(s\) in the file, 2 in the net"):
        load_net(apart, weights="shared.h5")


def test_hdf5_is_refused_where_caffe_refuses_it() -> None:
    with pytest.raises(WeightsError, match=r"layer 'fc/1' .*: HDF5 cannot store a layer of this name"):
        save_caffemodel(load_net(NET.replace('name: "fc"', 'name: "fc/1"')), "net.h5")
    assert not Path("net.h5").exists()
    saved("net.h5")
    with pytest.raises(WeightsError, match=r"layer 'fc' has shape \[4, 27\] in the file, \[6, 27\] in the net"):
        load_net(NET.replace("num_output: 4", "num_output: 6"), weights="net.h5")


def test_saved_file_is_as_caffes() -> None:
    """Phase, loss weight and the statistics' lr_mult are filled in; layers without blobs are there."""
    saved()
    message = pb.NetParameter.FromString(Path("net.caffemodel").read_bytes())
    assert message.name == "tiny"
    assert [layer.name for layer in message.layer] == ["data", "conv", "bn", "fc", "loss"]
    assert {layer.phase for layer in message.layer} == {1}
    assert list(message.layer[-1].loss_weight) == [1]
    assert [spec.lr_mult for spec in message.layer[2].param] == [0, 0, 0]
    assert [tuple(blob.shape.dim) for blob in message.layer[3].blobs] == [(4, 27), (4,)]


def test_saved_file_equals_caffes_own(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A net with data layer, loss and statistics, loaded from Caffe's file and saved again: the same message."""
    monkeypatch.chdir(shared / "golden" / "files" / "snapshot_sgd_binaryproto")
    source = Path("snap_iter_5.caffemodel").resolve()
    net = load_net("net.prototxt", phase="TRAIN", weights=source)
    out = tmp_path / "again.caffemodel"
    save_caffemodel(net, out)
    ours, caffes = (pb.NetParameter.FromString(path.read_bytes()) for path in (out, source))
    assert ours == caffes


def test_golden_old_forms(shared: Path) -> None:
    folder = shared / "golden" / "files" / "weights_legacy"
    expected = np.load(folder / "expected.npz")
    for key in expected.files:
        name, _, blob = key.partition(":param.")
        net = load_net(folder / "net.prototxt", weights=folder / name)
        assert np.array_equal(blobs(net)[blob], expected[key]), key


@pytest.mark.parametrize("name", ["nodir/x.caffemodel", "nodir/x.caffemodel.h5", "."])
def test_where_no_weights_can_be_written_is_a_weights_error(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    net = load_net('layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }')
    with pytest.raises(WeightsError, match="cannot write"):
        save_caffemodel(net, name)
