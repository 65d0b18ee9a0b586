"""The walk over a net: names, structure, sizes, and what happens where a layer does not lower."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from caffe_compat import CannotLower, ExportError, Layer, load_net, register_layer
from caffe_compat.export import DEFAULT_OPSET, NEWEST_OPSET, SUPPORTED_OPSETS, lower_net
from caffe_compat.export.lower import lower
from caffe_compat.layers import registry
from tests.export.nets import DEPLOY, from_input, run_onnx

RELU = 'layer { name: "relu" type: "ReLU" bottom: "data" top: "data" }\n'


@pytest.fixture
def own_layers(monkeypatch):
    """Layers registered in a test are forgotten after it."""
    monkeypatch.setattr(registry, "LAYERS", dict(registry.LAYERS))


@pytest.fixture(scope="module")
def lenet():
    return load_net(DEPLOY, seed=1)


def sizes(value):
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


@pytest.mark.parametrize("opset", SUPPORTED_OPSETS)
def test_every_opset_is_valid_and_exact(lenet, opset):
    model = lower_net(lenet, opset)
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == opset
    assert opset > 22 or model.ir_version <= 10  # what onnxruntime 1.18 reads
    x = torch.randn(3, 1, 28, 28)
    found = run_onnx(model, {"data": x})["prob"]
    np.testing.assert_allclose(found, lenet(x)["prob"].detach().numpy(), rtol=1e-5, atol=1e-7)


def test_newest_opset_is_the_newest_that_onnxruntime_runs():
    """Fails when a newer onnxruntime or onnx runs more: then raise the number in opsets.py."""
    works = []
    for opset in range(13, onnx.defs.onnx_opset_version() + 1):
        value = onnx.helper.make_tensor_value_info("x", 1, [1])
        other = onnx.helper.make_tensor_value_info("y", 1, [1])
        graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [value], [other])
        ids = [onnx.helper.make_opsetid("", opset)]
        model = onnx.helper.make_model(graph, opset_imports=ids, ir_version=onnx.helper.find_min_ir_version_for(ids))
        try:
            onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        except Exception:
            continue
        works.append(opset)
    assert max(works) == NEWEST_OPSET


@pytest.mark.parametrize("opset", [12, NEWEST_OPSET + 1, "17", True])
def test_wrong_opset_names_the_range(lenet, opset):
    with pytest.raises(ExportError, match=f"accepted: 13 to {NEWEST_OPSET}"):
        lower_net(lenet, opset)


def test_names_are_those_of_the_prototxt(lenet):
    model = lower_net(lenet)
    assert [node.name for node in model.graph.node if "/" not in node.name] == [
        "conv1", "pool1", "relu1", "ip2", "prob",
    ]  # fmt: skip
    assert {tensor.name for tensor in model.graph.initializer} >= {"conv1.weight", "conv1.bias", "ip2.weight"}
    outputs = [node.output[0] for node in model.graph.node]
    assert outputs[:2] == ["conv1", "pool1"]
    assert "ip1:ip1" in outputs  # written over in place
    assert next(node for node in model.graph.node if node.name == "relu1").output[0] == "ip1"
    assert not any(node.name.startswith("drop1") for node in model.graph.node)
    assert model.opset_import[0].version == DEFAULT_OPSET
    assert model.graph.name == "LeNet"


def test_all_blobs_have_their_sizes(lenet):
    graph = lower_net(lenet).graph
    known = {value.name: sizes(value) for value in graph.value_info}
    assert sizes(graph.input[0]) == ["N", 1, 28, 28]
    assert sizes(graph.output[0]) == ["N", 10]
    assert known["conv1"] == ["N", 4, 12, 12]
    assert known["ip1"] == ["N", 16]


@pytest.mark.parametrize(("batch", "expected"), [(None, 4), (9, 9)])
def test_fixed_batch(lenet, batch, expected):
    lowered = lower(lenet, batch=batch)
    assert lowered.batch == expected
    assert sizes(lowered.model.graph.output[0]) == [expected, 10]


def test_wrong_batch_is_refused(lenet):
    with pytest.raises(ExportError, match="batch is 0; accepted: 'symbolic'"):
        lower_net(lenet, batch=0)


def test_a_prototxt_that_fixes_its_batch_says_so():
    body = """
