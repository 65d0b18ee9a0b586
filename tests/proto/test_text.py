"""Text format: everything that Caffe accepts."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from caffe_compat.proto import parse_text, pb

INF = float("inf")


def field(text: str, message: str, name: str) -> Any:
    """The value of one field, lists as lists."""
    value = getattr(parse_text(text, message).message, name)
    return list(value) if hasattr(value, "append") else value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("32", 32),
        ("0x1F", 31),
        ("0X1f", 31),
        ("017", 15),
        ("0", 0),
        ("00", 0),
        ("-5", -5),
        ("- 5", -5),
        ("-0x10", -16),
        ("2147483647", 2**31 - 1),
        ("-2147483648", -(2**31)),
    ],
)
def test_integers(text: str, value: int) -> None:
    assert field(f"display: {text}", "SolverParameter", "display") == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("1.5", 1.5),
        ("1.5f", 1.5),
        ("2F", 2.0),
        ("1e2", 100.0),
        ("5E-1", 0.5),
        ("25e-2f", 0.25),
        ("1.e+1", 10.0),
        ("-3", -3.0),
        ("- 3.5", -3.5),
        ("0", 0.0),
        ("inf", INF),
        ("-inf", -INF),
        ("INF", INF),
        ("infinity", INF),
        ("-Infinity", -INF),
        ("1e60", INF),
    ],
)
def test_floats(text: str, value: float) -> None:
    assert field(f"value: {text}", "FillerParameter", "value") == value


def test_nan() -> None:
    assert math.isnan(field("value: nan", "FillerParameter", "value"))
    assert math.isnan(field("value: -NaN", "FillerParameter", "value"))


@pytest.mark.parametrize("text", ["true", "True", "t", "1", "0x1", "01"])
def test_true(text: str) -> None:
    assert field(f"debug_info: {text}", "NetParameter", "debug_info") is True


@pytest.mark.parametrize("text", ["false", "False", "f", "0", "00"])
def test_false(text: str) -> None:
    assert field(f"test_initialization: {text}", "SolverParameter", "test_initialization") is False


@pytest.mark.parametrize(("text", "value"), [("MAX", 0), ("AVE", 1), ("1", 1), ("0x2", 2)])
def test_enums(text: str, value: int) -> None:
    assert field(f"pool: {text}", "PoolingParameter", "pool") == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"a"', "a"),
        ("'a'", "a"),
        ('""', ""),
        ('"a" "b"', "ab"),
        ('"a"\n # between\n \'b\' "c"', "abc"),
        ('"it\'s"', "it's"),
        ("'say \"hi\"'", 'say "hi"'),
        (r'"\"\'\\\?"', "\"'\\?"),
        (r'"\a\b\f\n\r\t\v"', "\a\b\f\n\r\t\v"),
        (r'"\101\60\7x"', "A0\ax"),
        (r'"\x41\x4a\X4b"', "AJK"),
        (r'"\303\244\xc3\xa4"', "ää"),
        (r'"\u00e4\U0001F600"', "ä😀"),
        (r'"\ud83d\ude00"', "😀"),
        ('"ä 网络"', "ä 网络"),
        ('"# no comment { } ; :"', "# no comment { } ; :"),
    ],
)
def test_strings(text: str, value: str) -> None:
    assert field(f"name: {text}", "NetParameter", "name") == value


def test_bytes() -> None:
    assert field(r'data: "\000\377\x01ä"', "Datum", "data") == b"\x00\xff\x01" + "ä".encode()


@pytest.mark.parametrize(
    "text",
    [
        "dim: 1 dim: 2 dim: 3",
        "dim: [1, 2, 3]",
        "dim: [1,2,3] dim: []",
        "dim: [1] dim: 2; dim: 3,",
        "dim: 1, dim: 2, dim: 3",
        "dim: 1; dim: 2; dim: 3;",
        "dim:1 dim:2 dim:3",
        "dim : 1 dim\n:\n2 # comment\n dim: # comment\n 3",
        "dim: [ # comment\n 1,\n 2, 3 ]",
    ],
)
def test_repeated_scalars(text: str) -> None:
    assert field(text, "BlobShape", "dim") == [1, 2, 3]


@pytest.mark.parametrize(
    "text",
    [
        'layer { name: "a" } layer { name: "b" }',
        'layer: { name: "a" } layer: { name: "b" }',
        'layer < name: "a" > layer: < name: "b" >',
        'layer { name: "a" }, layer { name: "b" };',
        'layer: [ { name: "a" }, < name: "b" > ]',
        'layer [ { name: "a" }, { name: "b"; } ] layer: []',
        'layer{name:"a"}layer{name:"b"}',
        '# comment {\nlayer { # }\r\n  name: "a"\r\n}\r\nlayer{\tname\t:\f"b"\v}',
        '\ufefflayer { name: "a" } layer { name: "b" } # the end',
    ],
)
def test_messages(text: str) -> None:
    net = pb.NetParameter()
    net.layer.add(name="a")
    net.layer.add(name="b")
    assert parse_text(text, "NetParameter").message == net


def test_an_empty_message_is_set() -> None:
    layer = parse_text("relu_param { }", "LayerParameter").message
    assert layer.HasField("relu_param")
    assert not layer.relu_param.HasField("negative_slope")


def test_a_default_that_is_written_is_set() -> None:
    assert parse_text("negative_slope: 0", "ReLUParameter").message.HasField("negative_slope")


def test_an_empty_text_is_an_empty_message() -> None:
    assert parse_text(" # nothing\n", "NetParameter").message == pb.NetParameter()


def test_required_fields_given() -> None:
    assert field("min: -1 max: 1", "ClipParameter", "min") == -1


def test_a_string_in_another_encoding_is_kept_with_a_note() -> None:
    document = parse_text('name: "\udce4"', "NetParameter", "a.prototxt")
    assert document.message.name == "ä"
    assert document.notes == ["a.prototxt:1:7: the string of 'name' is not UTF-8: read as Latin-1"]


def test_five_thousand_lines_are_read_quickly() -> None:
    layer = (
        'layer {\n  name: "conv"\n  type: "Convolution"\n  bottom: "a"\n  top: "b"\n  convolution_param {\n'
        "    num_output: 64\n    kernel_size: 3\n    pad: 1\n  }\n}\n"
    )
    text = layer * 500
    seconds = []
    for _ in range(5):  # the fastest, in time of the processor: others use the machine, too
        start = time.process_time()
        net = parse_text(text, "NetParameter").message
        seconds.append(time.process_time() - start)
    assert len(net.layer) == 500
    assert min(seconds) < 0.3, seconds
