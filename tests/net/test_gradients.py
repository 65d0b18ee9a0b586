"""Loss weights, and where gradients flow."""

from __future__ import annotations

import pytest
import torch

from caffe_compat.errors import NetError
from caffe_compat.net import Net
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
