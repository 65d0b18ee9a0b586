"""LSTM and RNN: against a loop of their formulas, states between passes, exposed states, ONNX, refusals."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from caffe_compat.api import load_net
from caffe_compat.errors import NetError
from caffe_compat.layers.lstm import LSTM
from caffe_compat.layers.recurrent import Recurrent
from caffe_compat.layers.rnn import RNN
from tests.layers.checking import check_onnx, check_shapes, made, tops_of, values

T, N, D = 4, 2, 5
X, STATIC = values(T, N, 3), values(N, 6, seed=1)
BEGINS = torch.tensor([[0.0, 0], [1, 1], [1, 0], [1, 1]])
GOES_ON = torch.ones(T, N)
H0, C0 = values(1, N, D, seed=2), values(1, N, D, seed=3)
KINDS: list[type[Recurrent]] = [LSTM, RNN]


def reference(layer: Recurrent, x: Tensor, cont: Tensor, h: Tensor, c: Tensor, static: Tensor | None = None) -> Any:
    """(top, last h, last c) step by step, by autograd; h and c (1, N, D)."""
    blobs, tops = list(layer.blobs), []
    fixed = static.flatten(1) @ blobs.pop(2).t() if static is not None else 0
    for step, kept in zip(x.flatten(2), cont[..., None], strict=True):
        gates = step @ blobs[0].t() + blobs[1] + fixed + (h[0] * kept) @ blobs[2].t()
        if isinstance(layer, LSTM):
            i, f, o, g = gates.chunk(4, 1)
            c = (kept * torch.sigmoid(f) * c[0] + torch.sigmoid(i) * torch.tanh(g))[None]
            h = torch.sigmoid(o) * torch.tanh(c)
            tops.append(h)
        else:
            h = torch.tanh(gates)[None]
            tops.append(torch.tanh(h @ blobs[3].t() + blobs[4]))
    return torch.cat(tops), h, c


def zeros(streams: int = N) -> tuple[Tensor, Tensor]:
    return torch.zeros(1, streams, D), torch.zeros(1, streams, D)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("x", [X, X.reshape(T, N, 3, 1, 1), X[:1], X[:, :1], X[:1, :1, :1]])
def test_value_gradient_shape_and_onnx(kind: type[Recurrent], static: bool, x: Tensor) -> None:
    cont = BEGINS[: len(x), : x.shape[1]]
    bottoms = (x, cont, *([STATIC[: x.shape[1]]] if static else []))
    layer = made(kind(num_output=D), *bottoms)
    expected = reference(layer, x, cont, *zeros(x.shape[1]), *bottoms[2:])[0]
    torch.testing.assert_close(layer(*bottoms), expected)
    check_shapes(layer, *bottoms)
    layer.reset()
    check_onnx(layer, *bottoms)
    check_all_gradients(layer, bottoms)


def check_all_gradients(layer: Recurrent, bottoms: tuple[Tensor, ...]) -> None:
    """Of the inputs and the blobs, against autograd through the reference."""
    ours, theirs = [], []
    for found, run in ((ours, tops_of), (theirs, None)):
        inputs = [b.clone().requires_grad_(i != 1) for i, b in enumerate(bottoms)]
        layer.zero_grad()
        start = zeros(inputs[0].shape[1])
        top = run(layer, *inputs)[0] if run else reference(layer, *inputs[:2], *start, *inputs[2:])[0]
        (top * values(*top.shape, seed=5)).sum().backward()
        found.extend(t.grad.clone() for t in (inputs[0], *inputs[2:], *layer.blobs))
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_by_finite_differences(kind: type[Recurrent]) -> None:
    layer = made(kind(num_output=2), X, BEGINS, STATIC).double()
    names = [name for name, _ in layer.named_parameters()]

    def run(x: Tensor, static: Tensor, *blobs: Tensor) -> Any:
        return torch.func.functional_call(layer, dict(zip(names, blobs, strict=True)), (x, BEGINS, static))

    inputs = [X, STATIC, *(blob.detach() for blob in layer.blobs)]
    assert torch.autograd.gradcheck(run, [value.double().clone().requires_grad_() for value in inputs])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_the_state_goes_over_to_the_next_pass_without_gradient(kind: type[Recurrent], phase: str) -> None:
    layer = made(kind(num_output=D), X, GOES_ON, phase=phase)
    first = X.clone().requires_grad_()
    layer(first, GOES_ON)
    top = layer(2 * X, GOES_ON)
    _, h, c = reference(layer, X, GOES_ON, *zeros())
    torch.testing.assert_close(top, reference(layer, 2 * X, GOES_ON, h, c)[0])
    top.sum().backward()
    assert first.grad is None
    torch.testing.assert_close(layer(X, BEGINS), reference(layer, X, BEGINS, *zeros())[0])


@pytest.mark.parametrize("kind", KINDS)
def test_reset_and_what_leaves_the_state_alone(kind: type[Recurrent]) -> None:
    layer = made(kind(num_output=D), X, GOES_ON)
    fresh = layer(X, GOES_ON)
    kept = layer.last_h.clone()  # type: ignore[union-attr]
    layer.top_shapes((6, 3, 3), (6, 3))
    assert torch.equal(layer.last_h, kept)  # type: ignore[arg-type]
    assert list(layer.state_dict()) == layer.blob_names
    assert layer.double().last_h.dtype == torch.float64  # type: ignore[union-attr]
    layer.float()
    again = copy.deepcopy(layer)(X, GOES_ON)
    assert not torch.allclose(again, fresh)
    torch.testing.assert_close(layer(X, GOES_ON), again)
    layer.reset()
    torch.testing.assert_close(layer(X, GOES_ON), fresh)


@pytest.mark.parametrize("kind", KINDS)
def test_another_number_of_streams_and_steps(kind: type[Recurrent]) -> None:
    """Fewer streams go on as the first ones; more begin anew."""
    layer = made(kind(num_output=D), X, GOES_ON)
    layer(X, GOES_ON)
    _, h, c = reference(layer, X, GOES_ON, *zeros())
    fewer = reference(layer, X[:3, :1], GOES_ON[:3, :1], h[:, :1], c[:, :1])[0]
    torch.testing.assert_close(layer(X[:3, :1], GOES_ON[:3, :1]), fewer)
    torch.testing.assert_close(layer(X, GOES_ON), reference(layer, X, GOES_ON, *zeros())[0])


@pytest.mark.parametrize("kind", KINDS)
def test_inference_mode_first_then_training(kind: type[Recurrent]) -> None:
    layer = made(kind(num_output=D), X, GOES_ON)
    with torch.inference_mode():
        layer(X, GOES_ON)
    layer(X, GOES_ON).sum().backward()
    assert all(blob.grad is not None for blob in layer.blobs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("steps", [T, 1])
def test_exposed_states(kind: type[Recurrent], static: bool, steps: int) -> None:
    states = (H0, C0)[: len(kind.states)]
    x, cont = X[:steps], torch.tensor([[1.0, 0.0], *[[1.0, 1.0]] * 3])[:steps]
    bottoms = (x, cont, *([STATIC] if static else []), *states)
    layer = made(kind(num_output=D, expose_hidden=True), *bottoms, tops=1 + len(states))
    expected = reference(layer, x, cont, H0, C0, STATIC if static else None)
    for top, value in zip(tops_of(layer, *bottoms), expected[: 1 + len(states)], strict=True):
        torch.testing.assert_close(top, value)
    check_shapes(layer, *bottoms)
    check_onnx(layer, *bottoms)
    assert layer.last_h is None  # nothing is kept
    inputs = [b.clone().requires_grad_() for b in bottoms]
    _, *last = layer(*inputs)
    assert not any(state.requires_grad for state in last)
    layer(*inputs)[0].sum().backward()
    assert [inputs[i].grad is None for i in (0, 1, len(bottoms) - 1)] == [False, True, True]


def test_a_fraction_in_cont_is_caffes_gradient() -> None:
    """forget = cont sigmoid(f) enters the gradient at f as forget (1 - forget)."""
    cont = torch.full((1, N), 0.25)
    layer = made(LSTM(num_output=D, expose_hidden=True), X[:1], cont, H0, C0, tops=3)
    layer(X[:1], cont, H0, C0)[0].sum().backward()
    gates = X[0] @ layer.W_xc.t() + layer.b_c + 0.25 * H0[0] @ layer.W_hc.t()  # type: ignore[operator]
    i, f, o, g = gates.detach().chunk(4, 1)
    forget = 0.25 * torch.sigmoid(f)
    cell = forget * C0[0] + torch.sigmoid(i) * torch.tanh(g)
    at_f = torch.sigmoid(o) * (1 - torch.tanh(cell) ** 2) * C0[0] * forget * (1 - forget)
    torch.testing.assert_close(layer.b_c.grad[D : 2 * D], at_f.sum(0))  # type: ignore[union-attr,index]


def test_one_loop_in_onnx_and_none_for_one_step() -> None:
    layer = made(LSTM(num_output=D), X, BEGINS)
    assert check_onnx(layer, X, BEGINS).count("Scan") == 1
    from tests.layers.checking import lowered

    assert "Scan" not in lowered(layer, (X[:1], BEGINS[:1]), 17, symbolic=False, tops=1)[1]


def test_two_layers_one_upon_the_other_in_a_net() -> None:
    """The names inside the loops do not meet; the order of the blobs is Caffe's."""
    text = "\n".join(
        [
            'layer { name: "i" type: "Input" top: "x" input_param { shape { dim: 4 dim: 2 dim: 3 } } }',
            'layer { name: "j" type: "Input" top: "cont" input_param { shape { dim: 4 dim: 2 } } }',
            'layer { name: "one" type: "LSTM" bottom: "x" bottom: "cont" top: "y" recurrent_param { num_output: 5',
            'weight_filler { type: "uniform" min: -1 max: 1 } bias_filler { type: "constant" value: 1 } } }',
            'layer { name: "two" type: "RNN" bottom: "y" bottom: "cont" top: "z" recurrent_param { num_output: 2',
            'weight_filler { type: "uniform" min: -1 max: 1 } } }',
        ]
    )
    from tests.onnx_run import OPSETS, lowered, run_onnx

    net = load_net(text, seed=1)
    assert net.layer("one").blob_names == ["W_xc", "b_c", "W_hc"]
    assert net.layer("two").blob_names == ["W_xh", "b_h", "W_hh", "W_ho", "b_o"]
    assert net.layer("one").blobs[1].tolist() == [1.0] * 20
    expected = net(x=X, cont=BEGINS)["z"].detach()
    for opset in OPSETS:
        model = lowered(net, opset)
        found = run_onnx(model, {"x": X, "cont": BEGINS})["z"]
        torch.testing.assert_close(torch.from_numpy(found), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("fields", "shapes", "tops", "message"),
    [
        ({}, [(4, 2, 3), (4, 2)], 1, "num_output"),
        ({"num_output": 5}, [(4, 2), (4, 2)], 1, r"x has shape \[4, 2\]; accepted: \(T, N, ...\)"),
        ({"num_output": 5}, [(0, 2, 3), (0, 2)], 1, r"x has shape \[0, 2, 3\]"),
        ({"num_output": 5}, [(4, 0, 3), (4, 0)], 1, r"shape \[4, 0, 3\] has no elements along the axes \[1\]"),
        ({"num_output": 5}, [(4, 2, 0), (4, 2)], 1, r"x has shape \[4, 2, 0\]"),
        ({"num_output": 5}, [(4, 2, 3), (4, 3)], 1, r"cont has shape \[4, 3\]; accepted: \[4, 2\], the steps"),
        ({"num_output": 5}, [(4, 2, 3), (4, 2, 1)], 1, r"cont has shape \[4, 2, 1\]"),
        ({"num_output": 5}, [(4, 2, 3), (4, 2), (3, 6)], 1, r"x_static has shape \[3, 6\]; accepted: \(2, ...\)"),
        ({"num_output": 5}, [(4, 2, 3), (4, 2), (2,)], 1, r"x_static has shape \[2\]"),
        ({"num_output": 5}, [(4, 2, 3), (4, 2), (2, 6), (1, 2, 5)], 1, "takes 2 bottoms, or 3 with a .* found 4"),
        ({"num_output": 5}, [(4, 2, 3), (4, 2)], 3, r"makes 1 top\(s\) with expose_hidden: false, found 3"),
        ({"num_output": 5, "expose_hidden": True}, [(4, 2, 3), (4, 2), (2, 6)], 3, "takes 4 bottoms, or 5 .* h0, c0"),
        (
            {"num_output": 5, "expose_hidden": True},
            [(4, 2, 3), (4, 2), (1, 2, 5), (1, 2, 4)],
            3,
            r"c0 has shape \[1, 2, 4\]; accepted: \[1, 2, 5\]",
        ),
        (
            {"num_output": 5, "expose_hidden": True},
            [(4, 2, 3), (4, 2), (1, 2, 5), (1, 2, 5)],
            1,
            r"makes 3 top\(s\) with expose_hidden: true, found 1",
        ),
    ],
)
def test_refusals(fields: Any, shapes: Any, tops: int, message: str) -> None:
    def build() -> None:
        layer = LSTM(**fields)
        layer.num_tops = tops
        layer.setup(*shapes)

    with pytest.raises(NetError, match=message):
        build()


