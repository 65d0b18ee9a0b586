"""The displayed loss."""

from __future__ import annotations

import math

import numpy as np
import torch

from caffe_compat.solver.losses import LossMeter, SmoothedLoss


def test_average_of_the_last_losses() -> None:
    losses = np.random.default_rng(1).random(20)
    smoothed = SmoothedLoss(4)
    for i, loss in enumerate(losses):
        smoothed.add(loss)
        assert abs(float(smoothed.average) - losses[max(0, i - 3) : i + 1].mean()) < 1e-6


def test_state_continues_exactly() -> None:
    losses = np.random.default_rng(2).random(30)
    for taken in (1, 3, 4, 9):
        first = SmoothedLoss(4)
        for loss in losses[:taken]:
            first.add(loss)
        second = SmoothedLoss(4, first.state)
        for loss in losses[taken:]:
            first.add(loss)
            second.add(loss)
            assert first.average == second.average


def test_meter_reads_all_losses_and_warns_once() -> None:
    """More losses than the buffer holds; the mean over iter_size; the first that is not finite is told."""
    told: list[tuple[int, float]] = []
    meter = LossMeter(2, torch.device("cpu"), lambda iteration, loss: told.append((iteration, loss)))
    meter.start()
    for i in range(3000):
        meter.add(i, [torch.tensor(float(i)), torch.tensor(i + 2.0)])
    assert meter.average == 2999.5
    meter.add(3000, [torch.tensor(math.inf)])
    meter.add(3001, [torch.tensor(math.nan)])
    assert math.isnan(meter.average)
    assert told == [(3000, math.inf)]
