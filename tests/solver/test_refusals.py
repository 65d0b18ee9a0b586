"""What a solver file may not say: the place, the value, what is accepted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from caffe_compat.errors import CaffeCompatError, NetError, SolverError, WeightsError
from tests.solver.making import NET, Run, make_experiment

REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"type": '"Lion"'}, "unknown solver type 'Lion'; known types: AdaDelta, AdaGrad, Adam, Nesterov, RMSProp, SGD"),
    ({"type": '"sgd"'}, "unknown solver type 'sgd'; known types"),
    ({"lr_policy": '"cosine"'}, "unknown learning-rate policy 'cosine'; known: fixed, step, exp, inv, multistep, poly"),
    ({"lr_policy": None}, "lr_policy is missing; known: fixed, step"),
    ({"regularization_type": '"L3"'}, "unknown regularization type 'L3'; accepted: L1, L2"),
    ({"type": '"AdaGrad"'}, "momentum cannot be used with AdaGrad"),
    ({"type": '"RMSProp"'}, "momentum cannot be used with RMSProp"),
    ({"type": '"RMSProp"', "momentum": None, "rms_decay": 1}, "rms_decay is 1; accepted: below 1"),
    ({"type": '"RMSProp"', "momentum": None, "rms_decay": -0.5}, "rms_decay is -0.5; accepted: 0 or more"),
    ({"type": '"Adam"', "momentum": 1}, "momentum is 1; accepted: below 1"),
    ({"type": '"Adam"', "momentum2": -3}, "momentum2 is -3; accepted: 0 or more"),
    ({"stepsize": 0}, "stepsize is 0; accepted: 1 or more"),
    ({"lr_policy": '"sigmoid"', "gamma": -1}, "gamma is -1; accepted: 0 or more"),
    ({"lr_policy": '"sigmoid"', "stepsize": 0}, "stepsize is 0; accepted: 1 or more"),
    ({"iter_size": 0}, "iter_size is 0; accepted: 1 or more"),
    ({"average_loss": 0}, "average_loss is 0; accepted: 1 or more"),
    (
        {"net": None},
        "the train net must be given by exactly one of net, net_param, train_net, train_net_param; found none",
    ),
    ({"train_net": '"net.prototxt"'}, "found 2: net, train_net"),
    ({"test_interval": None}, "test_iter is given but test_interval is not"),
    ({"net": None, "train_net": '"net.prototxt"'}, "test_iter is given 1 time(s) for 0 test net(s)"),
    ({"test_iter": None, "test_net": '"net.prototxt"'}, "test_iter is given 0 time(s) for 1 test net(s)"),
    ({"test_state": '{ stage: "a" } test_state { stage: "b" }'}, "test_state is given 2 time(s) for 1 test net(s)"),
    ({"net": '"ne.prototxt"'}, "there is no file ne.prototxt"),
]


@pytest.mark.parametrize(("changes", "expected"), REFUSALS, ids=[text[:40] for _, text in REFUSALS])
def test_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], expected: str) -> None:
    monkeypatch.chdir(tmp_path)
    path = make_experiment(tmp_path, **changes)
    with pytest.raises(CaffeCompatError) as refusal:
        Run(path)
    assert expected in str(refusal.value)
    assert "prototxt" in str(refusal.value)


def test_the_place_is_file_and_line(tmp_path: Path) -> None:
    path = make_experiment(tmp_path, lr_policy='"cosine"')
    with pytest.raises(SolverError, match=r"solver\.prototxt:3:1: unknown learning-rate policy"):
        Run(path)


def test_hdf5_snapshots_refuse_names_with_a_slash(tmp_path: Path) -> None:
    net = NET.replace('"fc" type', '"fc/1" type')
    with pytest.raises(WeightsError, match=r"layer 'fc/1' .*HDF5 cannot store a layer of this name"):
        Run(make_experiment(tmp_path, net, snapshot_format="HDF5"))


def test_weights_and_snapshot_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(SolverError, match="weights and snapshot are both given"):
        Run(make_experiment(tmp_path), weights="a.caffemodel", snapshot="a.solverstate")


def test_shared_layers_must_have_equal_shapes(tmp_path: Path) -> None:
    """Train and test phase with different sizes of the same layer."""
    net = NET.replace(
        'layer { name: "loss"',
        'layer { name: "extra" type: "InnerProduct" bottom: "fc" top: "e" inner_product_param { num_output: 2 } '
        'include { phase: TRAIN } }\nlayer { name: "extra" type: "InnerProduct" bottom: "fc" top: "e" '
        'inner_product_param { num_output: 5 } include { phase: TEST } }\nlayer { name: "loss"',
    )
    with pytest.raises(
        SolverError, match=r"layer 'extra' has blobs of shapes \[2, 3\], \[2\] in the train net .* \[5, 3\]"
    ):
        Run(make_experiment(tmp_path, net))


def test_a_net_with_inputs_must_be_fed() -> None:
    text = (
        'net_param { layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } } '
        'layer { name: "loss" type: "InnerProduct" bottom: "x" top: "y" loss_weight: 1 '
        'inner_product_param { num_output: 1 } } } base_lr: 0.1 lr_policy: "fixed"'
    )
    with pytest.raises(SolverError, match=r"the TRAIN net has Input layers \(x\), and nobody feeds them"):
        Run(text).solver.step(1)


def test_labels_that_are_learned_are_refused(tmp_path: Path) -> None:
    """Caffe's backward pass ends the program there."""
    net = NET.replace('layer { name: "loss"', 'layer { name: "loss" propagate_down: true propagate_down: true')
    with pytest.raises(NetError, match=r"net\.prototxt:\d+.*asks for a gradient of bottom 1 .*propagate_down: true"):
        Run(make_experiment(tmp_path, net))