layer { name: "flat" type: "Reshape" bottom: "data" top: "flat" reshape_param { shape { dim: 2 dim: -1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "flat" top: "ip" inner_product_param { num_output: 3 } }
"""
    lowered = lower(load_net(from_input(body, 2, 5)))
    assert lowered.batch == 2
    assert "fixed to 2" in lowered.notes[0]
    assert "'ip'" in lowered.notes[0]


def test_a_multiple_of_the_batch_is_named():
    body = 'layer { name: "r" type: "Reshape" bottom: "data" top: "r" reshape_param { shape { dim: -1 dim: 2 } } }'
    graph = lower_net(load_net(from_input(body, 3, 4))).graph
    assert sizes(graph.output[0]) == ["2*N", 2]


def test_in_place_over_an_input_is_an_output_of_another_name():
    lowered = lower(load_net(from_input(RELU, 2, 3)))
    assert lowered.outputs == {"data": "data:relu"}
    found = run_onnx(lowered.model, {"data": torch.tensor([[-1.0, 0.0, 2.0]])})
    assert found["data:relu"].tolist() == [[0, 0, 2]]


def test_a_top_that_is_its_bottom_makes_a_node_only_as_an_output():
    body = RELU.replace('top: "data"', 'top: "y"') + (
        'layer { name: "split" type: "Split" bottom: "y" top: "a" top: "b" }\n'
        'layer { name: "tanh" type: "TanH" bottom: "a" top: "z" }\n'
    )
    lowered = lower(load_net(from_input(body, 2, 3)))
    assert [node.op_type for node in lowered.model.graph.node] == ["Relu", "Tanh", "Identity"]
    assert lowered.outputs == {"b": "b", "z": "z"}
    onnx.checker.check_model(lowered.model, full_check=True)


def test_shared_parameters_are_stored_once():
    layer = (
        'layer {{ name: "{0}" type: "InnerProduct" bottom: "{1}" top: "{0}" param {{ name: "w" }} '
        'param {{ name: "b" }} inner_product_param {{ num_output: 5 weight_filler {{ type: "xavier" }} }} }}\n'
    )
    model = lower_net(load_net(from_input(layer.format("a", "data") + layer.format("b", "a"), 2, 5)))
    names = [tensor.name for tensor in model.graph.initializer]
    assert names.count("a.weight") == 1
    assert not any(name.startswith("b.") for name in names)


def test_blob_names_that_look_like_ours():
    """A blob called like the name that another layer's node would get."""
    body = RELU.replace('top: "data"', 'top: "relu/Relu"') + (
        'layer { name: "p" type: "ReLU" bottom: "relu/Relu" top: "p.weight" relu_param { negative_slope: 0.5 } }\n'
        'layer { name: "p2" type: "PReLU" bottom: "p.weight" top: "p2.weight" }\n'
        'layer { name: "end" type: "Eltwise" bottom: "p2.weight" bottom: "p.weight" top: "end" }\n'
    )
    net = load_net(from_input(body, 2, 3, 1, 1))
    model = lower_net(net)
    onnx.checker.check_model(model, full_check=True)
    x = torch.randn(2, 3, 1, 1)
    np.testing.assert_allclose(run_onnx(model, {"data": x})["end"], net(x)["end"].detach().numpy(), rtol=1e-6)


def test_chosen_outputs_leave_out_what_they_do_not_need(lenet):
    model = lower_net(lenet, outputs=["ip1", "conv1"])
    assert [output.name for output in model.graph.output] == ["ip1", "conv1"]
    assert not any(node.name.startswith("ip2") for node in model.graph.node)
    with pytest.raises(ExportError, match="output 'ipp' is no blob of the net"):
        lower_net(lenet, outputs=["ipp"])
    with pytest.raises(ExportError, match="'data' is an input"):
        lower_net(lenet, outputs=["data"])


def test_nets_with_nothing_to_compute_are_refused():
    with pytest.raises(ExportError, match="no output that a layer computes"):
        lower_net(load_net(from_input("", 2, 3)))


def test_all_reasons_are_told_at_once(own_layers):
    @register_layer("NeverLowers")
    class NeverLowers(Layer):
        """y = x"""

        def forward(self, x):
            return x.clone()

        def lower(self, g, x):
            raise CannotLower("it never does")

    @register_layer("HasNoLower")
    class HasNoLower(Layer):
        """y = x"""

        def forward(self, x):
            return x.clone()

    body = "".join(
        f'layer {{ name: "{top}" type: "{kind}" bottom: "{bottom}" top: "{top}" }}\n'
        for kind, bottom, top in [("NeverLowers", "data", "a"), ("TanH", "a", "b"), ("HasNoLower", "b", "c")]
    )
    with pytest.raises(ExportError) as caught:
        lower_net(load_net(from_input(body, 2, 3)))
    lines = str(caught.value).splitlines()
    assert lines[1].startswith("  layer 'a' (NeverLowers), <text>:2:1: it never does")
    assert "layer 'c' (HasNoLower), <text>:4:1: layer type HasNoLower has no ONNX form" in lines[2]
    assert len(lines) == 3


def test_random_layers_of_train_are_refused():
    net = load_net(DEPLOY, phase="TRAIN")
    with pytest.raises(ExportError, match=r"layer 'drop1' \(Dropout\), <text>:\d+:1: .*TEST"):
        lower_net(net)


def test_a_lower_that_computes_with_the_batch_gets_a_fixed_one(own_layers):
    @register_layer("Doubles")
    class Doubles(Layer):
        """y = 2 x"""

        def forward(self, x):
            return 2 * x

        def lower(self, g, x):
            return g.op("Mul", x, g.const(np.full((x.shape[0] * 1, 1), 2.0)))

    lowered = lower(load_net(from_input('layer { name: "d" type: "Doubles" bottom: "data" top: "y" }', 2, 3)))
    assert lowered.batch == 2
    assert "symbolic" in lowered.notes[0]


def test_a_net_without_values_is_refused():
    with pytest.raises(ExportError, match="has no values"):
        lower_net(load_net(DEPLOY, device="meta"))
