"""In-place layers: the same outputs, gradients and statistics as with blobs of their own names."""

from __future__ import annotations

import pytest
import torch

from tests.net.making import FILL, assert_same, build, fc, layer, passed, random, source

MAKERS = {
    "Input": "",
    "Convolution": f"convolution_param {{ num_output: 4 kernel_size: 1 {FILL} }}",
    "BatchNorm": "",
    "Scale": "scale_param { bias_term: true filler { value: 0.7 } }",
    "Bias": "",
    "Pooling": "pooling_param { kernel_size: 2 }",
    "LRN": "",
    "MVN": "",
    "Sigmoid": "",
    "TanH": "",
    "Softmax": "",
    "Exp": "",
    "Power": "power_param { power: 2 shift: 1 }",
    "AbsVal": "",
    "ELU": "",
    "ReLU": "relu_param { negative_slope: 0.1 }",
    "PReLU": "",
    "Dropout": "",
    "BNLL": "",
    "Flatten": "",
    "Reshape": "reshape_param { shape { dim: 0 dim: 2 dim: -1 dim: 3 } }",
    "Split": "",
    "Slice": "",
    "Crop": "",
    "Concat": "",
    "Eltwise": "",
    "Reduction": "reduction_param { axis: 2 }",
    "Tile": "tile_param { tiles: 2 }",
    "Silence": "",
}
IN_PLACE = {
    "ReLU": "relu_param { negative_slope: 0.1 }",
    "Dropout": "",
    "Sigmoid": "",
    "Power": "power_param { scale: 3 shift: 1 }",
    "Exp": "",
    "ELU": "",
    "PReLU": "",
    "BatchNorm": "",
    "Scale": "scale_param { filler { value: 0.7 } }",
}


def chain(maker: str, changer: str, in_place: bool) -> list[str]:
    """data -> maker -> changer -> changer"""
    tops = ["m", "m", "m"] if in_place else ["m", "c", "d"]
    layers = [source()]
    if maker == "Input" or maker == "Silence":
        layers = [source("m")]
    elif maker in ("Split", "Slice"):
        layers += [layer("m", maker, "data", "m n")]
    elif maker == "Crop":
        layers += [layer("m", maker, "data data", "m")]
    else:
        layers += [layer("m", maker, "data data" if maker in ("Concat", "Eltwise") else "data", "m", MAKERS[maker])]
    layers += [layer("c", changer, tops[0], tops[1], IN_PLACE[changer])]
    return [*layers, layer("d", changer, tops[1], tops[2], IN_PLACE[changer]), layer("out", "Power", tops[2], "out")]


@pytest.mark.parametrize("changer", IN_PLACE)
@pytest.mark.parametrize("maker", MAKERS)
def test_the_same_as_out_of_place(maker: str, changer: str) -> None:
    data = random() * 0.2
    kept = data.clone()
    found = passed(build(*chain(maker, changer, True), phase="TRAIN"), data)
    expected = passed(build(*chain(maker, changer, False), phase="TRAIN"), data)
    assert torch.equal(data, kept), "the caller's tensor was written over"
    assert_same(found, expected, 1e-6)


def test_memory_is_saved_where_it_is_safe() -> None:
    net = build(source(sizes=(2, 6)), fc("a", "data", 3), layer("r", "ReLU", "a", "a"))
    assert net.layer("r").inplace


@pytest.mark.parametrize("grad", [False, True])
def test_an_inference_leaves_the_input_alone(grad: bool) -> None:
    net = build(source(), layer("r", "ReLU", "data", "data"))
    data = random()
    kept = data.clone()
    with torch.set_grad_enabled(grad):
        out = net(data)["data"]
    assert torch.equal(data, kept)
    assert torch.equal(out, kept.relu())
