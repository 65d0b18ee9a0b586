"""extract-features: what lands in data bases and .npz files is what the net computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffe_compat.api import load_net
from caffe_compat.cli import main
from caffe_compat.data.lmdb_read import Database
from caffe_compat.errors import CaffeCompatError, NetError
from caffe_compat.proto import pb
from caffe_compat.tools.features import extract_features
from caffe_compat.weights import save_caffemodel
from tests.data.making import database, images

NET = """
layer { name: "data" type: "Data" top: "data" top: "label" data_param { source: "db" batch_size: 3 backend: LMDB } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 2 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
"""


@pytest.fixture(autouse=True)
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    database(tmp_path / "db", images(7))
    Path("net.prototxt").write_text(NET)
    save_caffemodel(load_net("net.prototxt", seed=1), "net.caffemodel")


def expected(*blobs: str) -> list[np.ndarray]:
    """The blobs over 3 batches of 3 of the 7 images."""
    net = load_net("net.prototxt", weights="net.caffemodel")
    net.keep_blobs = True
    passes = [(net(), dict(net.blobs))[1] for _ in range(3)]
    return [np.concatenate([found[name].detach().numpy() for found in passes]) for name in blobs]


def test_data_bases_hold_float_datums_as_caffes_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["extract_features", "net.caffemodel", "net.prototxt", "conv,fc", "a_lmdb,b_lmdb", "3", "lmdb"]) == 0
    assert "9 images" in capsys.readouterr().out
    for path, values, shape in zip(["a_lmdb", "b_lmdb"], expected("conv", "fc"), [(2, 3, 2), (4, 1, 1)], strict=True):
        base = Database(Path(path))
        records = base.records(0, base.size)
        base.close()
        assert [key for key, _ in records] == [b"%010d" % index for index in range(9)]
        datums = [pb.Datum.FromString(value) for _, value in records]
        assert {(datum.channels, datum.height, datum.width, datum.encoded) for datum in datums} == {(*shape, False)}
        found = np.array([datum.float_data for datum in datums], np.float32)
        assert np.array_equal(found, values.reshape(9, -1))
    assert values.min() < 0 <= expected("conv")[0].min(), "an in-place blob is kept as its last layer left it"


def test_a_data_layer_reads_them_back() -> None:
    extract_features(load_net("net.prototxt", weights="net.caffemodel"), ["fc"], ["fc_lmdb"], 3)
    net = load_net('layer { name: "d" type: "Data" top: "d" data_param { source: "fc_lmdb" batch_size: 9 } }')
    assert np.array_equal(net()["d"].numpy().reshape(9, 4), expected("fc")[0])


def test_one_npz_for_all() -> None:
    assert main(["extract-features", "net.caffemodel", "net.prototxt", "fc,label", "out.npz", "3"]) == 0
    with np.load("out.npz") as content:
        assert np.array_equal(content["fc"], expected("fc")[0])
        assert content["label"].tolist() == [0, 1, 2, 3, 4, 5, 6, 0, 1]


def test_refusals_leave_nothing_behind() -> None:
    net = load_net("net.prototxt")
    with pytest.raises(NetError, match="no blob 'cov'; blobs: data, label, conv, fc"):
        extract_features(net, ["cov"], ["x_lmdb"], 1)
    with pytest.raises(NetError, match="0 batches"):
        extract_features(net, ["fc"], ["x_lmdb"], 0)
    with pytest.raises(CaffeCompatError, match=r"2 blob\(s\) and 1 output\(s\) are given"):
        extract_features(net, ["fc", "conv"], ["x_lmdb"], 1)
    Path("y_lmdb").mkdir()
    with pytest.raises(CaffeCompatError, match="y_lmdb exists already"):
        extract_features(net, ["fc", "conv"], ["x_lmdb", "y_lmdb"], 1)
    assert not Path("x_lmdb").exists()
    inputs = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 } } }\n'
    with pytest.raises(NetError, match="no data layer to take items from"):
        extract_features(load_net(inputs), ["x"], ["x_lmdb"], 1)
