"""InnerProduct: axes, transpose, refusals, ONNX."""

from __future__ import annotations

import math

import pytest
import torch

from caffe_compat.errors import CannotLower, NetError
from caffe_compat.export.graph import GraphBuilder, Value
from caffe_compat.layers.fillers import Filler
from caffe_compat.layers.inner_product import InnerProduct
from tests.layers.single import built, exports, gradient_holds, keeps_format, refused, same

CASES = [
    # shape, axis, shape of the top
    ((3, 2, 4), 1, (3, 5)),
    ((3, 2, 4), 0, (5,)),
    ((3, 2, 4), 2, (3, 2, 5)),
    ((3, 2, 4), -1, (3, 2, 5)),
    ((3, 2, 4), -3, (5,)),
    ((4,), 0, (5,)),
    ((4,), -1, (5,)),
    ((3, 1, 1), 1, (3, 5)),
]


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("shape", "axis", "top"), CASES)
def test_matrix_product(shape: tuple[int, ...], axis: int, top: tuple[int, ...], bias: bool, transpose: bool) -> None:
    layer = built(InnerProduct(5, bias_term=bias, axis=axis, transpose=transpose), shape)
    axis %= len(shape)
    inputs = math.prod(shape[axis:])
    assert tuple(layer.weight.shape) == ((inputs, 5) if transpose else (5, inputs))
    assert layer.blob_names == (["weight", "bias"] if bias else ["weight"])
    x = torch.randn(shape)
    weight = layer.weight if transpose else layer.weight.t()
    expected = (x.reshape(math.prod(shape[:axis]), inputs) @ weight + (layer.bias if bias else 0)).reshape(top)
    same(layer(x), expected)
    assert layer.top_shapes(shape) == [top]


@pytest.mark.parametrize(("axis", "top"), [(1, (0, 5)), (2, (0, 2, 5))])
def test_no_rows(axis: int, top: tuple[int, ...]) -> None:
    """Caffe builds for none only without bias, whose ones it cannot make; a built layer takes any number."""
    refused("no elements along the axes [0", lambda: InnerProduct(5, axis=axis), (0, 2, 4))
    assert InnerProduct(5, bias_term=False, axis=axis).build((0, 2, 4)).top_shapes((0, 2, 4)) == [top]
    layer = built(InnerProduct(5, axis=axis), (3, 2, 4))
    x = torch.zeros(0, 2, 4, requires_grad=True)
    y = layer(x)
    y.sum().backward()
    assert (y.shape, x.grad.shape) == (top, x.shape)
    assert not layer.weight.grad.any()


def test_fan_of_transposed_weights() -> None:
    """xavier's fan_in is count / shape[0], whichever axis that is."""
    wide = InnerProduct(1000, weight_filler=Filler("xavier"), transpose=True).build((2, 30))
    limit = math.sqrt(3 / 1000)
    assert 0.9 * limit < float(wide.weight.detach().max()) <= limit


@pytest.mark.parametrize(
    ("message", "arguments", "shape"),
    [
        ("num_output: 0 (or not given) is out of range; accepted: 1 to 2147483647", {}, (2, 3)),
        ("num_output: 2147483648 is out of range", {"num_output": 2**31}, (2, 3)),
        ("axis 2 is out of range for a bottom of shape [2, 3]", {"num_output": 4, "axis": 2}, (2, 3)),
        ("axis -3 is out of range", {"num_output": 4, "axis": -3}, (2, 3)),
        ("shape [2, 0] has no inputs from axis 1 on", {"num_output": 4}, (2, 0)),
    ],
)
def test_refuses(message: str, arguments: dict[str, int], shape: tuple[int, ...]) -> None:
    refused(message, lambda: InnerProduct(**arguments), shape)


def test_refuses_another_number_of_inputs() -> None:
    layer = built(InnerProduct(5), (2, 3, 4))
    with pytest.raises(NetError, match="weights take 12 inputs per item, the bottom has 15"):
        layer(torch.zeros(2, 3, 5))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("transpose", [False, True])
def test_gradient(axis: int, transpose: bool) -> None:
    gradient_holds(built(InnerProduct(3, axis=axis, transpose=transpose), (2, 3, 4)), (2, 3, 4))


def test_channels_last() -> None:
    keeps_format(built(InnerProduct(5), (2, 3, 4, 5)), torch.randn(2, 3, 4, 5))


@pytest.mark.parametrize(
    "text",
    [
        "num_output: 3",
        "num_output: 3 bias_term: false",
        "num_output: 3 transpose: true",
        "num_output: 3 axis: 2",
        "num_output: 3 axis: -1 transpose: true",
        "num_output: 3 axis: 3 bias_term: false",
    ],
)
def test_onnx(text: str) -> None:
    exports("InnerProduct", f"inner_product_param {{ {text} }}", (2, 3, 4, 5))


def test_onnx_of_a_matrix() -> None:
    exports("InnerProduct", "inner_product_param { num_output: 3 }", (2, 5))


def test_onnx_with_a_batch_among_the_inputs_needs_it_fixed() -> None:
    g = GraphBuilder(13, {})
    with pytest.raises(CannotLower, match="the weights fix the sizes from axis 0 on"):
        built(InnerProduct(3, axis=0), (2, 5)).lower(g, Value("x", (None, 5)))
