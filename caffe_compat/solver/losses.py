"""The loss that is displayed: the average over the last iterations, computed as Caffe's UpdateSmoothedLoss."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor

from caffe_compat.solver.distributed import Ranks

_KEPT = 1024


class SmoothedLoss:
    """The running average of the last ``average_loss`` losses, in float32 and in Caffe's order of operations.

    ``saved``: what ``state`` of another one gave: the average, then the losses, the oldest first.
    """

    def __init__(self, average_loss: int, saved: Iterable[float] = ()) -> None:
        average, *losses = [np.float32(value) for value in saved] or [np.float32(0)]
        self.size = average_loss
        self.losses = losses[-average_loss:]
        self.average = average
        self.oldest = 0

    def add(self, loss: float) -> None:
        """Take one iteration's loss."""
        value = np.float32(loss)
        with np.errstate(all="ignore"):
            if len(self.losses) < self.size:
                self.losses.append(value)
                count = np.float32(len(self.losses))
                self.average = (self.average * (count - np.float32(1)) + value) / count
            else:
                self.average += (value - self.losses[self.oldest]) / np.float32(self.size)
                self.losses[self.oldest] = value
                self.oldest = (self.oldest + 1) % self.size

    @property
    def state(self) -> list[float]:
        return [float(self.average), *map(float, self.losses[self.oldest :] + self.losses[: self.oldest])]


class LossMeter:
    """The losses of the iterations. They stay on the device, so that nobody waits for them, until they are needed.

    ``warn`` is called once, with the iteration and the loss, when a loss is not finite. ``ranks``: over which the mean
    is taken when the losses are read, which all of them do at the same time.
    """

    def __init__(
        self, average_loss: int, device: torch.device, warn: Callable[[int, float], None], ranks: Ranks | None = None
    ) -> None:
        self._ranks = ranks or Ranks()
        self._size = average_loss
        self._smoothed = SmoothedLoss(average_loss)
        self._continued = False
        self._waiting = torch.zeros(_KEPT, device=device)
        self._iterations: list[int] = []
        self._last = 0  # the slot of the last iteration
        self._warn: Callable[[int, float], None] | None = warn

    def start(self) -> None:
        """Every call of ``Solver.step`` averages anew, as in Caffe; but the first after ``restore`` goes on."""
        if not self._continued:
            self._smoothed = SmoothedLoss(self._size)
        self._continued = False

    def add(self, iteration: int, losses: list[Tensor]) -> None:
        """The losses of the forward passes of one iteration, whose mean counts."""
        self._last = len(self._iterations)
        slot = self._waiting[self._last]
        slot.copy_(losses[0])
        for loss in losses[1:]:
            slot.add_(loss)
        if len(losses) > 1:
            slot.div_(len(losses))
        self._iterations.append(iteration)
        if len(self._iterations) == _KEPT:
            self._settle()

    @property
    def last(self) -> Tensor:
        """The last iteration's loss, on the device; of this process alone."""
        return self._waiting[self._last].clone()

    @property
    def average(self) -> float:
        """The smoothed loss up to the last iteration; waits for the device."""
        self._settle()
        return float(self._smoothed.average)

    @property
    def state(self) -> list[float]:
        """For a snapshot."""
        self._settle()
        return self._smoothed.state

    def restore(self, state: Iterable[float]) -> None:
        """Go on from what ``state`` gave."""
        self._smoothed = SmoothedLoss(self._size, state)
        self._continued = True

    def _settle(self) -> None:
        """Read the losses that wait on the device."""
        iterations, self._iterations = self._iterations, []
        if not iterations:
            return
        waiting = self._waiting[: len(iterations)]
        self._ranks.average([waiting])
        for iteration, loss in zip(iterations, waiting.tolist(), strict=True):
            self._smoothed.add(loss)
            if self._warn is not None and not math.isfinite(loss):
                self._warn(iteration, loss)
                self._warn = None
