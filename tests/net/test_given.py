"""Blobs whose values stand in the net's file."""

from __future__ import annotations

import pytest
import torch

from caffe_compat.errors import NetError
from tests.net.making import build, layer, source

X = source(sizes=(2, 3))
WEIGHT = "blobs { shape { dim: 1 dim: 3 } data: [1, 2, 4] }"
FC = "inner_product_param { num_output: 1 bias_filler { value: 9 } } "


def values(more: str, kind: str = "InnerProduct") -> list[object]:
    return [blob.tolist() for blob in build(X, layer("l", kind, "data", "y", more)).layer("l").blobs]


def test_they_take_the_place_of_the_fillers() -> None:
    assert values(FC + WEIGHT + "blobs { shape { dim: 1 } double_data: 7 }") == [[[1, 2, 4]], [7]]
    scale = "scale_param { filler { value: 3 } } blobs { shape { dim: 3 } data: [1, 2, 4] }"
    assert values(scale, "Scale") == [[1, 2, 4]]


def test_the_old_four_numbers() -> None:
    old = "blobs { num: 1 channels: 1 height: 1 width: 3 data: [1, 2, 4] }"
    assert values(f"{FC} {old} blobs {{ num: 1 channels: 1 height: 1 width: 1 data: 7 }}") == [[[1, 2, 4]], [7]]


def test_a_sharer_takes_its_owners_values() -> None:
    specs = 'param { name: "w" } blobs { shape { dim: 3 } data: [%s] }'
    owner, sharer = specs % "1, 2, 4", specs % "0, 0, 0"
    net = build(X, layer("a", "Scale", "data", "a", owner), layer("b", "Scale", "a", "b", sharer))
    assert net(torch.ones(2, 3))["b"].tolist() == [[1, 4, 16]] * 2


def test_a_recurrent_layer_does_not_look_at_them() -> None:
    sizes = "recurrent_param { num_output: 1 weight_filler { value: 5 } } blobs { shape { dim: 1 } data: 7 }"
    net = build(source(sizes=(2, 1, 1)), source("cont", (2, 1)), layer("l", "RNN", "data cont", "y", sizes))
    assert net.layer("l").blobs[0].tolist() == [[5]]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (WEIGHT, r"layer 'l' .*gives it 1 blobs \{ \}, the layer has 2; give all, or none"),
        (WEIGHT.replace("dim: 3", "dim: 4") + "blobs { }", r"in the file the shape \[1, 4\] and 3 value\(s\), in the"),
        (WEIGHT.replace(", 4", "") + "blobs { }", r"blob 0 has in the file the shape \[1, 3\] and 2 value\(s\)"),
    ],
)
def test_refusals(more: str, message: str) -> None:
    with pytest.raises(NetError, match=message):
        values(FC + more)
