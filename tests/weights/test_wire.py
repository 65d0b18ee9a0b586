"""The wire format: what protobuf writes, and damage."""

from __future__ import annotations

import numpy as np
import pytest

from caffe_compat.proto import pb
from caffe_compat.weights import wire
from caffe_compat.weights.blob import decode_blob, encode_blob


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 2**31, 2**63 - 1])
def test_varint_is_protobufs(number: int) -> None:
    encoded = pb.BlobShape(dim=[number]).SerializeToString()
    assert encoded == wire.bytes_header(1, len(wire.varint(number))) + wire.varint(number)
    assert list(wire.varints(memoryview(wire.varint(number) * 3))) == [number] * 3


def test_fields_are_views_of_the_bytes() -> None:
    message = pb.SolverState(iter=300, learned_net="net", current_step=2)
    data = memoryview(message.SerializeToString())
    found = list(wire.fields(data))
    assert [(field.number, field.value, bytes(field.content)) for field in found] == [
        (1, 300, b""),
        (2, 0, b"net"),
        (4, 2, b""),
    ]
    assert b"".join(field.whole for field in found) == bytes(data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x0a\x05ab", "at byte 2 there should be 5 bytes of field 1, but only 2 follow"),
        (b"\x0a", "at byte 1 of 1 a number is cut off"),
        (b"\x08\xff", "at byte 1 of 2 a number is cut off"),
        (b"\x08" + b"\xff" * 10 + b"\x01", "number of more than ten bytes"),
        (b"\x0b", "there is no field of a message"),
        (b"\x00", "there is no field of a message"),
        (b"\x0d\x00", "there should be 4 bytes of field 1, but only 1 follow"),
    ],
)
def test_damage(data: bytes, expected: str) -> None:
    with pytest.raises(wire.DamagedError, match=expected):
        list(wire.fields(memoryview(data)))


@pytest.mark.parametrize("shape", [(), (1,), (3, 4), (2, 3, 4, 5), (0,), (1, 1, 1, 1, 2)])
def test_blob_round_trip_and_protobuf_agree(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    head, content = encode_blob(values)
    encoded = head + bytes(content)
    message = pb.BlobProto.FromString(encoded)
    assert tuple(message.shape.dim) == shape
    assert np.array_equal(np.array(message.data, np.float32).reshape(shape), values)
    blob = decode_blob(memoryview(encoded))
    assert (blob.shape, blob.legacy) == (shape, False)
    assert np.array_equal(blob.values.reshape(shape), values)


def test_transposed_values_are_stored_in_their_order() -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3).T
    head, content = encode_blob(values)
    assert list(pb.BlobProto.FromString(head + bytes(content)).data) == [0, 3, 1, 4, 2, 5]


def test_values_in_several_pieces() -> None:
    """A writer may split a packed field, or not pack it."""
    whole = pb.BlobProto(data=[1, 2]).SerializeToString()
    single = b"\x2d" + np.float32(3).tobytes()
    blob = decode_blob(memoryview(whole + single + whole))
    assert blob.values.tolist() == [1, 2, 3, 1, 2]


@pytest.mark.parametrize(("number", "dtype"), [(0, "<f8"), (1, "<f4"), (2, "<f2")])
def test_raw_data_of_nvcaffe(number: int, dtype: str) -> None:
    raw = np.array([0.5, -2, 4], dtype).tobytes()
    encoded = pb.BlobProto(shape={"dim": [3]}).SerializeToString()
    encoded += b"\x50" + wire.varint(number) + wire.bytes_header(12, len(raw)) + raw
    assert decode_blob(memoryview(encoded)).values.tolist() == [0.5, -2, 4]


def test_raw_data_of_an_unknown_type() -> None:
    with pytest.raises(wire.DamagedError, match=r"raw_data has type 3; known: 0 \(double\)"):
        decode_blob(memoryview(b"\x50\x03"))
