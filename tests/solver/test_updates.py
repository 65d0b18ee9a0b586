"""Update rules against their formulas in float64, groups of factors, clipping."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from caffe_compat.api import load_net
from caffe_compat.errors import SolverError
from caffe_compat.proto import pb
from caffe_compat.solver import RULES, update_rule, updater
from caffe_compat.solver.updater import Updater

RATE, MOMENTUM, MOMENTUM2, RMS, DELTA = 0.1, 0.8, 0.95, 0.9, 1e-3
Step = Callable[[Any, Any, list[Any], int], tuple[Any, list[Any]]]


def adam(w: Any, g: Any, h: list[Any], t: int) -> tuple[Any, list[Any]]:
    m, v = MOMENTUM * h[0] + (1 - MOMENTUM) * g, MOMENTUM2 * h[1] + (1 - MOMENTUM2) * g * g
    factor = np.sqrt(1 - MOMENTUM2**t) / (1 - MOMENTUM**t)
    return w - RATE * factor * m / (np.sqrt(v) + DELTA), [m, v]


def adadelta(w: Any, g: Any, h: list[Any], t: int) -> tuple[Any, list[Any]]:
    squares = MOMENTUM * h[0] + (1 - MOMENTUM) * g * g
    step = g * np.sqrt((DELTA + h[1]) / (DELTA + squares))
    return w - RATE * step, [squares, MOMENTUM * h[1] + (1 - MOMENTUM) * step * step]


def nesterov(w: Any, g: Any, h: list[Any], t: int) -> tuple[Any, list[Any]]:
    new = RATE * g + MOMENTUM * h[0]
    return w - ((1 + MOMENTUM) * new - MOMENTUM * h[0]), [new]


def squares(decay: float, share: float) -> Step:
    def step(w: Any, g: Any, h: list[Any], t: int) -> tuple[Any, list[Any]]:
        new = decay * h[0] + share * g * g
        return w - RATE * g / (np.sqrt(new) + DELTA), [new]

    return step


def sgd(w: Any, g: Any, h: list[Any], t: int) -> tuple[Any, list[Any]]:
    new = RATE * g + MOMENTUM * h[0]
    return w - new, [new]


FORMULAS: dict[str, Step] = {
    "SGD": sgd, "Nesterov": nesterov, "AdaGrad": squares(1, 1), "RMSProp": squares(RMS, 1 - RMS),
    "AdaDelta": adadelta, "Adam": adam,
}  # fmt: skip


def solver_param(**fields: Any) -> Any:
    values = {"momentum": MOMENTUM, "momentum2": MOMENTUM2, "rms_decay": RMS, "delta": DELTA, **fields}
    return pb.SolverParameter(**values)


@pytest.mark.parametrize("kind", sorted(RULES))
def test_formula(kind: str) -> None:
    rule = RULES[kind](solver_param())
    random = np.random.default_rng(1)
    shapes = [(3, 4), (5,)]
    expected = [random.normal(size=shape) for shape in shapes]
    state: list[list[Any]] = [[np.zeros(shape) for _ in range(rule.slots)] for shape in shapes]
    params = [torch.tensor(w, dtype=torch.float32) for w in expected]
    history = [[torch.zeros(shape) for shape in shapes] for _ in range(rule.slots)]
    for iteration in range(10):
        grads = [random.normal(size=shape) for shape in shapes]
        rule.update(params, [torch.tensor(g, dtype=torch.float32) for g in grads], history, RATE, iteration)
        for i, g in enumerate(grads):
            expected[i], state[i] = FORMULAS[kind](expected[i], g, state[i], iteration + 1)
    for i in range(len(shapes)):
        np.testing.assert_allclose(params[i].numpy(), expected[i], rtol=2e-5, atol=2e-6)
        for slot in range(rule.slots):
            np.testing.assert_allclose(history[slot][i].numpy(), state[i][slot], rtol=2e-5, atol=1e-7)


NET = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "a" type: "InnerProduct" bottom: "x" top: "a" param { lr_mult: 0 } param { lr_mult: 2 decay_mult: 0 }
  inner_product_param { num_output: 3 weight_filler { type: "gaussian" } } }
layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" loss_weight: 1
  inner_product_param { num_output: 2 weight_filler { type: "gaussian" } } }
layer { name: "dead" type: "InnerProduct" bottom: "x" top: "dead"
  inner_product_param { num_output: 2 weight_filler { type: "gaussian" } } }
"""


