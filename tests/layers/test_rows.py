"""Embed, BatchReindex, Filter: values, gradients, indices out of range, sizes that only values tell."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from caffe_compat.api import load_net
from caffe_compat.errors import NetError
from caffe_compat.export.lower import lower
from caffe_compat.layers.base import Layer
from caffe_compat.layers.rows import BatchReindex, Embed, Filter
from tests.layers.checking import check_onnx, check_shapes, made, tops_of, values
from tests.layers.single import refused
from tests.onnx_run import run_onnx

Shape = tuple[int, ...]


def gradient_holds(layer: Layer, x: torch.Tensor | None, *rest: torch.Tensor) -> None:
    """Finite differences for the blobs and the first bottom (None: it has no gradient)."""
    layer = layer.double()
    names = [name for name, _ in layer.named_parameters()]
    blobs = [blob.detach().clone().requires_grad_() for blob in layer.parameters()]

    def run(*tensors: torch.Tensor) -> Any:
        state = dict(zip(names, tensors, strict=False))
        bottoms = (*rest,) if x is None else (tensors[-1], *rest)
        return torch.func.functional_call(layer, state, bottoms)

    assert torch.autograd.gradcheck(run, (*blobs, *([] if x is None else [x.double().clone().requires_grad_()])))


# ---- Embed


@pytest.mark.parametrize("shape", [(3, 2), (5,), (), (2, 1, 3)])
@pytest.mark.parametrize("bias_term", [True, False])
def test_embed(shape: Shape, bias_term: bool) -> None:
    x = torch.randint(0, 6, shape, generator=torch.Generator().manual_seed(1)).float()
    layer = made(Embed(num_output=4, input_dim=6, bias_term=bias_term), x)
    assert [tuple(blob.shape) for blob in layer.blobs] == [(6, 4), (4,)][: 1 + bias_term]
    expected = layer.weight[x.long()] + (layer.bias if bias_term else 0)
    torch.testing.assert_close(layer(x), expected)
    check_shapes(layer, x)
    check_onnx(layer, x)
    gradient_holds(layer, None, x)


def test_embed_cuts_fractions_off() -> None:
    x = torch.tensor([0.9, 1.999, -0.5])
    layer = made(Embed(num_output=2, input_dim=2, bias_term=False), x)
    assert torch.equal(layer(x), layer.weight[[0, 1, 0]])
    check_onnx(layer, x)


@pytest.mark.parametrize(
    ("bad", "found"),
    [([[0.0, 6.0]], "index 6 at [0, 1]"), ([[-1.0, 9.0]], "index -1 at [0, 0]"), ([[0.0, math.nan]], "index nan")],
)
def test_embed_index_out_of_range(bad: list[list[float]], found: str) -> None:
    layer = made(Embed(num_output=2, input_dim=6), torch.zeros(1, 2))
    with pytest.raises(NetError, match=r"accepted: 0 to 5; correct the indices, or raise input_dim") as caught:
        layer(torch.tensor(bad))
    assert found in str(caught.value)


def test_embed_refusals() -> None:
    refused("num_output: 0 (or not given) is out of range", lambda: Embed(input_dim=3))
    refused("input_dim: 0 (or not given) is out of range", lambda: Embed(num_output=3))
    refused("num_output: 4294967295 is out of range", lambda: Embed(num_output=2**32 - 1, input_dim=3))
    refused("weight of shape [2147483647, 2147483647]", lambda: Embed(2**31 - 1, 2**31 - 1), (1,))
    refused("the top of shape [1048576, 4096] would have", lambda: Embed(4096, 3), (2**20,))


def test_embed_of_no_index() -> None:
    """Caffe builds for none only without bias, whose ones it cannot make; a built layer takes any number."""
    refused("[2, 0] has no elements", lambda: Embed(4, 3), (2, 0))
    assert Embed(4, 3, bias_term=False).build((2, 0)).top_shapes((2, 0)) == [(2, 0, 4)]
    assert made(Embed(4, 3), torch.zeros(5))(torch.zeros(2, 0)).shape == (2, 0, 4)


# ---- BatchReindex


@pytest.mark.parametrize("shape", [(4, 2, 3), (3,), (5, 1, 2, 2)])
def test_batch_reindex(shape: Shape) -> None:
    x, index = values(*shape), torch.tensor([2.0, 0.0, 2.9, 1.0, 2.0, 0.0])
    layer = made(BatchReindex(), x, index)
    assert torch.equal(layer(x, index), x[[2, 0, 2, 1, 2, 0]])
    check_shapes(layer, x, index)
    check_onnx(layer, x, index)
    gradient_holds(layer, x, index)


def test_batch_reindex_to_nothing() -> None:
    assert BatchReindex()(values(3, 2), torch.empty(0)).shape == (0, 2)


@pytest.mark.parametrize("bad", [3.0, -1.0, -0.5, math.nan])
def test_batch_reindex_out_of_range(bad: float) -> None:
    with pytest.raises(NetError, match=rf"index {bad:g} at \[1\] .*accepted: 0 to 2; correct the indices"):
        BatchReindex()(values(3, 2), torch.tensor([0.0, bad]))


def test_batch_reindex_refusals() -> None:
    refused("which has exactly one axis", BatchReindex, (3, 2), (4, 1))
    refused("which has exactly one axis", BatchReindex, (3, 2), ())
    refused("a blob with a batch axis", BatchReindex, (), (4,))
    refused("the top of shape [1048576, 4096] would have", BatchReindex, (1, 4096), (2**20,))


# ---- Filter


@pytest.mark.parametrize("selector", [[0, 1, 0.5, -2, 0], [1] * 5, [0] * 5, [0, 0, 0, 0, math.nan]])
@pytest.mark.parametrize("axes", [(), (1,), (1, 1, 1)])
def test_filter(selector: list[float], axes: Shape) -> None:
    first, second, selected = values(5, 2, 3), values(5), torch.tensor(selector, dtype=torch.float32).reshape(5, *axes)
    layer = made(Filter(), first, second, selected, tops=2)
    keep = [i for i, value in enumerate(selector) if value != 0]
    for top, bottom in zip(tops_of(layer, first, second, selected), (first, second), strict=True):
        assert torch.equal(top, bottom[keep])
    assert layer.top_shapes((5, 2, 3), (5,), (5, *axes)) == [(5, 2, 3), (5,)]
    check_onnx(layer, first, second, selected)
    if keep:
        gradient_holds(made(Filter(), first, selected), first, selected)


def test_filter_refusals() -> None:
    refused("makes 1 top(s) from 2 bottom(s) and a selector", Filter, (4, 2), (4, 3), (4,))
    refused("makes 2 top(s) from 1 bottom(s)", Filter, (4, 2), (4,), num_tops=2)
    refused("the selector (the last bottom) has shape [4, 2]", Filter, (4, 2), (4, 2))
    refused("the selector (the last bottom) has shape []", Filter, (4, 2), ())
    refused("the selector (the last bottom) has shape [4, 1, 1, 1, 1]", Filter, (4, 2), (4, 1, 1, 1, 1))
    refused("bottom 0 has shape [4, 2], the selector (the last bottom) has [3]", Filter, (4, 2), (3,))
    refused("bottom 0 has shape []", Filter, (), (3,))
    refused("the bottom of shape [0] has no elements", Filter, (0, 2), (0,))
    assert made(Filter(), values(3, 2), torch.ones(3))(torch.zeros(0, 2), torch.zeros(0))[0].shape == (0, 2)


FILTERED = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 6 dim: 40 } } }
layer { name: "s" type: "Input" top: "s" input_param { shape { dim: 6 } } }
layer { name: "a" type: "AbsVal" bottom: "x" top: "a" }
layer { name: "f" type: "Filter" bottom: "a" bottom: "s" top: "f" }
layer { name: "t" type: "TanH" bottom: "f" top: "t" }
layer { name: "e" type: "Exp" bottom: "t" top: "e" }
layer { name: "r" type: "Reduction" bottom: "e" top: "r" reduction_param { axis: 1 } }
layer { name: "b" type: "Sigmoid" bottom: "x" top: "b" }
layer { name: "c" type: "Exp" bottom: "b" top: "c" }
"""


