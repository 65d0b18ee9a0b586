"""The accuracy of a file over the test data of a prototxt: the same errors as Caffe's Accuracy finds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from caffe_compat import ExportError, export_onnx, load_net
from caffe_compat.data.convert import convert_mnist
from caffe_compat.data.tiny import tiny
from caffe_compat.export.evaluate import evaluate
from tests.export.nets import DEPLOY, train_val


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """MNIST's 500 test images, a net with batches of 7, and its file."""
    folder = tmp_path_factory.mktemp("evaluate")
    convert_mnist(tiny("mnist"), folder / "mnist", mean=True)
    (folder / "net.prototxt").write_text(
        train_val("mnist_test_lmdb", 'mean_file: "mnist_mean.binaryproto" scale: 0.01')
    )
    net = load_net(folder / "net.prototxt", seed=5)
    export_onnx(net, folder / "net.onnx")
    torch.save(net.state_dict(), folder / "net.pt")
    return folder


def errors_in_torch(folder, items=500):
    net = load_net((folder / "net.prototxt"), seed=5)
    net.load_state_dict(torch.load(folder / "net.pt"))
    net.keep_blobs = True
    wrong = seen = 0
    with torch.no_grad():
        while seen < items:
            net()
            scores, labels = (net.blobs[name][: items - seen] for name in ("ip2", "label"))
            own = scores.gather(1, labels.long()[:, None])
            wrong += int(((scores >= own).sum(1) > 1).sum())
            seen += len(scores)
    return wrong


def test_one_pass_over_the_source(folder):
    seen = []
    result = evaluate(folder / "net.onnx", folder / "net.prototxt", device="cpu", progress=lambda *at: seen.append(at))
    assert (result.count, result.errors) == (500, errors_in_torch(folder))
    assert result.accuracy == (500 - result.errors) / 500
    assert f"{result.errors} errors in 500" in str(result)
    assert seen[0] == (7, 500)
    assert seen[-1] == (500, 500)


def test_iterations(folder):
    assert evaluate(folder / "net.onnx", folder / "net.prototxt", iterations=3, device="cpu").count == 21


@pytest.mark.parametrize("options", [{"batch": 3}, {"preprocess_in_graph": True}, {"batch": 10}])
def test_other_forms_of_the_file(folder, tmp_path, options):
    net = load_net(folder / "net.prototxt", seed=5)
    export_onnx(net, tmp_path / "x.onnx", **options)
    assert evaluate(tmp_path / "x.onnx", folder / "net.prototxt", device="cpu").errors == errors_in_torch(folder)


def test_ties_count_against(folder, tmp_path):
    net = load_net(folder / "net.prototxt")
    with torch.no_grad():
        for blob in net.layer("ip2").blobs:
            blob.zero_()
    export_onnx(net, tmp_path / "x.onnx")
    assert evaluate(tmp_path / "x.onnx", folder / "net.prototxt", device="cpu").errors == 500


def test_top_k_and_ignored_labels(folder, tmp_path):
    text = (folder / "net.prototxt").read_text()
    rule = 'top: "accuracy" accuracy_param { top_k: 10 ignore_label: 0 }'
    (folder / "top.prototxt").write_text(text.replace('top: "accuracy"', rule))
    labels = np.load(tiny("mnist"))["test_labels"]
    result = evaluate(folder / "net.onnx", folder / "top.prototxt", device="cpu")
    assert (result.count, result.errors) == (int((labels != 0).sum()), 0)


def test_nets_without_labelled_data(folder, tmp_path):
    (tmp_path / "deploy.prototxt").write_text(DEPLOY)
    with pytest.raises(ExportError, match="no TEST data layer with the input 'data' and labels"):
        evaluate(folder / "net.onnx", tmp_path / "deploy.prototxt", device="cpu")
    with pytest.raises(ExportError, match="no output 'ip9'; outputs: prob"):
        evaluate(folder / "net.onnx", folder / "net.prototxt", output="ip9", device="cpu")
