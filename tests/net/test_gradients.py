"""Loss weights, and where gradients flow."""

from __future__ import annotations

import pytest
import torch

from caffe_compat.errors import NetError
from caffe_compat.net import Net
from caffe_compat.net.gradients import check_backward
from tests.net.making import build, fc, layer, random, source

FLAT, LABEL = source(sizes=(4, 6)), source("label", (4,))
DATA, LABELS = random(4, 6), torch.tensor([0.0, 2.0, 1.0, 2.0])


def losses(
    more: str = "",
    tops: str = "loss",
    other: str = "",
    before: str = "",
    force: bool = False,
    type: str = "SoftmaxWithLoss",
) -> Net:
    """data -> a -> b -> SoftmaxWithLoss, with texts for the loss, for ``b`` and for ``a``."""
    return build(
        "force_backward: true" if force else "", FLAT, LABEL, fc("a", "data", 5, before), fc("b", "a", 3, other),
        layer("loss", type, "b label", tops, more), phase="TRAIN",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("more", "tops", "weights"),
    [
        ("", "loss", [1]), ("", "", [1]), ("loss_weight: 2.5", "loss", [2.5]), ("loss_weight: 0", "loss", [0]),
        ("loss_weight: -1", "loss", [-1]), ("", "loss prob", [1, 0]),
        ("loss_weight: 1 loss_weight: 0", "loss prob", [1, 0]),
        ("loss_weight: 1 loss_weight: 0.5", "loss prob", [1, 0.5]),
    ],
)  # fmt: skip
def test_loss_weights(more: str, tops: str, weights: list[float]) -> None:
    net = losses(more, tops, type="SMSoftmaxLoss")  # margin 0, which takes a second top
    assert net.nodes[-1].loss_weights == weights
    net.keep_blobs = True
    net(DATA, LABELS)
    loss = torch.nn.functional.cross_entropy(net.blobs["b"], LABELS.long())
    expected = weights[0] * loss + (4 * weights[1] if len(weights) > 1 else 0)  # probabilities of 4 rows sum up to 4
    assert torch.allclose(net.loss, torch.as_tensor(expected), atol=1e-5)


@pytest.mark.parametrize("more", ["loss_weight: 1 loss_weight: 1"])
def test_another_number_of_loss_weights_is_refused(more: str) -> None:
    with pytest.raises(NetError, match=r"layer 'loss' .*loss_weight is given 2 time\(s\) for 1 top"):
        losses(more)


def test_any_top_may_be_a_loss() -> None:
    net = build(FLAT, fc("a", "data", 5, "loss_weight: 0.5"), phase="TRAIN")
    out = net(DATA)["a"]
    assert torch.allclose(net.loss, 0.5 * out.sum())


def test_without_a_loss_everything_has_gradients_and_the_loss_is_zero() -> None:
    net = build(FLAT, fc("a", "data", 5))
    assert net(DATA)["a"].requires_grad
    assert float(net.loss) == 0


def gradients(net: Net) -> dict[str, bool]:
    net(DATA, LABELS)
    net.loss.backward()
    return {name: blob.grad is not None and bool(blob.grad.abs().sum() > 0) for name, blob in net.named_parameters()}


ALL = {"a.weight", "a.bias", "b.weight", "b.bias"}
CUTS = [
    # other (b), before (a), force_backward, the blobs that get a gradient
    ("", "", False, ALL),
    ("propagate_down: false", "", False, {"b.weight", "b.bias"}),
    ("propagate_down: false", "", True, ALL),
    ("propagate_down: true", "", False, ALL),
    ("param { lr_mult: 0 }", "", False, {"a.weight", "a.bias", "b.bias"}),
    ("param { lr_mult: 0 }", "", True, ALL),
    ("", "param { lr_mult: 0 } param { lr_mult: 0 }", False, {"b.weight", "b.bias"}),
]


