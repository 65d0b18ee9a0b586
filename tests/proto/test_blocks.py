"""Blocks of users' own layers are fields like Caffe's own, in text and in binary files."""

from __future__ import annotations

from typing import Any

import pytest

from caffe_compat.errors import PrototxtError
from caffe_compat.proto import block_fields, extend_layer, parse_text, pb, print_text
from caffe_compat.proto.blocks import block_number

FIELDS: dict[str, Any] = {
    "margin": 0.3,
    "axis": 1,
    "flag": True,
    "mode": 'a "b"',
    "weights": [float],
    "names": ["a", "b"],
    "scale": float,
    "filler": pb.FillerParameter,
    "shapes": [pb.BlobShape],
}
TEXT = """name: "l"
test_param {
  margin: 0.4
  weights: 1
  weights: 2.5
  names: "x"
  filler {
    std: 2
  }
  shapes {
    dim: 3
  }
}
"""


@pytest.fixture(scope="module", autouse=True)
def _declared() -> None:
    pb.LayerParameter(name="made before the block was declared")
    extend_layer("test_param", FIELDS)


def test_text_and_binary_round_trip() -> None:
    layer = parse_text(TEXT, "LayerParameter").message
    assert print_text(layer) == TEXT
    again = pb.LayerParameter.FromString(layer.SerializeToString())
    assert again == layer
    assert print_text(again) == TEXT


def test_defaults() -> None:
    block = block_fields(parse_text("test_param {}", "LayerParameter").message, "test_param")
    assert (block.margin, block.axis, block.flag, block.mode, block.scale) == (0.3, 1, True, 'a "b"', 0)
    assert list(block.weights) == []


def test_set_or_not() -> None:
    layer = pb.LayerParameter()
    assert block_fields(layer, "test_param") is None
    assert block_fields(layer, "relu_param") is None
    layer.relu_param.negative_slope = 2
    assert block_fields(layer, "relu_param").negative_slope == 2


def test_positions_and_unknown_fields() -> None:
    document = parse_text(TEXT.replace("names", "namse"), "LayerParameter", source="f")
    assert document.where("test_param", "weights", 1) == "f:5:3"
    assert document.notes[0].startswith(
        "f:6:3: unknown field 'namse' in test_param (did you mean 'names'? known: margin"
    )


def test_a_value_twice_is_an_error() -> None:
    with pytest.raises(PrototxtError, match="'margin' of test_param takes one value"):
        parse_text("test_param { margin: 1 margin: 2 }", "LayerParameter")


def test_the_same_again_is_fine() -> None:
    extend_layer("test_param", dict(FIELDS))


def test_other_fields_are_an_error() -> None:
    with pytest.raises(PrototxtError, match="'test_param' is declared twice with different fields"):
        extend_layer("test_param", {"margin": 0.5})


@pytest.mark.parametrize("name", ["relu_param", "name", "smsoftmax_param"])
def test_names_of_caffe_are_taken(name: str) -> None:
    with pytest.raises(PrototxtError, match=f"'{name}' is a field of Caffe's LayerParameter already"):
        extend_layer(name, {})


@pytest.mark.parametrize("name", ["", "my param", "3d_param", "ä_param"])
def test_bad_block_names(name: str) -> None:
    with pytest.raises(PrototxtError, match="no name for a block"):
        extend_layer(name, {})


@pytest.mark.parametrize("value", [None, list, [], [[1.0]], object, 1j, (1, 2)])
def test_bad_fields(value: Any) -> None:
    with pytest.raises(PrototxtError, match="field 'x' of block 'bad_param' is declared by"):
        extend_layer("bad_param", {"x": value})


def test_an_unknown_block() -> None:
    with pytest.raises(PrototxtError, match=r"no block 'relu_parm' of a layer \(did you mean 'relu_param'"):
        block_fields(pb.LayerParameter(), "relu_parm")


def test_the_number_depends_on_the_name_alone() -> None:
    assert block_number("test_param") == 341338545
    assert block_number("a_param") != block_number("b_param")
