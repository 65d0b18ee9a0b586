"""Accuracy: ties, NaN, axes, classes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from caffe_compat.api import load_net
from caffe_compat.errors import NetError
from caffe_compat.layers import Accuracy
from tests.layers.single import refused, same
from tests.onnx_run import OPSETS, lowered, run_onnx

NAN = math.nan


@pytest.mark.parametrize(
    ("scores", "top_k", "expected"),
    [
        ([1.0, 1.0, 1.0], 1, 0),  # ties count against the label
        ([1.0, 1.0, 0.0], 2, 1),
        ([3.0, 1.0, 2.0], 1, 1),
        ([1.0, 1.0, 1.0], 3, 1),
        ([3.0, 1.0, 2.0], 0, 0),
        ([NAN, 1.0, 2.0], 1, 1),  # nothing compares with NaN
        ([1.0, NAN, 0.0], 1, 1),
        ([NAN, NAN, NAN], 0, 1),
    ],
)
def test_label_0(scores: list[float], top_k: int, expected: float) -> None:
    assert Accuracy(top_k=top_k)(torch.tensor([scores]), torch.zeros(1)).item() == expected


def by_loops(scores: Tensor, labels: Tensor, axis: int, top_k: int, ignore: int | None) -> tuple[float, list[float]]:
    rows = scores.movedim(axis, -1).reshape(-1, scores.shape[axis])
    right, count = [0] * rows.shape[1], [0] * rows.shape[1]
    for row, label in zip(rows.tolist(), labels.flatten().int().tolist(), strict=True):
        if label != ignore:
            count[label] += 1
            right[label] += sum(x >= row[label] for x in row) <= top_k
    return sum(right) / max(1, sum(count)), [r / max(1, c) for r, c in zip(right, count, strict=True)]


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize(
    ("shape", "labels", "axis", "top_k", "ignore"),
    [
        ((9, 4), (9,), 1, 1, None),
        ((9, 4), (9, 1), -1, 2, 1),
        ((2, 5, 3, 4), (2, 1, 3, 4), 1, 2, 3),
        ((2, 3, 5), (6,), 2, 5, None),
        ((4, 2, 3), (2, 3), 0, 1, None),
        ((3, 1), (3,), 1, 1, None),
        ((3, 2), (3,), 1, 1, 0),
    ],
)
def test_against_loops_in_torch_and_onnx(
    shape: tuple[int, ...], labels: tuple[int, ...], axis: int, top_k: int, ignore: int | None, opset: int
) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(5)).mul(2).round()
    y = torch.zeros(labels) if ignore == 0 else (torch.arange(math.prod(labels)) % shape[axis]).reshape(labels).float()
    parameters = f"top_k: {top_k} axis: {axis}" + ("" if ignore is None else f" ignore_label: {ignore}")
    dims = [" ".join(f"dim: {size}" for size in sizes) for sizes in (shape, labels)]
    net = load_net(
        f'layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ {dims[0]} }} }} }}\n'
        f'layer {{ name: "y" type: "Input" top: "y" input_param {{ shape {{ {dims[1]} }} }} }}\n'
        'layer { name: "a" type: "Accuracy" bottom: "x" bottom: "y" top: "accuracy" top: "classes" '
        f"accuracy_param {{ {parameters} }} }}"
    )
    for tops in (net(x=x, y=y), run_onnx(lowered(net, opset), {"x": x, "y": y})):
        accuracy, classes = by_loops(x, y, axis, top_k, ignore)
        same(tops["accuracy"], torch.tensor(accuracy))
        same(tops["classes"], torch.tensor(classes))


def test_no_gradient_and_no_rows() -> None:
    assert not Accuracy()(torch.randn(3, 4, requires_grad=True), torch.zeros(3)).requires_grad
    assert Accuracy()(torch.randn(0, 4), torch.zeros(0)).item() == 0


def test_refusals() -> None:
    refused("top_k 6 is more than the 5 classes along axis 1", lambda: Accuracy(top_k=6), (3, 5), (3,))
    refused("4 labels (shape [4]) for 3 predictions", Accuracy, (3, 5), (4,))
    refused("axis 2 is out of range", lambda: Accuracy(axis=2), (3, 5), (3,))
    refused("the bottom of shape [0] has no elements", Accuracy, (0, 5), (0,))  # Caffe divides by the labels
    with pytest.raises(NetError, match=r"label 5 at \[2\].*accepted: 0 to 4"):
        Accuracy()(torch.randn(3, 5), torch.tensor([0.0, 4.0, 5.0]))
