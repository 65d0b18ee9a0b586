"""Scale and Bias: which axes the blob covers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from caffe_compat.errors import NetError
from caffe_compat.layers.fillers import Filler
from caffe_compat.layers.scale import Bias, Scale
from tests.layers.checking import check_channels_last, check_gradient, check_onnx, check_shapes, made, values

X = (2, 3, 4, 5)
AXES: list[tuple[tuple[int, ...], dict[str, int], tuple[int, ...], tuple[int, ...]]] = [
    # bottom, parameters, shape of the blob, the same with axes of size 1 for broadcasting
    (X, {}, (3,), (3, 1, 1)),
    (X, {"axis": 0}, (2,), (2, 1, 1, 1)),
    (X, {"axis": -1}, (5,), (5,)),
    (X, {"axis": -3, "num_axes": 2}, (3, 4), (3, 4, 1)),
    (X, {"axis": 0, "num_axes": -1}, X, X),
    (X, {"axis": 2, "num_axes": -1}, (4, 5), (4, 5)),
    (X, {"num_axes": 0}, (), ()),
    ((6,), {"axis": 0}, (6,), (6,)),
    ((4, 1), {}, (1,), (1,)),
]
SECOND = [
    # bottom, second bottom, axis, the second with axes of size 1 for broadcasting
    (X, (2, 3), 0, (2, 3, 1, 1)),
    (X, (4,), -2, (4, 1)),
    (X, X, 0, X),
    (X, (), 1, ()),
    ((6,), (), 1, ()),
]


@pytest.mark.parametrize(("shape", "fields", "blob", "wide"), AXES)
@pytest.mark.parametrize("bias_term", [False, True])
def test_scale(shape: Any, fields: dict[str, int], blob: Any, wide: Any, bias_term: bool) -> None:
    x = values(*shape)
    layer = made(Scale(**fields, bias_term=bias_term), x)
    assert [tuple(b.shape) for b in layer.blobs] == [blob] * (1 + bias_term)
    expected = x * layer.weight.reshape(wide) + (layer.bias.reshape(wide) if bias_term else 0)
    torch.testing.assert_close(layer(x), expected)
    check_shapes(layer, x)
    check_channels_last(layer, x)
    check_onnx(layer, x)
    check_gradient(layer, x)


@pytest.mark.parametrize(("shape", "fields", "blob", "wide"), AXES)
def test_bias(shape: Any, fields: dict[str, int], blob: Any, wide: Any) -> None:
    x = values(*shape)
    layer = made(Bias(**fields), x)
    assert [tuple(b.shape) for b in layer.blobs] == [blob]
    torch.testing.assert_close(layer(x), x + layer.bias.reshape(wide))
    check_shapes(layer, x)
    check_channels_last(layer, x)
    check_onnx(layer, x)
    check_gradient(layer, x)


@pytest.mark.parametrize(("shape", "second", "axis", "wide"), SECOND)
def test_second_bottom(shape: Any, second: Any, axis: int, wide: Any) -> None:
    x, s = values(*shape), values(*second, seed=5)
    scale, bias = made(Scale(axis=axis), x, s), made(Bias(axis=axis), x, s)
    assert scale.blobs == bias.blobs == []
    torch.testing.assert_close(scale(x, s), x * s.reshape(wide))
    torch.testing.assert_close(bias(x, s), x + s.reshape(wide))
    for layer in (scale, bias):
        check_shapes(layer, x, s)
        check_channels_last(layer, x, s)
        check_onnx(layer, x, s)
        check_gradient(layer, x, s)


def test_second_bottom_with_a_learned_bias_of_its_shape() -> None:
    x, s = values(*X), values(3, 4)
    layer = made(Scale(bias_term=True), x, s)
    assert layer.blob_names == ["bias"]
    torch.testing.assert_close(layer(x, s), (x * s[..., None]) + layer.bias[..., None])
    check_onnx(layer, x, s)
    check_gradient(layer, x, s)


def test_fillers() -> None:
    assert torch.equal(made(Scale(bias_term=True), values(2, 3), seed=None).weight, torch.ones(3))
    assert torch.equal(made(Scale(bias_term=True), values(2, 3), seed=None).bias, torch.zeros(3))
    assert torch.equal(made(Scale(filler=Filler()), values(2, 3), seed=None).weight, torch.zeros(3))
    five = Filler(value=5.0)
    assert torch.equal(
        made(Scale(bias_term=True, bias_filler=five), values(2, 3), seed=None).bias, torch.full((3,), 5.0)
    )
    assert torch.equal(made(Bias(filler=five), values(2, 3), seed=None).bias, torch.full((3,), 5.0))


def test_bias_in_place_writes_into_the_bottom() -> None:
    x = values(2, 3)
    layer = made(Bias(), x)
    expected = layer(x)
    layer.inplace = True
    assert layer(x).data_ptr() == x.data_ptr()
    torch.testing.assert_close(x, expected)


@pytest.mark.parametrize("cls", [Scale, Bias])
def test_another_size_of_a_covered_axis_is_refused_when_it_comes(cls: type[Scale] | type[Bias]) -> None:
    """Also where torch would broadcast."""
    layer = made(cls(axis=0), values(1, 3))
    with pytest.raises(NetError, match=r"shape \[1\] does not match the bottom, of shape \[4, 3\], from axis 0 on"):
        layer(values(4, 3))


@pytest.mark.parametrize("cls", [Scale, Bias])
@pytest.mark.parametrize(
    ("fields", "shapes", "message"),
    [
        ({"axis": 2}, [(2, 3)], r"axis 2 is out of range for a bottom of shape \[2, 3\]; accepted: -2 to 1"),
        ({}, [(3,)], "axis 1 is out of range"),
        ({"num_axes": 0}, [(3,)], "axis 1 is out of range"),
        ({"num_axes": -2}, [(2, 3)], "num_axes: -2 is out of range; accepted: 0"),
        ({"num_axes": 2}, [(2, 3)], r"num_axes: 2 from axis 1 on extends past .*\[2, 3\]; accepted: at most 1"),
        ({}, [(2, 3, 4), (4,)], r"shape \[4\] does not match the bottom, of shape \[2, 3, 4\], from axis 1 on"),
        ({"axis": -1}, [(2, 3, 4), (4, 1)], r"accepted: the leading part of \[4\]"),
        ({"axis": 3}, [(2, 3), (3,)], "axis 3 is out of range"),
        ({}, [(2, 0)], "no elements"),
    ],
)
def test_refusals(cls: type[Scale] | type[Bias], fields: dict[str, int], shapes: Any, message: str) -> None:
    with pytest.raises(NetError, match=message):
        cls(**fields).setup(*shapes)


def test_a_bottom_without_elements() -> None:
    """Refused where Caffe's array of ones, as long as the axes behind the blob (for Scale: or before it), is empty."""
    for layer in (Bias(), Scale(bias_term=True)):
        with pytest.raises(NetError, match=r"shape \[2, 3, 0\] has no elements along the axes \[2\]"):
            layer.setup((2, 3, 0))
    with pytest.raises(NetError, match=r"shape \[0, 3, 0\] has no elements along the axes \[2\]"):
        Scale().setup((0, 3, 0))
    Scale().setup((2, 3, 0))
    Scale(bias_term=True).setup((0, 3))
    Bias().setup((0, 3))