def updated(**fields: Any) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Parameters before and after one update with the gradients of ones, and these gradients."""
    net = load_net(NET, phase="TRAIN", seed=1)
    updater = Updater(net.learnable, solver_param(momentum=0, **fields))
    names = {f"{entry.layer}.{entry.index}": entry.tensor for entry in net.learnable}
    before = {name: tensor.detach().clone() for name, tensor in names.items()}
    net(x=torch.ones(2, 3))
    net.loss.backward()
    grads = {name: tensor.grad.clone() for name, tensor in names.items() if tensor.grad is not None}
    updater.apply(0.1, 0)
    return before, {name: tensor.detach() for name, tensor in names.items()}, grads


def test_factors_of_rate_and_decay() -> None:
    """lr_mult 0 stays; lr_mult 2 goes twice as far; decay_mult 0 does not decay; what no gradient reaches decays."""
    before, after, grads = updated(weight_decay=0.5)
    assert torch.equal(after["a.0"], before["a.0"])
    torch.testing.assert_close(after["a.1"], before["a.1"] - 0.2 * grads["a.1"])
    torch.testing.assert_close(after["b.0"], before["b.0"] - 0.1 * (grads["b.0"] + 0.5 * before["b.0"]))
    torch.testing.assert_close(after["dead.0"], before["dead.0"] * (1 - 0.1 * 0.5))


def test_l1() -> None:
    before, after, grads = updated(weight_decay=0.5, regularization_type="L1")
    torch.testing.assert_close(after["b.0"], before["b.0"] - 0.1 * (grads["b.0"] + 0.5 * before["b.0"].sign()))


def test_clip_and_average() -> None:
    """The norm is that of the sum over iter_size."""
    before, after, grads = updated(clip_gradients=0.5, iter_size=4)
    norm = torch.cat([grad.flatten() for grad in grads.values()]).norm()
    assert norm > 0.5
    torch.testing.assert_close(after["b.0"], before["b.0"] - 0.1 * grads["b.0"] * 0.5 / norm / 4)
    before, after, grads = updated(clip_gradients=1e9)
    assert torch.equal(after["b.0"], before["b.0"] - 0.1 * grads["b.0"])
    before, after, _ = updated(clip_gradients=0)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_registering_twice_is_refused() -> None:
    with pytest.raises(SolverError, match="'SGD' is registered twice"):
        update_rule("SGD")(RULES["Adam"])
    assert RULES["Adam"].type == "Adam"


CHAIN = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "a" type: "InnerProduct" bottom: "x" top: "a" inner_product_param { num_output: 4 weight_filler {
  type: "xavier" } } }
layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" inner_product_param { num_output: 5 weight_filler {
  type: "xavier" } } param { lr_mult: 2 } param { lr_mult: 1 } }
"""


@pytest.mark.parametrize("kind", sorted(RULES))
def test_groups_that_fit_into_the_cache_change_no_bit(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for size, groups in ((1, 4), (17, 3), (1 << 40, 2)):
        monkeypatch.setattr(updater, "CACHED", size)
        momentum = 0.0 if kind in ("AdaGrad", "RMSProp") else 0.9
        param = pb.SolverParameter(type=kind, momentum=momentum, delta=1e-4, weight_decay=0.01, clip_gradients=2)
        made = Updater(load_net(CHAIN, "TRAIN", seed=1).learnable, param)
        assert len(made.groups) == groups
        for iteration in range(3):
            for blob in made.params:
                blob.grad = torch.cos(blob.detach() * (iteration + 1))
            made.apply(0.1, iteration)
        results.append([*made.params, *made.history])
    for other in results[1:]:
        assert all(torch.equal(one, two) for one, two in zip(results[0], other, strict=True))
