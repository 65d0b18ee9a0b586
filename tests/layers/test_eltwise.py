"""Eltwise: the three operations, ties of MAX, both gradients of PROD."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from caffe_compat.errors import NetError
from caffe_compat.layers.eltwise import Eltwise
from tests.layers.checking import check_channels_last, check_gradient, check_onnx, check_shapes, made, values

A, B, C = (values(2, 3, 4, 5, seed=seed) for seed in range(3))
CASES: list[tuple[dict[str, Any], tuple[torch.Tensor, ...], torch.Tensor]] = [
    ({}, (A, B), A + B),
    ({"coeff": [1, -1]}, (A, B), A - B),
    ({"coeff": [0.5, -2, 1]}, (A, B, C), 0.5 * A - 2 * B + C),
    ({"operation": "SUM", "coeff": [0, 0]}, (A, B), 0 * A),
    ({"operation": "PROD"}, (A, B, C), A * B * C),
    ({"operation": "PROD", "stable_prod_grad": False}, (A, B, C), A * B * C),
    ({"operation": "MAX"}, (A, B, C), torch.stack([A, B, C]).amax(0)),
    ({"operation": "MAX", "coeff": [3, 4]}, (A, B), torch.stack([A, B]).amax(0)),
    ({}, (A[:, :1, 0, 0], B[:, :1, 0, 0]), (A + B)[:, :1, 0, 0]),
]


@pytest.mark.parametrize(("fields", "bottoms", "expected"), CASES)
def test_value_gradient_shape_and_onnx(fields: Any, bottoms: Any, expected: torch.Tensor) -> None:
    layer = made(Eltwise(**fields), *bottoms)
    torch.testing.assert_close(layer(*bottoms), expected)
    check_shapes(layer, *bottoms)
    check_channels_last(layer, *bottoms)
    check_onnx(layer, *bottoms)
    check_gradient(layer, *(b[:, :2, :1] if b.dim() == 4 else b for b in bottoms))


def test_fewest_nodes() -> None:
    assert check_onnx(made(Eltwise(), A, B), A, B) == ["Add"]
    assert check_onnx(made(Eltwise(), A, B, C), A, B, C) == ["Sum"]
    assert check_onnx(made(Eltwise(coeff=[1, -1]), A, B), A, B) == ["Sub"]


def gradients(layer: Eltwise, *rows: list[float]) -> list[list[float]]:
    bottoms = [torch.tensor(row, requires_grad=True) for row in rows]
    made(layer, *bottoms)(*bottoms).sum().backward()
    return [bottom.grad.tolist() for bottom in bottoms if bottom.grad is not None]


def test_max_gives_the_whole_gradient_of_a_tie_to_one_bottom() -> None:
    """Bottoms 0 and 1: to 1; a later one only where it is strictly greater."""
    first, second, third = [1.0, 1.0, 2.0, 0.0], [1.0, 1.0, 1.0, 0.0], [0.0, 1.0, 2.0, 3.0]
    assert gradients(Eltwise("MAX"), first, second, third) == [[0, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1]]


def test_product_at_zero_is_exact_or_nan() -> None:
    assert gradients(Eltwise("PROD"), [0.0, 2.0], [3.0, 5.0]) == [[3, 5], [0, 2]]
    first, second = gradients(Eltwise("PROD", stable_prod_grad=False), [0.0, 2.0], [3.0, 5.0])
    assert first[0] != first[0]  # 0 / 0
    assert (first[1], second) == (5, [0, 2])


@pytest.mark.parametrize("fields", [{}, {"operation": "PROD"}, {"operation": "MAX"}])
def test_bottoms_are_not_written_to(fields: Any) -> None:
    bottoms = (A.clone(), B.clone(), C.clone())
    made(Eltwise(**fields), *bottoms)(*bottoms)
    assert all(torch.equal(now, old) for now, old in zip(bottoms, (A, B, C), strict=True))


@pytest.mark.parametrize(
    ("fields", "shapes", "message"),
    [
        ({}, [(2, 3), (3, 2)], r"same shape: bottom 0 has \[2, 3\], bottom 1 has \[3, 2\]; there is no broadcasting"),
        ({}, [(2, 3), (2, 3), (2, 3, 1)], r"bottom 2 has \[2, 3, 1\]"),
        ({}, [(2, 3), (1, 3)], r"bottom 1 has \[1, 3\]"),
        ({"coeff": [1]}, [(2,), (2,)], r"coeff has 1 value\(s\) for 2 bottoms; give one for each bottom, or none"),
        ({"coeff": [1, 2, 3], "operation": "MAX"}, [(2,), (2,)], r"coeff has 3 value\(s\) for 2 bottoms"),
        ({"coeff": [1, 2], "operation": "PROD"}, [], r"coeff: \[1, 2\] has no meaning for operation PROD; .*remove"),
        ({"operation": "MIN"}, [], "operation: MIN is unknown; accepted: PROD, SUM, MAX"),
    ],
)
def test_refusals(fields: Any, shapes: Any, message: str) -> None:
    with pytest.raises(NetError, match=message):
        Eltwise(**fields).setup(*shapes)


def test_other_sizes_are_refused_when_they_come() -> None:
    layer = made(Eltwise(), A, B)
    with pytest.raises(NetError, match=r"bottom 1 has \[1, 3, 4, 5\]; there is no broadcasting"):
        layer(A, B[:1])


def test_refuses_a_single_bottom() -> None:
    with pytest.raises(NetError, match=r"takes at least 2 bottom\(s\), found 1"):
        Eltwise.check_counts(1, 1)
