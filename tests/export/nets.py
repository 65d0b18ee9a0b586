"""Small nets for the tests of the exporter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx

from caffe_compat.export import open_session

LENET_BODY = """
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 4 kernel_size: 5 stride: 2 weight_filler { type: "xavier" } } }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "ip1" type: "InnerProduct" bottom: "pool1" top: "ip1"
  inner_product_param { num_output: 16 weight_filler { type: "xavier" } } }
layer { name: "relu1" type: "ReLU" bottom: "ip1" top: "ip1" }
layer { name: "drop1" type: "Dropout" bottom: "ip1" top: "ip1" }
layer { name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
"""

DEPLOY = (
    'name: "LeNet"\n'
    'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 1 dim: 28 dim: 28 } } }'
    + LENET_BODY
    + 'layer { name: "prob" type: "Softmax" bottom: "ip2" top: "prob" }\n'
)


def train_val(source: str = "nowhere_lmdb", transform: str = "scale: 0.00390625", batch: int = 7) -> str:
    """LeNet with Data layers for both phases, Accuracy in TEST and a SoftmaxWithLoss."""
    data = "".join(
        f'layer {{ name: "mnist" type: "Data" top: "data" top: "label" include {{ phase: {phase} }}\n'
        f"  transform_param {{ {transform} }}\n"
        f'  data_param {{ source: "{source}" batch_size: {size} backend: LMDB }} }}\n'
        for phase, size in (("TRAIN", 64), ("TEST", batch))
    )
    heads = """
layer { name: "accuracy" type: "Accuracy" bottom: "ip2" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" }
"""
    return 'name: "LeNet"\n' + data + LENET_BODY + heads


def from_input(body: str, *shape: int) -> str:
    """A net with the input "data" of ``shape``."""
    sizes = " ".join(f"dim: {size}" for size in shape)
    return f'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ {sizes} }} }} }}\n{body}'


def run_onnx(model: onnx.ModelProto | Any, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The outputs of a model, or of a file, by name."""
    session = open_session(model.SerializeToString() if isinstance(model, onnx.ModelProto) else model, "cpu", 1)
    names = [output.name for output in session.get_outputs()]
    return dict(
        zip(names, session.run(names, {name: np.asarray(value) for name, value in inputs.items()}), strict=True)
    )
