"""Names of blobs: what feeds what, inputs and outputs, when a blob is dropped."""

from __future__ import annotations

import pytest

from caffe_compat.errors import NetError
from tests.net.making import SIZES, build, fc, layer, random, source

ERRORS = [
    ([layer("x", "ReLU", "dat", "x")], r"layer 'x' \(ReLU\), <text>:3:1: bottom 'dat' .*did you mean 'data'\?"),
    ([layer("x", "ReLU", "zzzz", "x")], "blobs made by the layers above: data"),
    ([layer("x", "ReLU", "y", "x"), layer("y", "ReLU", "data", "y")], "bottom 'y' is made by no layer above this one"),
    ([layer("x", "ReLU", "x", "x")], "bottom 'x' is made by no layer above"),
    ([layer("x", "ReLU", "data", "y"), layer("z", "ReLU", "data", "y")], "top 'y' is made already, by layer 'x'"),
    ([layer("x", "Split", "data", "y y")], "top 'y' is made already"),
    ([layer("x", "Reshape", "data", "data")], "the layer cannot work in place; rename the top"),
    (
        [layer("x", "ReLU", "data", "x"), layer("y", "Power", "x", "y"), layer("z", "ReLU", "x", "x")],
        "layer 'z' .*top and bottom are both 'x', but layer 'y' reads that blob, too; accepted: in place where no one",
    ),
    ([layer("x", "Eltwise", "data data", "data")], "top and bottom are both 'data', but layer 'x' reads that blob"),
    (
        [layer("x", "ReLU", "data", "x", "loss_weight: 2"), layer("y", "ReLU", "x", "x")],
        "top and bottom are both 'x', but its own loss_weight reads that blob, too",
    ),
    ([layer("x", "ReLU", "data data", "x")], r"takes exactly 1 bottom\(s\), found 2"),
    ([layer("x", "ReLU", "data", "x y")], r"makes exactly 1 top\(s\), found 2"),
    ([layer("x", "ReLU", "", "x")], r"takes exactly 1 bottom\(s\), found 0"),
    ([layer("x", "Eltwise", "data", "x"), layer("y", "Relu", "x", "y")], r"'x' \(Eltwise\)"),
    ([layer("y", "Relu", "data", "y")], r"unknown layer type 'Relu'; did you mean ReLU"),
]


@pytest.mark.parametrize(("layers", "expected"), ERRORS)
def test_errors(layers: list[str], expected: str) -> None:
    with pytest.raises(NetError, match=expected):
        build(source(), *layers)


def test_inputs_and_outputs() -> None:
    """Inputs in the order of the file, outputs in Caffe's, which is alphabetical; an in-place top is one blob."""
    net = build(source("z"), source("a"), layer("s", "Split", "z", "q p"), layer("r", "ReLU", "q", "q"),
                layer("e", "Eltwise", "a p", "b"))  # fmt: skip
    assert net.inputs == ["z", "a"]
    assert net.outputs == ["b", "q"]
    assert list(net(random(), random())) == ["b", "q"]


def test_an_input_that_nobody_reads_is_an_output() -> None:
    net = build(source(), source("b"), layer("x", "ReLU", "data", "x"))
    assert net.outputs == ["b", "x"]


def test_blobs_are_dropped_after_their_last_use() -> None:
    layers = [source(), layer("a", "Exp", "data", "a"), layer("b", "Exp", "a", "b"), layer("c", "Eltwise", "a b", "c"),
              layer("d", "Silence", "b"), layer("e", "ReLU", "c", "e")]  # fmt: skip
    net = build(*layers)
    assert [node.free for node in net.nodes] == [(), ("data",), (), ("a",), ("b",), ("c",)]
    outputs = net(random() * 0.1)
    assert list(net.blobs) == list(outputs) == ["e"]


def test_in_place_is_allowed_where_only_the_new_values_are_read_twice() -> None:
    layers = [source(), layer("a", "Exp", "data", "a", "loss_weight: 0"), layer("b", "Power", "a", "a")]
    net = build(*layers, layer("c", "Power", "a", "c"), layer("d", "Power", "a", "d"))
    assert net.outputs == ["c", "d"]


def test_keep_blobs() -> None:
    net = build(source(), layer("a", "Exp", "data", "a"), layer("b", "ReLU", "a", "b"))
    data = random()
    net.keep_blobs = True
    net(data)
    assert list(net.blobs) == ["data", "a", "b"]
    assert net.blobs["a"].equal(data.exp())


def test_a_name_may_come_back_after_its_last_use_only_in_place() -> None:
    with pytest.raises(NetError, match="top 'a' is made already"):
        build(source(), layer("a", "Exp", "data", "a"), layer("b", "Exp", "a", "b"), layer("c", "Exp", "b", "a"))


def test_shapes_of_other_sizes() -> None:
    net = build(source(), layer("p", "Pooling", "data", "p", "pooling_param { kernel_size: 2 stride: 2 }"),
                layer("f", "Flatten", "p", "f"))  # fmt: skip
    assert net.shapes == {"data": SIZES, "p": (2, 4, 2, 3), "f": (2, 24)}
    assert net.infer_shapes({"data": (7, 4, 9, 8)}) == [[(7, 4, 9, 8)], [(7, 4, 5, 4)], [(7, 80)]]
    assert net.infer_shapes({}) == [[SIZES], [(2, 4, 2, 3)], [(2, 24)]]
    assert net.shapes["data"] == SIZES


def test_shapes_that_do_not_fit_name_the_layer() -> None:
    net = build(source(), fc("x", "data", 3))
    with pytest.raises(NetError, match=r"layer 'x' \(InnerProduct\), <text>:3:1: .*60.*72"):
        net.infer_shapes({"data": (2, 4, 3, 6)})
