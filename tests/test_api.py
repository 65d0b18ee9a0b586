"""load_net with shapes of the caller: a training prototxt on data that are not in its files."""

from __future__ import annotations

import pytest
import torch

from caffe_compat import ExportError, NetError, load_net

TEXT = """
layer { name: "train" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  data_param { source: "not_here" batch_size: 64 } transform_param { mean_file: "nor_this" } }
layer { name: "test" type: "Data" top: "data" top: "label" include { phase: TEST }
  data_param { source: "not_here" batch_size: 100 } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
@pytest.mark.parametrize("given", [(4, 3, 2, 2), {"data": (4, 3, 2, 2)}, {"data": [4, 3, 2, 2], "label": [4, 1]}])
def test_data_layers_become_inputs(phase: str, given: object) -> None:
    net = load_net(TEXT, phase, seed=1, input_shape=given)  # type: ignore[arg-type]
    assert net.inputs == ["data", "label"]
    assert net.shapes["data"] == (4, 3, 2, 2)
    net(data=torch.randn(4, 3, 2, 2), label=torch.tensor([0.0, 1.0, 2.0, 3.0]).reshape(net.shapes["label"]))
    net.loss.backward()
    assert net.layer("fc").blobs[0].grad is not None


def test_weights_and_seed_are_as_without() -> None:
    first, second = (load_net(TEXT, seed=seed, input_shape=(1, 3, 2, 2)) for seed in (1, 1))
    assert torch.equal(first.layer("fc").blobs[0], second.layer("fc").blobs[0])


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(ExportError, match=r"'data' is not known.*input_shape="):
        load_net(TEXT, input_shape={"image": (1, 3, 2, 2)})
    with pytest.raises(NetError, match=r"layer 'fc'.*note that 'data' has shape \[1\], as --input-shape says"):
        load_net(TEXT.replace("InnerProduct", "Pooling").replace("inner_product_param { num_output: 5 weight_filler { "
                 'type: "xavier" } }', "pooling_param { kernel_size: 2 }"), input_shape=(1,))  # fmt: skip
