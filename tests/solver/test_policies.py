"""Learning-rate policies: the values of the formulas, and what Caffe's own state keeps."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from caffe_compat.errors import SolverError
from caffe_compat.solver.policies import POLICIES, Schedule, lr_policy

FORMULAS: dict[str, tuple[Schedule, Callable[[int], float]]] = {
    "fixed": (Schedule("fixed", 0.1), lambda i: 0.1),
    "step": (Schedule("step", 0.1, gamma=0.3, stepsize=4), lambda i: 0.1 * 0.3 ** (i // 4)),
    "exp": (Schedule("exp", 0.1, gamma=0.9), lambda i: 0.1 * 0.9**i),
    "inv": (Schedule("inv", 0.1, gamma=0.1, power=0.75), lambda i: 0.1 * (1 + 0.1 * i) ** -0.75),
    "multistep": (
        Schedule("multistep", 0.1, gamma=0.5, stepvalues=(3, 7)),
        lambda i: 0.1 * 0.5 ** ((i >= 3) + (i >= 7)),
    ),
    "poly": (Schedule("poly", 0.1, power=0.5, max_iter=20), lambda i: 0.1 * (1 - i / 20) ** 0.5),
    "sigmoid": (Schedule("sigmoid", 0.1, gamma=0.5, stepsize=8), lambda i: 0.1 / (1 + math.exp(-0.5 * (i - 8)))),
}


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_formula(name: str) -> None:
    schedule, formula = FORMULAS[name]
    rates = [schedule.rate(i) for i in range(20)]
    assert rates == pytest.approx([formula(i) for i in range(20)], rel=1e-6)


def test_multistep_advances_one_step_an_iteration() -> None:
    schedule = Schedule("multistep", 1.0, gamma=0.5, stepvalues=(2, 2, 3))
    assert [schedule.rate(i) for i in range(6)] == [1, 1, 0.5, 0.25, 0.125, 0.125]
    assert schedule.current_step == 3


def test_poly_has_power_zero_unless_given() -> None:
    schedule = Schedule("poly", 0.5, max_iter=10)
    assert [schedule.rate(i) for i in (0, 9, 10)] == [0.5, 0.5, 0.5]


@pytest.mark.parametrize("i", [0, 1, 10**6, 2**31 - 1])
def test_extreme_iterations_do_not_fail(i: int) -> None:
    for schedule in (
        Schedule("exp", 0.1, gamma=1.5), Schedule("exp", 0.1), Schedule("sigmoid", 0.1, gamma=9, stepsize=2**31 - 1),
        Schedule("inv", 0.1, gamma=1, power=-3), Schedule("poly", 0.1, power=0.5, max_iter=10),
    ):  # fmt: skip
        assert isinstance(schedule.rate(i), float)


def test_warmup_rises_to_the_rate_of_the_policy() -> None:
    schedule = Schedule("fixed", 1.0, warmup_iter=4, warmup_start_lr=0.2)
    assert [schedule.rate(i) for i in range(6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])


def test_registering_twice_is_refused() -> None:
    with pytest.raises(SolverError, match="'fixed' is registered twice"):
        lr_policy("fixed")(lambda schedule, iteration: 0.0)
