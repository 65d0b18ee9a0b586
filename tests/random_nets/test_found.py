"""What drawn nets have found: each net is checked whole, or its refusal is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from caffe_compat.api import load_net
from caffe_compat.errors import CaffeCompatError, NetError, WeightsError
from caffe_compat.export import deploy_net, export_onnx, open_session
from caffe_compat.weights import save_caffemodel
from tests.random_nets.case import Case
from tests.random_nets.checks import check


def inputs(*shapes: tuple[int, ...]) -> str:
    """Input layers b0, b1, ... of these shapes."""
    dims = [" ".join(f"dim: {size}" for size in shape) for shape in shapes]
    return "\n".join(
        f'layer {{ name: "b{i}" type: "Input" top: "b{i}" input_param {{ shape {{ {text} }} }} }}'
        for i, text in enumerate(dims)
    )


NETS = {
    "in place on positions, which have no gradient": "# phase: TRAIN\n"
    + inputs((2, 3))
    + '\nlayer { name: "a" type: "ArgMax" bottom: "b0" top: "t" }\n'
    'layer { name: "b" type: "Bias" bottom: "t" top: "t" }',
    "folding into a convolution without a bias": inputs((2, 3, 5, 4))
    + 'layer { name: "c" type: "Convolution" bottom: "b0" top: "c" convolution_param { num_output: 2 kernel_size: 2 '
    "bias_term: false } }\n"
    'layer { name: "p" type: "Power" bottom: "c" top: "p" power_param { shift: 1 } }',
    "Clip with its bounds exchanged keeps NaN": inputs((1, 4))
    + 'layer { name: "log" type: "Log" bottom: "b0" top: "t" }\n'  # NaN below 0
    'layer { name: "clip" type: "Clip" bottom: "t" top: "u" clip_param { min: 1 max: -1 } }',
    "a dummy blob follows the net to float64": 'layer { name: "d" type: "DummyData" top: "d" dummy_data_param { '
    "shape { dim: 3 dim: 4 } data_filler { value: 0.5 } } }\n"
    'layer { name: "p" type: "PReLU" bottom: "d" top: "t" }',
    "a layer that reads the probabilities of a loss": "# b1: labels 4\n"
    + inputs((6, 4), (6,), (4, 4))
    + '\nlayer { name: "l0" type: "InfogainLoss" bottom: "b0" bottom: "b1" bottom: "b2" top: "t0" top: "p" '
    "loss_weight: 1 loss_weight: 0 }\n"
    'layer { name: "l1" type: "Power" bottom: "p" top: "t1" power_param { scale: 2 } }\n'
    'layer { name: "l2" type: "SMSoftmaxLoss" bottom: "t1" bottom: "b1" top: "t2" }',
}


@pytest.mark.parametrize("name", NETS)
def test_net(name: str) -> None:
    check(Case.read(NETS[name]))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (  # the ONNX form had the top's shape for its input
            inputs((5, 4)) + 'layer { name: "l" type: "ArgMax" bottom: "b0" top: "b0" }',
            r"layer 'l' \(ArgMax\), <text>:1:\d+: top and bottom are both 'b0', but the top's shape \[5, 1, 1\]",
        ),
    ],
)
def test_refusal(text: str, words: str) -> None:
    with pytest.raises(CaffeCompatError, match=words):
        load_net(text)


@pytest.mark.parametrize(
    ("layer", "built", "fed"),
    [
        ("HingeLoss", [(4, 3), (4,)], [(2, 3), (4,)]),
        ("MultinomialLogisticLoss", [(4, 3), (4,)], [(4, 3), (2,)]),
        ("EuclideanLoss", [(4, 3), (4, 3)], [(4, 3), (3, 4)]),
        ("ContrastiveLoss", [(4, 3), (4, 3), (4,)], [(4, 3), (4, 3), (1,)]),
    ],
)
def test_a_loss_refuses_other_sizes_in_a_pass_too(
    layer: str, built: list[tuple[int, ...]], fed: list[tuple[int, ...]]
) -> None:
    """They computed something with the rows that were there."""
    wires = " ".join(f'bottom: "b{i}"' for i in range(len(built)))
    net = load_net(inputs(*built) + f'layer {{ name: "l" type: "{layer}" {wires} top: "t" }}')
    with pytest.raises(NetError, match=rf"layer 'l' \({layer}\)"):
        net(*map(torch.zeros, fed))


def test_hdf5_refuses_two_layers_of_one_name(tmp_path: Path) -> None:
    """The second one's blobs were left out."""
    layers = [f'layer {{ name: "same" type: "Scale" bottom: "b0" top: "t{i}" }}' for i in range(2)]
    net = load_net("\n".join([inputs((2, 3)), *layers]))
    with pytest.raises(WeightsError, match="<text>:2:1 and <text>:3:1 both have the name 'same'"):
        save_caffemodel(net, tmp_path / "weights.h5")


def test_export_copies_the_blobs_of_layers_of_one_name(tmp_path: Path) -> None:
    """The first one's were taken for both."""
    net = load_net(
        """
    layer { name: "d" type: "DummyData" top: "x" dummy_data_param { shape { dim: 2 dim: 3 } } }
    layer { name: "same" type: "Scale" bottom: "x" top: "y" scale_param { filler { value: 2 } } }
    layer { name: "same" type: "Scale" bottom: "y" top: "z" scale_param { filler { value: 5 } } }"""
    )
    export_onnx(net, tmp_path / "net.onnx")
    session = open_session(tmp_path / "net.onnx", "cpu", 1)
    assert session.run(None, {"x": torch.ones(2, 3).numpy()})[0].tolist() == [[10] * 3] * 2


def test_the_deploy_form_keeps_an_output_that_ends_in_place() -> None:
    """The in-place layer was left out, and the blob was none of the outputs."""
    net = """
    layer { name: "d" type: "DummyData" top: "x" top: "y"
      dummy_data_param { shape { dim: 2 dim: 3 } shape { dim: 2 } } }
    layer { name: "cut" type: "Slice" bottom: "x" top: "x1" top: "x2" slice_param { slice_point: 1 } }
    layer { name: "elu" type: "ELU" bottom: "x1" top: "x1" }
    layer { name: "ip" type: "InnerProduct" bottom: "x2" top: "ip" inner_product_param { num_output: 4 } }
    layer { name: "feature" type: "InnerProduct" bottom: "x2" top: "feature" inner_product_param { num_output: 3 } }
    layer { name: "relu" type: "ReLU" bottom: "feature" top: "feature" }
    layer { name: "target" type: "Split" bottom: "x" top: "target" }
    layer { name: "l2" type: "EuclideanLoss" bottom: "feature" bottom: "target" top: "l2" }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "y" top: "loss" }"""
    deployed = load_net(deploy_net(net).text)
    assert [node.name for node in deployed.nodes] == ["x", "cut", "elu", "ip", "feature", "relu", "target", "prob_ip"]
    assert deployed.outputs == ["feature", "prob_ip", "target", "x1"]


def test_the_deploy_form_takes_the_shape_of_dummy_data() -> None:
    net = """
    layer { name: "d" type: "DummyData" top: "x" top: "y"
      dummy_data_param { shape { dim: 2 dim: 3 } shape { dim: 2 } } }
    layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param { num_output: 4 } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "y" top: "loss" }"""
    assert load_net(deploy_net(net).text).shapes == {"x": (2, 3), "ip": (2, 4), "prob": (2, 4)}