@pytest.mark.parametrize(("other", "before", "force", "expected"), CUTS)
def test_cuts(other: str, before: str, force: bool, expected: set[str]) -> None:
    found = gradients(losses(other=other, before=before, force=force))
    assert {name for name, flows in found.items() if flows} == expected


def test_a_branch_without_a_loss_runs_without_a_graph() -> None:
    net = build(FLAT, LABEL, fc("a", "data", 3), layer("loss", "SoftmaxWithLoss", "a label", "loss"),
                fc("side", "a", 3), phase="TRAIN")  # fmt: skip
    out = net(DATA, LABELS)
    assert out["loss"].requires_grad
    assert not out["side"].requires_grad
    assert [node.needs_backward for node in net.nodes if node.name in ("a", "side")] == [True, False]


def test_a_blob_of_the_same_name_is_followed_to_its_maker() -> None:
    """In place, below a loss: the layer before the in-place one still gets its gradient."""
    net = build(FLAT, LABEL, fc("a", "data", 3), layer("r", "Sigmoid", "a", "a"),
                layer("loss", "SoftmaxWithLoss", "a label", "loss"), phase="TRAIN")  # fmt: skip
    assert all(gradients(net).values())


def test_labels_get_no_gradient() -> None:
    net = losses(force=True)
    label = LABELS.clone().requires_grad_()
    net(DATA, label)
    net.loss.backward()
    assert label.grad is None


def test_propagate_down_is_given_for_none_or_each() -> None:
    with pytest.raises(NetError, match=r"propagate_down is given 1 time\(s\) for 2 bottom\(s\); accepted: none, or on"):
        losses("propagate_down: true")


@pytest.mark.parametrize(("frozen", "graded"), [([0, 0, 0], ()), ([0, 1, 0], (0, 1, 2)), ([1, 1, 1], (0, 1, 2))])
def test_a_recurrent_layer_has_gradients_for_all_its_blobs_or_for_none(
    frozen: list[int], graded: tuple[int, ...]
) -> None:
    """Its backward pass does not ask which blobs have lr_mult 0; they count in clip_gradients."""
    specs = " ".join(f"param {{ lr_mult: {rate} }}" for rate in frozen)
    more = 'recurrent_param { num_output: 2 weight_filler { type: "xavier" } } loss_weight: 1 ' + specs
    net = build(source(sizes=(3, 2, 4)), source("cont", (3, 2)), layer("l", "LSTM", "data cont", "h", more))
    net(random(3, 2, 4), torch.ones(3, 2))
    if net.loss.requires_grad:
        net.loss.backward()
    blobs = net.layer("l").blobs
    assert tuple(i for i, blob in enumerate(blobs) if blob.grad is not None and blob.grad.any()) == graded


# ---- losses that other layers read, as Caffe's InsertSplits and SetLossWeights treat them


def read_loss(loss: str = "", reader: str = "", kind: str = "Power") -> tuple[float, float]:
    """The net's loss and the gradient's factor, in units of the loss itself, where a layer reads the loss's top."""
    top = "twice" if kind != "Silence" else ""
    parts = [FLAT, LABEL, fc("a", "data", 3), layer("loss", "SoftmaxWithLoss", "a label", "loss", loss)]
    plain = build(*parts[:3], layer("loss", "SoftmaxWithLoss", "a label", "loss"), phase="TRAIN")
    net = build(*parts, layer("reader", kind, "loss", top, reader), phase="TRAIN")
    found = []
    for made in (net, plain):
        made(DATA, LABELS)
        if made.loss.requires_grad:
            made.loss.backward()
        gradient = made.layer("a").weight.grad
        found += [float(made.loss.detach()), 0.0 if gradient is None else float(gradient[0, 0])]
    return found[0] / found[2], found[1] / found[3]


TWICE = "power_param { scale: 2 } loss_weight: 1"


