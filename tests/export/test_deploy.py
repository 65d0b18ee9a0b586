"""The deploy form of training nets."""

from __future__ import annotations

import pytest

from caffe_compat import ExportError, load_net
from caffe_compat.data.convert import convert_mnist
from caffe_compat.data.tiny import tiny
from caffe_compat.export import deploy_net
from caffe_compat.proto import read_net
from tests.export.nets import DEPLOY, LENET_BODY, train_val

GIVEN = {"data": (5, 1, 28, 28)}
IP = 'layer {{ name: "{0}" type: "InnerProduct" bottom: "{1}" top: "{0}" inner_product_param {{ num_output: 3 }} }}\n'
DATA = 'layer { name: "d" type: "Data" top: "data" top: "label" data_param { source: "x" batch_size: 2 } }\n'
HDF5 = 'layer { name: "d" type: "HDF5Data" top: "data" top: "%s" hdf5_data_param { source: "x" batch_size: 2 } }\n'


def layers(deployed):
    return [(layer.name, layer.type) for layer in deployed.net.layer]


def test_lenet():
    deployed = deploy_net(train_val(), input_shapes=GIVEN)
    assert layers(deployed) == [
        ("data", "Input"), ("conv1", "Convolution"), ("pool1", "Pooling"), ("ip1", "InnerProduct"), ("relu1", "ReLU"),
        ("drop1", "Dropout"), ("ip2", "InnerProduct"), ("prob", "Softmax"),
    ]  # fmt: skip
    assert list(deployed.net.layer[0].input_param.shape[0].dim) == [5, 1, 28, 28]
    assert deployed.text.startswith("# Deploy form of <text>, made by caffe_compat.\n")
    assert "scale: 0.00390625" in deployed.text.splitlines()[1]
    assert load_net(deployed.text).outputs == ["prob"]


def test_the_text_is_a_deploy_net_itself():
    deployed = deploy_net(train_val(), input_shapes=GIVEN)
    again = deploy_net(deployed.text)
    assert not again.changed
    assert again.net == deployed.net


def test_the_shape_of_the_data_comes_from_the_source(tmp_path):
    convert_mnist(tiny("mnist"), tmp_path / "mnist")
    (tmp_path / "net.prototxt").write_text(train_val("mnist_test_lmdb"))
    deployed = deploy_net(tmp_path / "net.prototxt")
    assert list(deployed.net.layer[0].input_param.shape[0].dim) == [7, 1, 28, 28]
    assert deployed.data_layers[0].data_param.source == "mnist_test_lmdb"


def test_without_data_the_crop_size_counts_and_the_channels_are_an_assumption():
    deployed = deploy_net(train_val(transform="crop_size: 24"))
    assert list(deployed.net.layer[0].input_param.shape[0].dim) == [7, 3, 24, 24]
    assert "taken to have 3 channels" in deployed.notes[0]
    sure = deploy_net(train_val(transform="crop_size: 24 mean_value: 1 mean_value: 2 mean_value: 3"))
    assert sure.notes == []


def test_a_missing_shape_names_the_option():
    with pytest.raises(ExportError, match=r"layer 'mnist' \(Data\), <text>:\d+:1: .*--input-shape data:N,C,H,W"):
        deploy_net(train_val())


def test_a_shape_for_something_else_is_refused():
    with pytest.raises(ExportError, match="'dta', which is no input; inputs: data, label"):
        deploy_net(train_val(), input_shapes={"dta": (1, 1, 28, 28)})


def test_a_deploy_net_stays_but_for_its_size():
    assert deploy_net(DEPLOY).net == read_net(DEPLOY).message
    other = deploy_net(DEPLOY, input_shapes={"data": (2, 1, 32, 32)})
    assert list(other.net.layer[0].input_param.shape[0].dim) == [2, 1, 32, 32]
    assert not other.changed


def test_auxiliary_losses_and_their_branches_go():
    """As in GoogLeNet: the same label, smaller weights."""
    loss = 'layer {{ name: "{0}" type: "SoftmaxWithLoss" bottom: "{1}" bottom: "label" top: "{0}" {2} }}\n'
    net = (
        DATA + IP.format("trunk", "data") + IP.format("aux_conv", "trunk") + IP.format("aux", "aux_conv")
        + loss.format("aux_loss", "aux", "loss_weight: 0.3") + IP.format("top", "trunk")
        + loss.format("main", "top", "")
    )  # fmt: skip
    deployed = deploy_net(net, input_shapes=GIVEN)
    assert [name for name, _ in layers(deployed)] == ["data", "trunk", "top", "prob"]
    assert "'aux_loss'" in deployed.notes[0]


def test_several_tasks_all_stay():
    loss = 'layer {{ name: "{0}" type: "SoftmaxWithLoss" bottom: "{1}" bottom: "{2}" top: "{0}" loss_weight: {3} }}\n'
    net = (
        DATA + 'layer { name: "s" type: "Slice" bottom: "label" top: "l1" top: "l2" }\n'
        + IP.format("a", "data") + IP.format("b", "data")
        + loss.format("x", "a", "l1", 1) + loss.format("y", "b", "l2", 0.1)
    )  # fmt: skip
    deployed = deploy_net(net, input_shapes=GIVEN)
    assert [name for name, _ in layers(deployed)] == ["data", "a", "b", "prob_a", "prob_b"]


