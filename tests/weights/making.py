"""A small net, its weight files, and changes to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from caffe_compat.api import load_net
from caffe_compat.weights import read_caffemodel, save_caffemodel

NET = """
name: "tiny"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 dim: 5 dim: 5 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 3 kernel_size: 3 weight_filler { type: "gaussian" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
  inner_product_param { num_output: 4 weight_filler { type: "gaussian" } bias_filler { type: "uniform" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "fc" bottom: "fc" }
"""
SIZES = {"conv": 54, "bn": 3, "fc": 108}


SUFFIXES = ["", ".h5"]


def blobs(net: Any) -> dict[str, np.ndarray]:
    return {
        f"{node.name}.{index}": blob.detach().numpy().copy()
        for node in net.nodes
        for index, blob in enumerate(node.layer.blobs)
    }


def same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> bool:
    return all(np.array_equal(first[key], second[key]) for key in first)


def saved(name: str = "net.caffemodel") -> Any:
    net = load_net(NET, seed=1)
    save_caffemodel(net, name)
    return net


def edited(name: str, **fields: Any) -> Path:
    """The saved file with its first blob of ``fc`` changed."""
    message = read_caffemodel("net.caffemodel")
    blob = next(layer for layer in message.layer if layer.name == "fc").blobs[0]
    for field, value in fields.items():
        if field == "dim":
            blob.shape.dim[:] = value
        else:
            blob.ClearField(field)
            getattr(blob, field).extend(value)
    Path(name).write_bytes(message.SerializeToString())
    return Path(name)