@pytest.mark.parametrize(
    ("loss", "reader", "kind", "value", "factor"),
    [
        ("", TWICE, "Power", 3, 2),  # the reader's gradient takes the place of the loss's own
        ("loss_weight: 0.5", TWICE, "Power", 3.5, 2.5),  # 0.5 on the Split, 1 again on the loss layer
        ("loss_weight: 0", TWICE, "Power", 2, 2),
        ("", "", "Silence", 1, 0),
        ("loss_weight: 1", "", "Silence", 2, 1),
        ("", "", "Power", 1, 0),
    ],
)
def test_a_loss_that_is_read(loss: str, reader: str, kind: str, value: float, factor: float) -> None:
    assert read_loss(loss, reader, kind) == pytest.approx((value, factor), rel=1e-5)


def test_a_read_top_with_a_loss_weight_takes_those_of_its_layers_other_tops() -> None:
    tops = layer("s", "Slice", "a", "p q", "slice_param { axis: 1 } loss_weight: 2 loss_weight: 3")
    net = build(FLAT, fc("a", "data", 4), tops, layer("r", "Power", "p", "r"), phase="TRAIN")
    net.keep_blobs = True
    net(DATA)
    assert torch.allclose(net.loss, 2 * net.blobs["p"].sum())
    net.loss.backward()
    assert net.layer("a").bias.grad.tolist() == [8, 8, 0, 0]


# ---- where Caffe's backward pass ends the program


def checked(*layers: str, force: bool = False) -> None:
    net = build("force_backward: true" if force else "", FLAT, LABEL, *layers, phase="TRAIN")
    check_backward(net.nodes, force)


SCORES = fc("a", "data", 3)
LOSS = layer("loss", "SoftmaxWithLoss", "a label", "loss")


def test_a_gradient_of_labels_is_refused() -> None:
    learned = [SCORES, fc("b", "data", 3), layer("l", "SigmoidCrossEntropyLoss", "a b", "l")]
    with pytest.raises(NetError, match=r"layer 'l' .*a gradient of bottom 1 \('b'\), because of what is learned below"):
        checked(*learned)
    cut = "propagate_down: true propagate_down: false"
    checked(*learned[:2], layer("l", "SigmoidCrossEntropyLoss", "a b", "l", cut))
    checked(SCORES, fc("b", "data", 3, "param { lr_mult: 0 } param { lr_mult: 0 }"), learned[2])
    checked(*learned[:2], layer("l", "SigmoidCrossEntropyLoss", "a b", "l", "loss_weight: 0"))
    with pytest.raises(NetError, match=r"bottom 1 \('label'\), because of propagate_down: true; the layer has none"):
        checked(SCORES, layer("l", "SoftmaxWithLoss", "a label", "l", "propagate_down: true propagate_down: true"))


def test_a_gradient_through_a_step_is_refused() -> None:
    step = layer("t", "Threshold", "a", "t")
    with pytest.raises(NetError, match=r"layer 't' .*propagate_down: false for bottom 0"):
        checked(SCORES, step, layer("l", "SoftmaxWithLoss", "t label", "l"))
    checked(SCORES, step, LOSS)
    checked(layer("t", "Threshold", "data", "t"), fc("a", "t", 3), LOSS)


def test_force_backward_asks_also_where_there_is_none() -> None:
    accuracy = layer("acc", "Accuracy", "a label", "acc")
    checked(SCORES, LOSS, accuracy)
    checked(SCORES, LOSS, force=True)
    with pytest.raises(NetError, match=r"layer 'acc' .*because of force_backward; the layer has none; accepted: no"):
        checked(SCORES, LOSS, accuracy, force=True)


def test_a_loss_without_values_is_refused() -> None:
    text = layer("relu", "ReLU", "data", "relu", "loss_weight: 1")
    with pytest.raises(NetError, match=r"layer 'relu' .* top 'relu' has a loss weight, but its shape \[0, 3\] holds"):
        build(source(sizes=(0, 3)) + text)