@pytest.mark.parametrize(
    ("loss", "param", "expected"),
    [
        ("SoftmaxWithLoss", "softmax_param { axis: 2 engine: CAFFE }", ("prob", "Softmax")),
        ("SMSoftmaxLoss", "smsoftmax_param { margin: 0.3 }", ("prob", "Softmax")),
        ("SigmoidCrossEntropyLoss", "", ("prob", "Sigmoid")),
        ("HingeLoss", "", ("ip", "InnerProduct")),
        ("EuclideanLoss", "", ("ip", "InnerProduct")),
    ],
)
def test_what_a_loss_becomes(loss, param, expected):
    net = DATA + IP.format("ip", "data")
    net += f'layer {{ name: "l" type: "{loss}" bottom: "ip" bottom: "label" top: "l" {param} loss_weight: 2 }}\n'
    deployed = deploy_net(net, input_shapes=GIVEN)
    assert layers(deployed)[-1] == expected
    if "axis" in param:
        assert deployed.net.layer[-1].softmax_param.axis == 2
        assert not deployed.net.layer[-1].softmax_param.HasField("engine")


def test_the_second_top_of_a_loss_keeps_its_name():
    net = DATA + IP.format("ip", "data")
    net += 'layer { name: "l" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "l" top: "p" }\n'
    net += 'layer { name: "quiet" type: "Silence" bottom: "l" }\n'
    deployed = deploy_net(net, input_shapes=GIVEN)
    assert deployed.net.layer[-1].top == ["p"]


def test_an_autoencoder_keeps_its_one_output():
    """The target is the data itself, and the Sigmoid is there already."""
    net = (
        HDF5 % "unused" + IP.format("decode", "data")
        + 'layer { name: "ce" type: "SigmoidCrossEntropyLoss" bottom: "decode" bottom: "data" top: "ce" }\n'
        + 'layer { name: "sig" type: "Sigmoid" bottom: "decode" top: "sig" }\n'
        + 'layer { name: "l2" type: "EuclideanLoss" bottom: "sig" bottom: "data" top: "l2" loss_weight: 0 }\n'
    )  # fmt: skip
    deployed = deploy_net(net, input_shapes=GIVEN)
    assert [name for name, _ in layers(deployed)] == ["data", "decode", "sig"]


def test_two_inputs_and_a_label():
    """An LRCN-like net: the sentence goes into weights, the target does not."""
    data = (HDF5 % "cont").replace('top: "data" top: "cont"', 'top: "cont" top: "sentence" top: "target"')
    net = data + (
        'layer { name: "e" type: "Embed" bottom: "sentence" top: "e" embed_param { num_output: 4 input_dim: 9 } }\n'
        'layer { name: "lstm" type: "LSTM" bottom: "e" bottom: "cont" top: "lstm" recurrent_param { num_output: 4 } }\n'
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "lstm" bottom: "target" top: "loss" '
        "softmax_param { axis: 2 } }\n"
    )
    deployed = deploy_net(net, input_shapes={"cont": (3, 2), "sentence": (3, 2)})
    assert layers(deployed) == [
        ("cont", "Input"), ("sentence", "Input"), ("e", "Embed"), ("lstm", "LSTM"), ("prob", "Softmax"),
    ]  # fmt: skip


def test_a_loss_of_the_train_phase_counts_where_test_has_none():
    net = train_val().replace('top: "loss" }', 'top: "loss" include { phase: TRAIN } }')
    assert layers(deploy_net(net, input_shapes=GIVEN))[-1] == ("prob", "Softmax")


def test_scores_behind_a_margin_that_needs_the_label():
    """The loss reads what depends on the label; what Accuracy reads remains."""
    net = DATA + IP.format("ip", "data") + (
        'layer { name: "m" type: "LabelSpecificAdd" bottom: "ip" bottom: "label" top: "m" }\n'
        'layer { name: "l" type: "SoftmaxWithLoss" bottom: "m" bottom: "label" top: "l" }\n'
        'layer { name: "acc" type: "Accuracy" bottom: "ip" bottom: "label" top: "acc" }\n'
    )  # fmt: skip
    assert layers(deploy_net(net, input_shapes=GIVEN)) == [("data", "Input"), ("ip", "InnerProduct")]


def test_stages_choose_the_layers():
    head = 'layer { name: "extra" type: "TanH" bottom: "ip2" top: "extra" include { stage: "deploy" } }\n'
    text = train_val() + head
    assert ("extra", "TanH") in layers(deploy_net(text, stages=["deploy"], input_shapes=GIVEN))
    assert ("extra", "TanH") not in layers(deploy_net(text, input_shapes=GIVEN))


def test_nothing_without_labels_is_an_error():
    net = DATA + 'layer { name: "s" type: "Silence" bottom: "data" bottom: "label" }\n'
    with pytest.raises(ExportError, match=r"nothing is left to deploy: the TEST net has .*: "):
        deploy_net(net, input_shapes=GIVEN)


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        ('layer { name: "d" type: "DummyData" top: "d" dummy_data_param { shape { dim: 2 } } }', "'d' (DummyData): b"),
        ('layer { name: "p" type: "Python" top: "p" python_param { module: "m" layer: "L" } }', "'p' (Python): brings"),
    ],
)
def test_nothing_but_data_is_an_error_that_names_the_layers(net, expected):
    with pytest.raises(ExportError) as told:
        deploy_net(net)
    assert expected in str(told.value)
    assert "labels" not in str(told.value)
    assert "give a net with a layer that computes something" in str(told.value)


def test_places_stay_those_of_the_file():
    deployed = deploy_net(train_val(), input_shapes=GIVEN)
    original = read_net(train_val())
    names = [layer.name for layer in original.message.layer]
    place = original.where("layer", names.index("ip2"))
    assert deployed.document.where("layer", [n for n, _ in layers(deployed)].index("ip2")) == place
    assert LENET_BODY in train_val()
