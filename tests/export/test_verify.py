"""Comparing a graph with its net, and finding where it departs."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from caffe_compat import ExportError, load_net
from caffe_compat.export import lower_net
from caffe_compat.export.verify import verify
from tests.export.nets import DEPLOY, from_input


@pytest.fixture(scope="module")
def lenet():
    return load_net(DEPLOY, seed=1)


def changed(model, name, change):
    """The model with another value of one initializer."""
    for tensor in model.graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)), name))
            return model
    raise KeyError(name)


def test_a_right_graph(lenet):
    report = verify(lenet, lower_net(lenet))
    assert report.ok
    assert {c.batch for c in report.comparisons} == {1, 4, 2}
    assert {c.output for c in report.comparisons} == {"prob", "ip2"}  # the scores too: a Softmax can hide much
    assert all(c.same_class == c.rows == c.batch for c in report.comparisons)
    report.check()


def test_a_wrong_weight_is_found_and_placed(lenet):
    model = changed(lower_net(lenet), "ip1.bias", lambda value: value + np.float32(0.5))
    report = verify(lenet, model)
    assert not report.ok
    with pytest.raises(ExportError) as caught:
        report.check()
    text = str(caught.value)
    assert "blob 'ip1' of layer 'ip1' (InnerProduct), <text>:" in text
    assert "is the first to differ" in text
    assert "equal   pool1" in text
    assert "DIFFERS ip1:ip1" in text


def test_a_wrong_operator_is_found_and_placed(lenet):
    model = lower_net(lenet)
    next(node for node in model.graph.node if node.name == "relu1").op_type = "Abs"
    assert "layer 'relu1' (ReLU)" in verify(lenet, model).departure


def test_a_shape_that_differs_is_told():
    body = 'layer { name: "r" type: "ReLU" bottom: "data" top: "r" }\n'
    net = load_net(from_input(body, 2, 3, 4, 4))
    model = lower_net(net)
    node = model.graph.node[0]
    node.op_type = "Transpose"
    node.attribute.append(onnx.helper.make_attribute("perm", [0, 2, 1, 3]))
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    model.graph.output[0].type.tensor_type.ClearField("shape")
    assert "shape [1, 4, 3, 4] in onnxruntime, [1, 3, 4, 4] in torch" in verify(net, model).departure


def test_the_net_is_left_as_it_was(lenet):
    text = from_input(
        'layer { name: "bn" type: "BatchNorm" bottom: "data" top: "y" batch_norm_param { use_global_stats: false } }',
        4,
        3,
    )
    net = load_net(text)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    verify(net, lower_net(net), batches=[4, 6])
    assert all((net.state_dict()[name] == value).all() for name, value in before.items())
    assert not net.keep_blobs


def test_nan_has_to_be_in_the_same_places():
    net = load_net(from_input('layer { name: "s" type: "Scale" bottom: "data" top: "y" }\n', 2, 3))
    with torch.no_grad():
        net.layer("s").blobs[0][1] = float("nan")
    assert verify(net, lower_net(net)).ok
    report = verify(net, changed(lower_net(net), "s.weight", np.nan_to_num))
    assert report.worst == float("inf")
    assert "layer 's' (Scale)" in report.departure


def test_another_nets_file_is_refused(lenet):
    other = load_net(from_input('layer { name: "r" type: "ReLU" bottom: "data" top: "r" }\n', 2, 3))
    with pytest.raises(ExportError, match="is not this net: it has r"):
        verify(lenet, lower_net(other))


def test_chosen_batches_that_the_net_refuses():
    body = 'layer { name: "r" type: "Reshape" bottom: "data" top: "r" reshape_param { shape { %s } } }\n'
    body %= "dim: 2 dim: -1 dim: 3"
    net = load_net(from_input(body, 4, 3))
    report = verify(net, lower_net(net), batches=[4, 6])
    assert report.ok
    with pytest.raises(ExportError, match="batch size 3 is not compared"):
        verify(net, lower_net(net), batches=[3])


def test_constant_outputs_are_told():
    body = 'layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 2 } }\n'
    net = load_net(from_input(body, 2, 3))
    report = verify(net, lower_net(net))
    assert report.ok
    assert "this proves little" in report.notes[0]


def test_the_memory_of_a_recurrent_layer_is_not_touched():
    text = (
        'layer { name: "in" type: "Input" top: "x" top: "cont" input_param { shape { dim: 3 dim: 2 dim: 4 } '
        "shape { dim: 3 dim: 2 } } }\n"
        'layer { name: "lstm" type: "LSTM" bottom: "x" bottom: "cont" top: "y" recurrent_param { num_output: 5 '
        'weight_filler { type: "uniform" min: -1 max: 1 } } }\n'
    )
    net = load_net(text, seed=1)
    with torch.no_grad():
        first = net(x=torch.ones(3, 2, 4), cont=torch.ones(3, 2))["y"]
        assert verify(net, lower_net(net)).ok
        second = net(x=torch.ones(3, 2, 4), cont=torch.ones(3, 2))["y"]
        net.layer("lstm").reset()
        again = [net(x=torch.ones(3, 2, 4), cont=torch.ones(3, 2))["y"] for _ in range(2)]
    assert torch.equal(first, again[0])
    assert torch.equal(second, again[1])


CANCELLING = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 8 } } }
layer { name: "fc" type: "InnerProduct" bottom: "x" top: "fc"
  inner_product_param { num_output: 6 weight_filler { type: "xavier" } } }
layer { name: "up" type: "Power" bottom: "fc" top: "up" power_param { shift: 10000 } }
layer { name: "down" type: "Power" bottom: "up" top: "down" power_param { shift: -10000 } }
"""


@pytest.mark.parametrize(("factor", "equal"), [(1 + 3e-4, True), (1.01, False)])
def test_what_float32_cannot_tell_apart(factor, equal):
    """Scores of 1 that 10,000 left behind have a grain of 0.001: coarser than the tolerance, not than rounding."""
    net = load_net(CANCELLING, seed=1)
    weights = net.layer("fc").weight
    before = weights.detach().clone()
    model = changed(lower_net(net), "fc.weight", lambda value: value * np.float32(factor))
    report = verify(net, model, batches=[2])
    assert report.ok is equal
    (comparison,) = report.comparisons
    assert comparison.relative > report.tolerance
    assert 1e-4 < comparison.rounding < 1e-3
    assert "float32 in torch is off by" in str(report)
    assert bool(report.departure) is not equal
    assert net.layer("fc").weight is weights
    assert weights.dtype == torch.float32
    assert torch.equal(weights, before)


STEEP = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 8 } } }
layer { name: "fc" type: "InnerProduct" bottom: "x" top: "fc"
  inner_product_param { num_output: 6 weight_filler { type: "xavier" } bias_filler { value: 20000 } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""


@pytest.mark.parametrize(("factor", "equal"), [(1 + 1.5e-3, True), (1.02, False), (20, False)])
def test_probabilities_are_held_to_their_scores(factor, equal):
    """Of scores in the thousands, the last digits of float32 are more than the tolerance in the probabilities.

    A factor of 1.02 changes them by ten times that: still less than 1e-4 of the scores, and an error.
    """
    net = load_net(STEEP, seed=1)
    model = changed(lower_net(net), "fc.weight", lambda value: value * np.float32(factor))
    report = verify(net, model, batches=[4], seed=5)
    assert report.ok is equal
    prob, scores = report.comparisons
    assert prob.relative > report.tolerance
    assert (scores.relative < report.tolerance) is (factor < 1.1)
    assert ("the scores behind it agree" in str(prob)) is equal
