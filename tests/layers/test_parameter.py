"""Parameter: its blob is its top; refusals."""

from __future__ import annotations

import torch

from caffe_compat.api import load_net
from caffe_compat.export.lower import lower
from caffe_compat.layers.parameter import Parameter
from tests.layers.checking import check_onnx, check_shapes, made
from tests.layers.single import refused
from tests.onnx_run import run_onnx

NET = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "p" type: "Parameter" top: "p" parameter_param { shape { dim: 2 dim: 3 } } }
layer { name: "r" type: "ReLU" bottom: "p" top: "p" }
layer { name: "y" type: "Eltwise" bottom: "x" bottom: "p" top: "y" }
"""


def test_top_shape_and_onnx() -> None:
    for shape in ((2, 3), (), (1, 4, 1)):
        layer = made(Parameter(shape), seed=None)
        assert layer().shape == shape
        assert layer().abs().sum() == 0
        check_shapes(layer)
        check_onnx(made(Parameter(shape)))


def test_the_layer_behind_does_not_overwrite_the_blob() -> None:
    net = load_net(NET)
    blob = net.layer("p").blobs[0]
    with torch.no_grad():
        blob.fill_(-1)
    inputs = {"x": torch.ones(2, 3)}
    top = net(**inputs)["y"]
    assert top.detach().tolist() == [[1, 1, 1]] * 2
    assert blob.max() == -1
    top.sum().backward()
    assert blob.grad is not None
    assert blob.grad.abs().sum() == 0
    assert run_onnx(lower(net), inputs)["y"].tolist() == [[1, 1, 1]] * 2


def test_refusals() -> None:
    refused("the blob has the shape [2, -1]; accepted: dims from 0 on", lambda: Parameter([2, -1]))
    refused("the blob would have 33 axes; accepted: at most 32", lambda: Parameter([1] * 33))
    refused("elements; accepted: at most 2147483647", lambda: Parameter([2**16, 2**16]))
    refused("has no elements", lambda: Parameter([2, 0]))
