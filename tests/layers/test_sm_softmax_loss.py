"""SMSoftmaxLoss: against float64 at every margin, against softmax loss at margin 0, in every layout."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from caffe_compat.api import load_net
from caffe_compat.errors import NetError
from caffe_compat.layers import SMSoftmaxLoss
from tests.layers.single import refused, same
from tests.onnx_run import OPSETS, lowered, run_onnx

TOLERANCE = 2e-6
MARGINS = (0, 1e-3, 0.1, 0.3, 0.9, 2, 5, 10, 20, 35, 50)


def exact(scores: Tensor, labels: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """Losses and gradients by equation (6) in float64, from the lead of the other classes over the label."""
    z, y = scores.double(), labels[:, None]
    others = z.scatter(1, y, -math.inf)
    d = others.logsumexp(1, keepdim=True) - z.gather(1, y) + margin
    losses = d.clamp(min=0) + torch.log1p(torch.exp(-d.abs()))
    at_label = torch.sigmoid(d)
    return losses[:, 0], (torch.softmax(others, 1) * at_label).scatter(1, y, -at_label)


def scores_of(kind: str, rows: int, classes: int, labels: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(classes)
    noise = torch.randn(rows, classes, generator=generator)
    if kind == "wide":
        return (noise * 40).clamp(-100, 100)
    if kind == "equal":  # the sum of many equal terms is what float32 rounds worst
        return torch.full_like(noise, -3.3).index_fill_(1, torch.tensor([classes // 2]), 0.1)
    if kind == "ahead":  # losses down to e^-100
        return noise.scatter(1, labels[:, None], torch.linspace(0, 80, rows)[:, None])
    return noise


@pytest.mark.parametrize("kind", ["normal", "wide", "equal", "ahead"])
@pytest.mark.parametrize("classes", [2, 10, 16, 1000, 100_000])
def test_exact_in_every_sample(classes: int, kind: str) -> None:
    rows = 16 if classes <= 1000 else 3
    labels = torch.arange(rows) * 7 % classes
    scores = scores_of(kind, rows, classes, labels).requires_grad_()
    for margin in MARGINS if classes <= 1000 else (0, 0.3, 50):
        loss = SMSoftmaxLoss(margin, normalization="NONE")
        losses = torch.stack([loss(row[None], label[None]) for row, label in zip(scores, labels, strict=True)])
        (gradient,) = torch.autograd.grad(loss(scores, labels), scores)
        true_losses, true_gradient = exact(scores.detach(), labels, margin)
        seen = true_losses > 1e-36  # below, float32 has no digits
        error = (gradient - true_gradient).abs() / true_gradient.abs().amax(1, keepdim=True)
        assert ((losses - true_losses).abs() / true_losses)[seen].max() < TOLERANCE
        assert error[seen].max() < TOLERANCE
        assert error.gather(1, labels[:, None])[seen].max() < TOLERANCE


def test_a_million_classes() -> None:
    scores = torch.randn(1, 10**6, requires_grad=True)
    loss = SMSoftmaxLoss(margin=1.0)(scores, torch.tensor([5]))
    true_loss, _ = exact(scores.detach(), torch.tensor([5]), 1.0)
    assert abs(loss.item() / true_loss.item() - 1) < TOLERANCE


@pytest.mark.parametrize(
    ("shape", "axis"),
    [((4, 7), 1), ((4, 20), -1), ((2, 20, 3, 5), 1), ((2, 3, 7), 2), ((7, 3), 0), ((2, 3, 20, 5), -2)],
)
@pytest.mark.parametrize("float_labels", [True, False])
def test_without_margin_it_is_softmax_loss(shape: tuple[int, ...], axis: int, float_labels: bool) -> None:
    scores = torch.randn(shape).transpose(0, -1).contiguous().transpose(0, -1).requires_grad_()  # not contiguous
    places = [size for i, size in enumerate(shape) if i != axis % len(shape)]
    labels = torch.randint(shape[axis], places)
    loss = SMSoftmaxLoss(axis=axis)(scores, labels.float() if float_labels else labels)
    rows = scores.movedim(axis, -1).reshape(-1, shape[axis])
    expected = F.cross_entropy(rows, labels.reshape(-1))
    same(loss, expected)
    same(torch.autograd.grad(loss, scores)[0], torch.autograd.grad(expected, scores)[0])


@pytest.mark.parametrize(
    ("arguments", "divisor"),
    [
        ({}, 24),
        ({"ignore_label": 1}, 16),
        ({"ignore_label": 1, "normalization": "FULL"}, 24),
        ({"ignore_label": 1, "normalization": "BATCH_SIZE"}, 4),
        ({"ignore_label": 1, "normalize": False}, 4),
        ({"ignore_label": 1, "normalize": True}, 16),
        ({"normalization": "NONE", "normalize": False}, 1),
    ],
)
def test_normalisations(arguments: dict[str, object], divisor: int) -> None:
    scores, labels = torch.randn(4, 3, 6, requires_grad=True), (torch.arange(24) % 3).reshape(4, 6)
    loss = SMSoftmaxLoss(margin=0.7, **arguments)(scores, labels)
    rows, y = scores.movedim(1, 2).reshape(24, 3), labels.reshape(-1)
    counts = (y != arguments.get("ignore_label", -1)).double()
    losses, gradient = exact(rows.detach(), y, 0.7)
    same(loss, (losses * counts).sum() / divisor)
    expected = (gradient * counts[:, None] / divisor).reshape(4, 6, 3).movedim(2, 1)
    same(torch.autograd.grad(loss, scores)[0], expected)


@pytest.mark.parametrize("classes", [4, 20])
@pytest.mark.parametrize("arguments", [{}, {"ignore_label": 2, "normalization": "BATCH_SIZE"}])
def test_finite_differences(classes: int, arguments: dict[str, object]) -> None:
    scores = torch.randn(5, classes, 3, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(4, (5, 3))
    for margin in (0.0, 0.3, 5.0, 50.0):
        assert torch.autograd.gradcheck(lambda z: SMSoftmaxLoss(margin, **arguments)(z, labels), scores)  # noqa: B023


def test_backward_twice_gives_the_same() -> None:
    scores = torch.randn(5, 20, requires_grad=True)
    loss = SMSoftmaxLoss(margin=0.3)(scores, torch.arange(5))
    first = torch.autograd.grad(loss, scores, retain_graph=True)[0].clone()
    assert torch.equal(first, torch.autograd.grad(loss, scores)[0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    scores = torch.randn(5, 20).to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=dtype):
        loss = SMSoftmaxLoss(margin=0.3)(scores, torch.arange(5))
    loss.backward()
    assert loss.dtype == torch.float32
    same(loss, exact(scores.detach(), torch.arange(5), 0.3)[0].mean())
    assert scores.grad is not None
    assert scores.grad.dtype == dtype


@pytest.mark.parametrize("classes", [1, 2, 20])
def test_where_no_other_class_is_possible_the_loss_is_zero(classes: int) -> None:
    scores = torch.full((3, classes), -math.inf).index_fill_(1, torch.tensor([0]), 1.5).requires_grad_()
    loss = SMSoftmaxLoss(margin=5.0)(scores, torch.zeros(3))
    assert loss.item() == 0
    assert not torch.autograd.grad(loss, scores)[0].any()


def test_nothing_to_learn_from_gives_zero() -> None:
    for loss, rows in ((SMSoftmaxLoss(0.3), 0), (SMSoftmaxLoss(0.3, ignore_label=4), 3)):
        scores = torch.randn(rows, 5, requires_grad=True)
        total = loss(scores, torch.full((rows,), 4.0))
        assert total.item() == 0
        assert not torch.autograd.grad(total, scores)[0].any()


def test_second_top_is_the_plain_softmax_without_gradient() -> None:
    net = load_net(
        'layer { name: "x" type: "Input" top: "x" top: "l" input_param { shape { dim: 3 dim: 5 } shape { dim: 3 } } }'
        'layer { name: "loss" type: "SMSoftmaxLoss" bottom: "x" bottom: "l" top: "loss" top: "prob"'
        " smsoftmax_param { margin: 2 } }"
    )
    scores = torch.randn(3, 5, requires_grad=True)
    tops = net(x=scores, l=torch.arange(3.0))
    same(tops["prob"], torch.softmax(scores, 1))
    assert not tops["prob"].requires_grad
    same(net.loss, tops["loss"])


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("lead", [0.0, 60.0])
@pytest.mark.parametrize("text", ["smsoftmax_param { margin: 20 }", "loss_param { ignore_label: 2 }"])
def test_onnx(opset: int, lead: float, text: str) -> None:
    net = load_net(
        'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 6 dim: 5 dim: 2 } } }\n'
        'layer { name: "l" type: "Input" top: "l" input_param { shape { dim: 6 dim: 2 } } }'
        f'layer {{ name: "loss" type: "SMSoftmaxLoss" bottom: "x" bottom: "l" top: "loss" {text} }}'
    )
    labels = (torch.arange(12) % 5).reshape(6, 2)
    scores = torch.randn(6, 5, 2, generator=torch.Generator().manual_seed(2))
    inputs = {"x": scores + lead * F.one_hot(labels, 5).movedim(2, 1), "l": labels.float()}
    same(run_onnx(lowered(net, opset), inputs)["loss"], net(**inputs)["loss"])


@pytest.mark.parametrize("margin", [-0.1, math.inf, math.nan])
def test_margin_out_of_range(margin: float) -> None:
    refused(f"margin {margin} is out of range; accepted: 0", lambda: SMSoftmaxLoss(margin))


@pytest.mark.parametrize("label", [20.0, -1.0, math.nan])
def test_label_out_of_range(label: float) -> None:
    with pytest.raises(NetError, match=rf"label {label:g} at \[1\] .* 0 to 19, or the ignore_label 255; .* num_output"):
        SMSoftmaxLoss(ignore_label=255)(torch.randn(3, 20), torch.tensor([3.0, label, 255.0]))


def test_compiles() -> None:
    loss = SMSoftmaxLoss(margin=0.3, ignore_label=1)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    scores, labels = torch.randn(6, 20, requires_grad=True), torch.arange(6.0)
    same(compiled(scores, labels), loss(scores, labels))
    gradients = [torch.autograd.grad(f(scores, labels), scores)[0] for f in (compiled, loss)]
    same(*gradients)
