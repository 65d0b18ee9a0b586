"""One layer in a test: refusals, its top against a reference, in torch and in onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from caffe_compat.api import load_net
from caffe_compat.errors import NetError
from caffe_compat.layers.base import Layer
from tests.golden.compare import difference
from tests.layers.examples import Example, normal
from tests.onnx_run import OPSETS, lowered, run_onnx

Shape = tuple[int, ...]


def built(layer: Layer, *shapes: Shape) -> Layer:
    """The layer with blobs of random values."""
    return randomise(layer.build(*shapes))


def randomise(layer: Layer) -> Layer:
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for blob in layer.blobs:
            blob.copy_(torch.randn(blob.shape, generator=generator))
    return layer


def refused(message: str, make: Any, *shapes: Shape, num_tops: int = 1) -> None:
    """``make()``, or ``setup`` with the shapes, raises a NetError that holds ``message``."""

    def build() -> None:
        layer = make()
        layer.num_tops = num_tops
        layer.setup(*shapes)

    with pytest.raises(NetError) as caught:
        build()
    assert message in str(caught.value)


def same(found: Tensor | np.ndarray, expected: Tensor | np.ndarray, tolerance: float = 1e-5) -> None:
    arrays = [np.asarray(value.detach() if isinstance(value, Tensor) else value) for value in (found, expected)]
    problem = difference(*arrays, tolerance)
    assert problem is None, problem


def exports(type_name: str, text: str, *shapes: Shape, tops: int = 1, opsets: Sequence[int] = OPSETS) -> None:
    """The layer of a prototxt computes the same in onnxruntime as in torch, at the opsets given."""
    example = Example(type_name, text, tuple(normal(*shape) for shape in shapes), tops=tops)
    net = load_net(example.prototxt(), phase="TEST", seed=1)
    randomise(net.layer("l"))
    inputs = example.inputs()
    expected = net(**inputs)
    for opset in opsets:
        for name, values in run_onnx(lowered(net, opset), inputs).items():
            same(values, expected[name])


def keeps_format(layer: Layer, x: Tensor) -> None:
    """The top of a channels_last bottom has the same values, and is channels_last where it has 4 axes."""
    plain, last = layer(x), layer(x.to(memory_format=torch.channels_last))
    same(last, plain)
    assert last.dim() != 4 or last.is_contiguous(memory_format=torch.channels_last)


def gradient_holds(layer: Layer, *shapes: Shape) -> None:
    """Central differences in float64 agree with the gradient for the bottoms and the blobs."""
    layer = layer.double()
    generator = torch.Generator().manual_seed(3)
    inputs = [torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes]
    names = [name for name, _ in layer.named_parameters()]
    values = [value.detach().clone().requires_grad_() for value in layer.parameters()]

    def tops(*tensors: Tensor) -> Any:
        blobs = dict(zip(names, tensors[len(shapes) :], strict=True))
        return torch.func.functional_call(layer, blobs, tensors[: len(shapes)])

    assert torch.autograd.gradcheck(tops, (*inputs, *values))
