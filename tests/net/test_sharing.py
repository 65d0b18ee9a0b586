"""Parameters shared by name."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

from caffe_compat.errors import NetError
from caffe_compat.net import Net
from tests.net.making import build, fc, random, source

FLAT = source(sizes=(2, 6))
PERMISSIVE = "share_mode: PERMISSIVE"


def two(first: str = "", second: str = "", counts: tuple[int, int] = (3, 3)) -> Net:
    """Two InnerProducts; the text of the first ``param`` of each."""
    specs = [f'param {{ name: "w" {more} }}' for more in (first, second)]
    return build(FLAT, fc("a", "data", counts[0], specs[0]), fc("b", "data", counts[1], specs[1]), phase="TRAIN")


def test_one_blob_in_two_layers() -> None:
    net = two()
    assert net.layer("a").weight is net.layer("b").weight
    assert [(p.layer, p.blob_name) for p in net.learnable] == [("a", "weight"), ("a", "bias"), ("b", "bias")]
    assert list(dict(net.named_parameters())) == ["a.weight", "a.bias", "b.bias"]
    assert list(net.state_dict()) == ["a.weight", "a.bias", "b.weight", "b.bias"]


def test_gradients_add_up() -> None:
    net = two()
    data = random(2, 6)
    out = net(data)
    (out["a"].sum() + 10 * out["b"].sum()).backward()
    assert torch.allclose(net.layer("a").weight.grad, 11 * data.sum(0).expand(3, 6), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("first", "second", "lr", "decay"),
    [("", "", 1, 1), ("lr_mult: 2", "", 2, 1), ("", "lr_mult: 2", 2, 1), ("lr_mult: 2", "lr_mult: 2", 2, 1),
     ("decay_mult: 0", "lr_mult: 3", 3, 0)],
)  # fmt: skip
def test_factors(first: str, second: str, lr: float, decay: float) -> None:
    param = two(first, second).learnable[0]
    assert (param.lr_mult, param.decay_mult) == (lr, decay)


@pytest.mark.parametrize(
    ("first", "second", "counts", "expected"),
    [
        (
            "",
            "",
            (3, 4),
            r"layer 'b' .*cannot share param 'w' of layer 'a': its shape there is \[3, 6\], here \[4, 6\]",
        ),
        ("", PERMISSIVE, (3, 4), r"accepted: equal shapes, or equal counts"),
        ("lr_mult: 1", "lr_mult: 2", (3, 3), "shared param 'w' has lr_mult 2 here and 1 in layer 'a'"),
        ("decay_mult: 1", "decay_mult: 2", (3, 3), "shared param 'w' has decay_mult 2 here and 1 in layer 'a'"),
    ],
)
def test_what_cannot_be_shared(first: str, second: str, counts: tuple[int, int], expected: str) -> None:
    with pytest.raises(NetError, match=expected):
        two(first, second, counts)


def permissive() -> Net:
    """A weight of 3 x 4, used as 2 x 6."""
    return build(source("x", (5, 4)), source("y", (5, 6)), fc("a", "x", 3, 'param { name: "w" }'),
                 fc("b", "y", 2, f'param {{ name: "w" {PERMISSIVE} }}'), phase="TRAIN")  # fmt: skip


def test_permissive_sharing_of_another_shape() -> None:
    net = permissive()
    owner, sharer = net.layer("a").weight, net.layer("b").weight
    assert (owner.shape, sharer.shape) == ((3, 4), (2, 6))
    with torch.no_grad():
        owner.mul_(2).add_(1)
    x, y = random(5, 4), random(5, 6)
    out = net(x, y)
    expected = torch.nn.functional.linear(y, owner.view(2, 6), net.layer("b").bias)
    assert torch.allclose(out["b"], expected)
    (out["a"].sum() + out["b"].sum()).backward()
    assert torch.allclose(owner.grad, x.sum(0).expand(3, 4) + y.sum(0).expand(2, 6).reshape(3, 4), atol=1e-5)


@pytest.mark.parametrize("make", [two, permissive])
@pytest.mark.parametrize(
    "change",
    [
        copy.deepcopy,
        lambda net: pickle.loads(pickle.dumps(net)),
        lambda net: net.double().float(),
        lambda net: (net.load_state_dict(copy.deepcopy(net.state_dict())), net)[1],
        lambda net: (net.load_state_dict(copy.deepcopy(net.state_dict()), assign=True), net)[1],
    ],
    ids=["deepcopy", "pickle", "double", "load_state_dict", "assign"],
)
def test_sharing_outlasts(make, change) -> None:  # type: ignore[no-untyped-def]
    net = make()
    inputs = [random(*net.shapes[name]) for name in net.inputs]
    net(*inputs)
    changed = change(net)
    expected = changed(*inputs)["b"]
    with torch.no_grad():
        changed.layer("a").weight.zero_()
    found = changed(*inputs)["b"]
    assert not torch.equal(found, expected)
    assert torch.equal(found, changed.layer("b").bias.expand_as(found))


@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        ("param { } param { } param { }", r"has 3 param \{ \} entries for 2 blob"),
        ('param { name: "w" } ' * 2, r"cannot share param 'w' of layer 'a': .*\[3, 6\], here \[3\]"),
    ],
)  # fmt: skip
def test_param_specs(specs: str, expected: str) -> None:
    with pytest.raises(NetError, match=expected):
        build(FLAT, fc("a", "data", 3, specs))


def test_statistics_cannot_be_learned() -> None:
    from tests.net.making import layer

    with pytest.raises(NetError, match=r"param 0 \('mean'\) has lr_mult 1: the layer computes this blob itself"):
        build(source(), layer("bn", "BatchNorm", "data", "bn", "param { lr_mult: 1 }"))
