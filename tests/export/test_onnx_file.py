"""From a prototxt to a checked, verified file."""

from __future__ import annotations

import errno
import os

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from caffe_compat import CaffeCompatError, ExportError, WeightsError, export_onnx, load_net
from caffe_compat.data.convert import convert_mnist
from caffe_compat.data.tiny import tiny
from caffe_compat.export import saving
from caffe_compat.export.preprocessing import from_metadata
from caffe_compat.weights import save_caffemodel, write_mean
from tests.export.nets import DEPLOY, from_input, run_onnx, train_val


@pytest.fixture
def mnist(tmp_path):
    """A folder with MNIST's LMDBs and mean, a train_val net, and weights for it."""
    convert_mnist(tiny("mnist"), tmp_path / "mnist", mean=True)
    (tmp_path / "net.prototxt").write_text(
        train_val("mnist_test_lmdb", 'mean_file: "mnist_mean.binaryproto" scale: 0.0078125 crop_size: 28')
    )
    save_caffemodel(load_net(DEPLOY, seed=3), tmp_path / "net.caffemodel")
    return tmp_path


def facts_of(path):
    return from_metadata({p.key: p.value for p in onnx.load(path).metadata_props}, str(path))


def test_a_train_val_net_with_its_weights(mnist):
    report = export_onnx(
        mnist / "net.prototxt", mnist / "out.onnx", mnist / "net.caffemodel", labels=list("abcdefghij")
    )
    assert report.verified is not None
    assert report.verified.worst < 1e-5
    assert report.inputs == {"data": ["N", 1, 28, 28]}
    assert report.outputs == {"prob": ["N", 10]}
    assert report.notes == []
    assert "opset 17" in str(report)
    x = torch.randn(2, 1, 28, 28)
    expected = load_net(DEPLOY, weights=mnist / "net.caffemodel")(x)["prob"].detach()
    np.testing.assert_allclose(run_onnx(mnist / "out.onnx", {"data": x})["prob"], expected, rtol=1e-5, atol=1e-7)
    facts = facts_of(mnist / "out.onnx")
    assert facts.channel_order == "GRAY"
    assert facts.scale == 0.0078125
    assert facts.mean_image.shape == (1, 28, 28)
    assert facts.labels == tuple("abcdefghij")
    assert facts.outputs == {"prob": "probabilities"}
    assert (facts.source, facts.net) == ("net.prototxt", "LeNet")


def test_a_net_in_memory_keeps_its_own_weights(mnist):
    """A training net: what is exported is its TEST form with the weights of now."""
    net = load_net(mnist / "net.prototxt", "TRAIN", weights=mnist / "net.caffemodel")
    with torch.no_grad():
        net.layer("ip2").blobs[1].fill_(0.5)
    export_onnx(net, mnist / "out.onnx")
    model = onnx.load(mnist / "out.onnx")
    bias = next(t for t in model.graph.initializer if t.name == "ip2.bias")
    assert set(onnx.numpy_helper.to_array(bias).tolist()) == {0.5}
    assert net.training
    assert net.phase == "TRAIN"


def test_without_the_rewriting_labels_are_inputs(mnist):
    report = export_onnx(mnist / "net.prototxt", mnist / "out.onnx", mnist / "net.caffemodel", deploy=False, batch=None)
    assert report.inputs == {"data": [7, 1, 28, 28], "label": [7]}
    assert set(report.outputs) == {"accuracy", "loss"}
    assert report.verified.ok


def test_options_decide_over_the_data_layer(mnist):
    report = export_onnx(
        mnist / "net.prototxt", mnist / "out.onnx", mnist / "net.caffemodel", mean_values=[3], scale=2, resize=(40, 41)
    )
    facts = report.preprocessing
    assert (facts.mean_values, facts.mean_image, facts.scale, facts.resize) == ((3.0,), None, 2.0, (40, 41))


def test_preprocessing_in_the_graph(mnist):
    plain = export_onnx(mnist / "net.prototxt", mnist / "a.onnx", mnist / "net.caffemodel")
    inside = export_onnx(mnist / "net.prototxt", mnist / "b.onnx", mnist / "net.caffemodel", preprocess_in_graph=True)
    assert inside.verified.ok
    assert inside.nodes == plain.nodes + 2
    pixels = np.random.default_rng(0).integers(0, 256, (3, 1, 28, 28)).astype(np.float32)
    expected = run_onnx(mnist / "a.onnx", {"data": plain.preprocessing.apply(pixels)})["prob"]
    np.testing.assert_allclose(run_onnx(mnist / "b.onnx", {"data": pixels})["prob"], expected, rtol=1e-5)


def test_a_missing_mean_file_names_the_option(mnist):
    (mnist / "mnist_mean.binaryproto").unlink()
    with pytest.raises(ExportError, match="--mean FILE or --mean-values"):
        export_onnx(mnist / "net.prototxt", mnist / "out.onnx", mnist / "net.caffemodel", input_shape=(1, 1, 28, 28))
    write_mean(mnist / "other", np.zeros((1, 28, 28), np.float32))
    export_onnx(
        mnist / "net.prototxt",
        mnist / "out.onnx",
        mnist / "net.caffemodel",
        input_shape=(1, 1, 28, 28),
        mean=mnist / "other",
    )


def test_missing_weights_are_told(tmp_path):
    report = export_onnx(DEPLOY, tmp_path / "out.onnx")
    assert report.notes == ["no weights are given: the file holds the values of the fillers"]


def test_another_input_size(tmp_path):
    net = from_input(
        'layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 2 '
        "kernel_size: 3 } }\n",
        1, 3, 8, 8,
    )  # fmt: skip
    report = export_onnx(net, tmp_path / "out.onnx", input_shape={"data": (1, 3, 20, 10)})
    assert report.outputs == {"c": ["N", 2, 18, 8]}


