"""BatchNorm and Scale as one operator: outputs, gradients and statistics as one by one."""

from __future__ import annotations

import copy

import pytest
import torch

from caffe_compat.net import Net
from caffe_compat.net.fuse import NormalizeAndScale
from tests.net.making import assert_same, build, layer, passed, random, source

NORM = ("bn", "BatchNorm", "data", "bn")
SCALE = 'scale_param { bias_term: true filler { type: "gaussian" std: 1 } bias_filler { type: "gaussian" std: 1 } }'


def pair(norm: str = "", scale: str = SCALE, sizes: tuple[int, ...] = (4, 5, 3, 2), phase: str = "TRAIN") -> Net:
    return build(source(sizes=sizes), layer(*NORM, norm), layer("sc", "Scale", "bn", "sc", scale), phase=phase)


def fused(net: Net) -> int:
    return sum(isinstance(node.layer, NormalizeAndScale) for node in net._fused)


@pytest.mark.parametrize("sizes", [(4, 5, 3, 2), (6, 5), (3, 5, 7), (2, 1, 4, 3), (1, 5, 4, 3)])
@pytest.mark.parametrize(
    ("norm", "phase"),
    [
        ("", "TRAIN"), ("", "TEST"), ("batch_norm_param { use_global_stats: true }", "TRAIN"),
        ("batch_norm_param { use_global_stats: false }", "TEST"),
        ("batch_norm_param { eps: 0.1 moving_average_fraction: 0.5 }", "TRAIN"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("bias", [True, False])
def test_the_same_as_unfused(sizes: tuple[int, ...], norm: str, phase: str, bias: bool) -> None:
    one = pair(norm, SCALE if bias else SCALE.replace("bias_term: true", ""), sizes, phase)
    for index, blob in enumerate(one.layer("bn").blobs):
        blob.copy_(random(*blob.shape, seed=index).abs() + 1)
    two = copy.deepcopy(one)
    two.keep_blobs = True
    assert fused(one) == 1
    for seed in range(2):  # the statistics move
        data = random(*sizes, seed=seed)
        assert_same(passed(one, data), passed(two, data), 2e-5)
    assert set(two.blobs) == {"data", "bn", "sc"}
    assert set(one.blobs) == {"sc"}


@pytest.mark.parametrize(
    ("layers", "count"),
    [
        ([layer(*NORM), layer("sc", "Scale", "bn", "sc", SCALE)], 1),
        ([layer("bn", "BatchNorm", "data", "data"), layer("sc", "Scale", "data", "data", SCALE)], 1),
        ([layer(*NORM), layer("sc", "Scale", "bn", "bn", SCALE), layer("x", "ReLU", "bn", "x")], 1),
        ([layer(*NORM), layer("sc", "Scale", "bn", "sc", SCALE), layer("x", "ReLU", "bn", "x")], 0),
        ([layer(*NORM), layer("x", "ReLU", "bn", "bn"), layer("sc", "Scale", "bn", "sc", SCALE)], 0),
        ([layer(*NORM, "loss_weight: 1"), layer("sc", "Scale", "bn", "sc", SCALE)], 0),
        ([layer(*NORM), layer("sc", "Scale", "bn", "sc", SCALE + " propagate_down: false")], 0),
        ([layer(*NORM), layer("sc", "Scale", "bn", "sc", "scale_param { axis: 2 }")], 0),
        ([layer(*NORM), layer("sc", "Scale", "bn", "sc", "scale_param { axis: 0 num_axes: 2 }")], 0),
        ([layer(*NORM), layer("sc", "Scale", "bn", "sc", "scale_param { axis: -3 }")], 1),
        ([layer(*NORM), layer("sc", "Scale", "bn bn", "sc", "scale_param { axis: 0 }")], 0),
        ([layer(*NORM), layer("p", "Split", "data", "p q"), layer("sc", "Scale", "bn", "sc", SCALE)], 0),
    ],
)  # fmt: skip
def test_which_pairs_are_fused(layers: list[str], count: int) -> None:
    net = build(source(sizes=(4, 5, 3, 2)), *layers, phase="TRAIN")
    assert fused(net) == count
    if not count:
        return
    two = copy.deepcopy(net)
    two.keep_blobs = True
    data = random(4, 5, 3, 2)
    assert_same(passed(net, data), passed(two, data), 2e-5)


def test_a_scale_that_is_a_view_of_another_blob_is_not_fused() -> None:
    own, share = 'param { name: "w" }', 'param { name: "w" share_mode: PERMISSIVE }'
    owner = layer("o", "Parameter", "", "o", f"parameter_param {{ shape {{ dim: 2 dim: 3 }} }} {own}")
    scale = layer("sc", "Scale", "bn", "sc", share)
    net = build(source(sizes=(4, 6, 3, 2)), owner, layer(*NORM), scale, phase="TRAIN")
    torch.nn.init.ones_(net.layer("o").blobs[0])
    net(random(4, 6, 3, 2))["sc"].square().sum().backward()
    assert fused(net) == 0
    assert net.layer("o").blobs[0].grad.abs().sum() > 0


def test_train_and_eval_switch_the_pair() -> None:
    net = pair()
    net(random(4, 5, 3, 2))
    statistics = [blob.clone() for blob in net.layer("bn").blobs]
    net.eval()
    net(random(4, 5, 3, 2, seed=1))
    assert all(map(torch.equal, statistics, net.layer("bn").blobs))
