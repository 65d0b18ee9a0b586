"""The loss that is displayed: the average over the last iterations, computed as Caffe's UpdateSmoothedLoss."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

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


class LossBuffer:
    """Losses of iterations, kept on the device so that nobody waits for them, and read many at once."""

    def __init__(self, device: torch.device) -> None:
        self.losses = torch.zeros(_KEPT, device=device)
        self.count = 0

    @property
    def full(self) -> bool:
        return self.count == _KEPT

    def add(self, losses: list[Tensor]) -> None:
        """The losses of the forward passes of one iteration."""
        slot = self.losses[self.count]
        slot.copy_(losses[0])
        for loss in losses[1:]:
            slot.add_(loss)
        if len(losses) > 1:
            slot.div_(len(losses))
        self.count += 1

    def take(self) -> list[float]:
        """All losses since the last call."""
        values = self.losses[: self.count].tolist()
        self.count = 0
        return values
