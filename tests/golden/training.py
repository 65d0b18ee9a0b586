"""Training as a golden case asks for it: inputs given pass by pass, and what the solver tells in its events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from caffe_compat.proto import read_solver
from caffe_compat.solver import Solver
from caffe_compat.solver.policies import POLICIES
from caffe_compat.solver.updates import RULES
from tests.golden.build import skip_missing, unknown_fields

if TYPE_CHECKING:
    from caffe_compat.solver.log import Event

Inputs = Mapping[str, Tensor]


class Recorder:
    """A solver with its events. ``inputs``: what goes into the net, for each forward pass."""

    def __init__(self, solver: str | Path, inputs: Iterator[Inputs] | None = None) -> None:
        self.events: list[Event] = []
        self.solver = Solver(solver, log=self.events.append)
        self.feed: Callable[[], Inputs] | None = None if inputs is None else lambda: next(inputs)

    def step(self, iterations: int) -> None:
        self.solver.step(iterations, feed=self.feed)

    def rows(self) -> list[list[Any]]:
        """The events as the golden ``events.json`` has them."""
        return [event.row for event in self.events]

    def values(self, kind: str) -> list[float]:
        """The last number of each event of one kind; ``display: 1`` makes one for each iteration."""
        return [event.values[-1] for event in self.events if event.kind == kind]

    @property
    def losses(self) -> np.ndarray:
        return np.array(self.values("train_loss"))

    @property
    def rates(self) -> np.ndarray:
        return np.array(self.values("lr"))

    @property
    def clip_norms(self) -> np.ndarray:
        """For each iteration the norm that was clipped, NaN where none was."""
        norms: list[float] = []
        for event in self.events:
            if event.kind == "train_loss":
                norms.append(np.nan)
            elif event.kind == "clip":
                norms[-1] = event.values[0]
        return np.array(norms)


def skip_missing_solver(solver: str | Path) -> None:
    """Count a case as missing whose solver type, policy of rates, or field (of a fork) is not there."""
    document = read_solver(solver)
    skip_missing([document.message.type], RULES)
    skip_missing([document.message.lr_policy], POLICIES)
    skip_missing(unknown_fields(document), ())