@pytest.mark.parametrize("what", ["opset", "weights", "labels", "net"])
def test_nothing_is_written_when_something_fails(mnist, what):
    arguments = {
        "opset": ((DEPLOY, mnist / "out.onnx"), {"opset": 7}),
        "weights": ((DEPLOY, mnist / "out.onnx", mnist / "net.prototxt"), {}),
        "labels": ((DEPLOY, mnist / "out.onnx"), {"labels": mnist / "nowhere.txt"}),
        "net": (("layer { ", mnist / "out.onnx"), {}),
    }
    before = sorted(os.listdir(mnist))
    positional, keywords = arguments[what]
    with pytest.raises(CaffeCompatError) as caught:
        export_onnx(*positional, **keywords)
    assert what != "weights" or isinstance(caught.value, WeightsError)
    assert sorted(os.listdir(mnist)) == before


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "out.onnx"
    path.write_bytes(b"old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CaffeCompatError, match="disk is full"):
        export_onnx(DEPLOY, path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out.onnx"]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(CaffeCompatError, match="does not exist"):
        export_onnx(DEPLOY, tmp_path / "no" / "out.onnx")


def test_large_weights_go_to_a_second_file(tmp_path, monkeypatch):
    """As above 2 GB; here the limit is lowered."""
    monkeypatch.setattr(saving, "LIMIT", 1000)
    report = export_onnx(DEPLOY, tmp_path / "out.onnx")
    assert report.verified.ok
    assert sorted(os.listdir(tmp_path)) == ["out.onnx", "out.onnx.data"]
    assert (tmp_path / "out.onnx").stat().st_size < 10_000
    assert run_onnx(tmp_path / "out.onnx", {"data": np.zeros((2, 1, 28, 28), np.float32)})["prob"].shape == (2, 10)


def test_folding_batch_norm_and_scale_into_the_convolution(tmp_path):
    body = (
        'layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 4 '
        'kernel_size: 3 weight_filler { type: "xavier" } } }\n'
        'layer { name: "bn" type: "BatchNorm" bottom: "c" top: "c" }\n'
        'layer { name: "s" type: "Scale" bottom: "c" top: "c" scale_param { bias_term: true } }\n'
        'layer { name: "r" type: "ReLU" bottom: "c" top: "c" }\n'
        'layer { name: "s2" type: "Scale" bottom: "c" top: "y" }\n'
    )
    net = load_net(from_input(body, 2, 3, 7, 6), seed=0)
    with torch.no_grad():
        for node in net.nodes:
            for blob in node.layer.blobs:
                blob.copy_(torch.rand_like(blob) + 0.5)
    plain = export_onnx(net, tmp_path / "a.onnx")
    folded = export_onnx(net, tmp_path / "b.onnx", fold=True)
    operators = [node.op_type for node in onnx.load(tmp_path / "b.onnx").graph.node]
    assert operators[:2] == ["Conv", "Relu"]
    assert "BatchNormalization" not in operators
    assert folded.nodes < plain.nodes
    assert folded.verified.worst < 1e-5


def test_labels_from_a_file(tmp_path):
    (tmp_path / "labels.txt").write_text("n01 cat\n\nn02 dog\n", "utf-8")
    assert export_onnx(DEPLOY, tmp_path / "x.onnx", labels=tmp_path / "labels.txt").preprocessing.labels == (
        "n01 cat",
        "n02 dog",
    )


def test_unknown_layer_types_are_told_at_once(tmp_path):
    layer = 'layer {{ name: "{0}" type: "{1}" bottom: "{2}" top: "{0}" }}\n'
    text = from_input(
        layer.format("a", "Nonsense", "data") + layer.format("b", "ReLU", "a") + layer.format("c", "Folly", "b"), 1
    )
    with pytest.raises(ExportError) as caught:
        export_onnx(text, tmp_path / "out.onnx")
    assert "layer 'a' (Nonsense), <text>:2:1" in str(caught.value)
    assert "layer 'c' (Folly), <text>:4:1" in str(caught.value)


@pytest.mark.parametrize("out", [".", "no/net.onnx"])
def test_where_nothing_can_be_written_is_an_export_error(tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ExportError, match="cannot write"):
        export_onnx(DEPLOY, out)


def test_weights_are_loaded_into_a_copy(tmp_path):
    net, other = load_net(DEPLOY, seed=1), load_net(DEPLOY, seed=2)
    save_caffemodel(other, tmp_path / "other.caffemodel")
    before = net.layer("ip1").weight.detach().clone()
    export_onnx(net, tmp_path / "net.onnx", tmp_path / "other.caffemodel")
    assert torch.equal(net.layer("ip1").weight, before)
    held = {i.name: numpy_helper.to_array(i) for i in onnx.load(tmp_path / "net.onnx").graph.initializer}
    assert np.array_equal(held["ip1.weight"], other.layer("ip1").weight.detach().numpy())


def test_upgrades_are_no_reason_why_weights_do_not_fit(tmp_path):
    old = 'input: "data" input_dim: 2 input_dim: 3 input_dim: 1 input_dim: 1\n'
    fc = 'layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: N } }'
    save_caffemodel(load_net(old + fc.replace("N", "4")), tmp_path / "w.caffemodel")
    with pytest.raises(WeightsError) as error:
        export_onnx(old + fc.replace("N", "5 nun_output: 6"), tmp_path / "n.onnx", tmp_path / "w.caffemodel")
    assert "upgraded" not in str(error.value)
    assert "unknown field 'nun_output'" in str(error.value)
