"""What print_text prints is read back, by us and by protobuf, to the same message."""

from __future__ import annotations

import math
import random
import struct
from typing import Any

import pytest

from caffe_compat.proto import parse_text, pb, print_text
from caffe_compat.proto.fields import Field, fields_of
from caffe_compat.proto.printer import format_float, quote

STRINGS = ["", "conv1", 'say "hi"', "it's", "back\\slash", "a\nb\r\tc", "\0\x01\x7f", "ä 网络 😀", "\\101 # {}"]
FLOATS = [0.0, -0.0, 1.0, 0.1, 1e-5, 3e38, 1.17549435e-38, 1e-45, -2.5, 16777216.0, math.inf, -math.inf, math.nan]
RANGES = {"int32": (-(2**31), 2**31), "uint32": (0, 2**32), "int64": (-(2**63), 2**63), "uint64": (0, 2**64)}


def random_scalar(kind: str, field: Field, rng: random.Random) -> Any:
    if kind in RANGES:
        low, high = RANGES[kind]
        return rng.choice([low, high - 1, 0, rng.randrange(low, high)])
    if kind in ("float", "double"):
        bits = struct.unpack("f", struct.pack("I", rng.getrandbits(32)))[0]
        return rng.choice([rng.choice(FLOATS), math.nan if math.isnan(bits) else bits, rng.gauss(0, 1)])
    if kind == "enum":
        return rng.choice(list(field.enum.values()))
    if kind == "bool":
        return rng.random() < 0.5
    text = rng.choice(STRINGS)
    return text if kind == "string" else text.encode() + bytes(rng.randrange(256) for _ in range(3))


def fill(message: Any, rng: random.Random, depth: int = 0) -> None:
    """Set a random choice of a message's fields to random values; all required ones."""
    for field in fields_of(message.DESCRIPTOR).by_name.values():
        if field.descriptor.is_extension:
            continue  # a user's block of another test: protobuf prints it under its full name
        if not field.required and rng.random() < (0.6 if depth < 2 else 0.8):
            continue
        for _ in range(rng.randrange(1, 4) if field.repeated else 1):
            container = field.container(message)
            if field.kind == "message" and depth < 4:
                inner = container.add() if field.repeated else container
                inner.SetInParent()
                fill(inner, rng, depth + 1)
            elif field.kind != "message" and field.repeated:
                container.append(random_scalar(field.kind, field, rng))
            elif field.kind != "message":
                field.set(message, random_scalar(field.kind, field, rng))


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("name", ["NetParameter", "SolverParameter", "V1LayerParameter", "Datum", "BlobProto"])
def test_random_messages_come_back(name: str, seed: int) -> None:
    from google.protobuf import text_format

    message = getattr(pb, name)()
    fill(message, random.Random(f"{name}{seed}"))
    text = print_text(message)
    again = parse_text(text, name).message
    theirs = text_format.Parse(text, getattr(pb, name)())
    ours_of_theirs = parse_text(text_format.MessageToString(message), name).message
    # NaN differs from itself: compare what is written.
    assert again.SerializeToString(deterministic=True) == message.SerializeToString(deterministic=True)
    assert theirs.SerializeToString(deterministic=True) == message.SerializeToString(deterministic=True)
    assert print_text(ours_of_theirs) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.01, "0.01"), (1.0, "1"), (5e-5, "5e-05"), (0.00390625, "0.00390625"), (1e10, "1e+10"), (16777217.0, "16777216"),
     (1 / 3, "0.33333334"), (math.inf, "inf"), (-math.inf, "-inf"), (math.nan, "nan")],
)  # fmt: skip
def test_floats_are_short(value: float, text: str) -> None:
    blob = pb.FillerParameter(value=value)
    assert format_float(blob.value) == text


@pytest.mark.parametrize("seed", range(5))
def test_floats_are_exact(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(2000):
        value = struct.unpack("f", struct.pack("I", rng.getrandbits(32)))[0]
        if not math.isnan(value):
            text = format_float(value)
            assert struct.pack("f", float(text)) == struct.pack("f", value), text


def test_strings_are_escaped_as_protobuf_does() -> None:
    assert quote("a\"b'\\\n\r\tä\x01") == r'"a\"b\'\\\n\r\t\303\244\001"'


def test_layout() -> None:
    layer = pb.LayerParameter(name="c", type="Pooling", bottom=["a", "b"])
    layer.pooling_param.pool = 1
    layer.relu_param.SetInParent()
    assert print_text(layer) == (
        'name: "c"\ntype: "Pooling"\nbottom: "a"\nbottom: "b"\npooling_param {\n  pool: AVE\n}\nrelu_param {\n}\n'
    )
