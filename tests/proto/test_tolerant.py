"""A tolerant reading: what is well-formed but cannot be meant is kept as faults, with which nothing can be built."""

from __future__ import annotations

import pytest

from caffe_compat.errors import PrototxtError
from caffe_compat.net import Net
from caffe_compat.proto import read_net, read_solver

INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 5 } } }\n'
FC = 'layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 3 } }'


@pytest.mark.parametrize(
    ("text", "fault", "kept"),
    [
        (FC.replace("3", "cls3x"), "2:100: 'num_output' takes an integer (uint32), not 'cls3x'", {"num_output": 0}),
        (FC.replace("3", '"a" "b"'), "2:100: 'num_output' takes an integer (uint32), not \"a\"", {"num_output": 0}),
        (FC.replace("3", "3 num_output: 4"), "2:102: 'num_output' of InnerProductParameter takes one value",
         {"num_output": 4}),
        (FC.replace("3", "3 bias_term: -7"), "2:113: 'bias_term' takes true or false, not '-'", {"bias_term": True}),
    ],
)  # fmt: skip
def test_values(text: str, fault: str, kept: dict[str, object]) -> None:
    with pytest.raises(PrototxtError, match="<text>:2:"):
        read_net(INPUT + text)
    document = read_net(INPUT + text, tolerant=True)
    assert [found[: len(f"<text>:{fault}")] for found in document.faults] == [f"<text>:{fault}"]
    for name, value in kept.items():
        assert getattr(document.message.layer[1].inner_product_param, name) == value
    with pytest.raises(PrototxtError, match="<text>:2:"):
        Net(document)


def test_all_faults_are_told_together() -> None:
    more = 'layer { phase: BOTH name: "x" name: "y" }'
    document = read_net(INPUT + FC.replace("3", "N axis: M") + more, tolerant=True)
    assert len(document.faults) == 4
    with pytest.raises(PrototxtError) as told:
        document.refuse_faults()
    assert str(told.value).splitlines() == document.faults


def test_two_formats_in_one_file() -> None:
    """Both kinds of layers are there to be looked at, each with its place."""
    text = INPUT + 'layers { name: "relu" type: RELU bottom: "data" top: "relu" }'
    document = read_net(text, tolerant=True)
    assert [layer.type for layer in document.message.layer] == ["Input", "ReLU"]
    assert [document.where("layer", i) for i in range(2)] == ["<text>:1:1", "<text>:2:1"]
    assert "both 'layer' (here) and 'layers'" in document.faults[0]


def test_too_few_sizes() -> None:
    document = read_net('input: "data" input_dim: BATCH input_dim: 3 input_dim: 8 input_dim: 8', tolerant=True)
    told = [fault.partition(": ")[2][:20] for fault in document.faults]
    assert told == ["'input_dim' takes an", "the net has 1 inputs"]


def test_something_else() -> None:
    assert "it is something else" in read_net('item { name: "cat" label: 1 }', tolerant=True).faults[0]


def test_solver_with_a_net_inside() -> None:
    text = f"net_param {{ {INPUT} {FC.replace('3', 'N')} }} base_lr: fast"
    document = read_solver(text, tolerant=True)
    assert len(document.faults) == 2
    with pytest.raises(PrototxtError, match="'base_lr' takes a number"):
        Net(document.sub("net_param"))


@pytest.mark.parametrize("text", ['layer { name: "x"', "layer { name: $x }", "layer { name: }", "layer name"])
def test_text_that_is_not_well_formed(text: str) -> None:
    with pytest.raises(PrototxtError):
        read_net(INPUT + text, tolerant=True)