@pytest.mark.parametrize("batch", ["symbolic", None])
def test_a_filtered_batch_has_no_known_size_in_the_graph(batch: str | None) -> None:
    """Else the runtime would give its values the memory of a whole batch."""
    net = load_net(FILTERED)
    model = lower(net, batch=batch)
    graph = model.model.graph
    infos = {info.name: info.type.tensor_type.shape.dim for info in (*graph.value_info, *graph.output)}
    for name in ("f", "t", "e", "r"):
        assert (infos[name][0].dim_param, infos[name][0].dim_value) == ("", 0)
    assert infos["a"][0].dim_param or infos["a"][0].dim_value
    for selector in ([0.0, 1, 0, 1, 1, 0], [1.0] * 6, [0.0] * 6):
        inputs = {"x": values(6, 40), "s": torch.tensor(selector)}
        expected = net(**inputs)
        for name, found in run_onnx(model, inputs).items():
            np.testing.assert_allclose(found, expected[name].numpy(), rtol=1e-5)


def test_a_size_that_must_be_the_batch_is_known() -> None:
    """Only all items fit the sum with the bottom itself."""
    net = load_net(
        FILTERED[: FILTERED.index('layer { name: "t"')]
        + 'layer { name: "sum" type: "Eltwise" bottom: "f" bottom: "x" top: "sum" }'
    )
    dims = [dim.dim_param for dim in lower(net).model.graph.output[0].type.tensor_type.shape.dim]
    assert dims[0] == "N"