def test_other_inputs_than_the_weights_take_are_refused() -> None:
    layer = made(LSTM(num_output=D), X, BEGINS)
    with pytest.raises(NetError, match="W_xc takes 3 inputs for each stream, the bottom has 2"):
        layer(X[:, :, :2], BEGINS)


def test_lstm_at_once_and_step_by_step_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    cont = torch.ones(T, N)
    cont[0, 1] = 0
    layer = made(LSTM(num_output=D), X, cont)
    at_once, found = layer.run_at_once, []
    for step_by_step in (False, True):
        if step_by_step:
            monkeypatch.setattr(layer, "run_at_once", lambda *args: None)
        else:
            assert at_once(X, cont.unsqueeze(-1), [torch.ones(N, D)] * 2) is not None
        layer.reset()
        layer.zero_grad()
        x = X.clone().requires_grad_()
        layer(x, GOES_ON)
        (layer(x, cont) * values(T, N, D, seed=5)).sum().backward()
        found.append([x.grad, layer.last_h, layer.last_c, *(blob.grad for blob in layer.blobs)])
    torch.testing.assert_close(*found)
    assert at_once(X, BEGINS.unsqueeze(-1), [torch.ones(N, D)] * 2) is None
    assert at_once(X, cont.unsqueeze(-1) / 2, [torch.ones(N, D)] * 2) is None
