"""Caffe's log lines, with a progress bar under them when a person looks on."""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from caffe_compat.solver.log import Event, GlogPrinter

if TYPE_CHECKING:
    from caffe_compat.solver import Solver


class ProgressBar:
    """Prints a solver's events on ``stream`` and redraws one line below them, at most ten times a second.

    Where ``stream`` is no terminal, only the events are printed.
    """

    def __init__(self, stream: TextIO, drawn: bool) -> None:
        self._stream = stream
        self._print = GlogPrinter(stream)
        self._drawn = drawn
        self._next = 0.0
        self._solver: Solver | None = None

    def follow(self, solver: Solver) -> None:
        """Draw the bar for this solver from now on."""
        if self._drawn:
            self._solver = solver
            self._start, self._first = time.monotonic(), solver.iter
            solver.callbacks.append(self._tick)

    def __call__(self, event: Event) -> None:
        self._clear()
        self._print(event)

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear()

    def _tick(self, solver: Solver) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + 0.1
            self._stream.write("\r" + self._line(solver.iter, solver.param.max_iter, now) + "\x1b[K")
            self._stream.flush()

    def _line(self, iteration: int, max_iter: int, now: float) -> str:
        per_second = (iteration - self._first) / max(now - self._start, 1e-9)
        left = (max_iter - iteration) / per_second if per_second else 0
        text = f" {iteration}/{max_iter}  {per_second:.3g} iter/s  {clock(left)} left"
        width = max(10, min(40, shutil.get_terminal_size().columns - len(text) - 3))
        full = width * min(iteration, max_iter) // max(max_iter, 1)
        return f"[{'#' * full}{'.' * (width - full)}]{text}"

    def _clear(self) -> None:
        if self._solver is not None:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def listener() -> ProgressBar:
    """What ``train`` logs to: stderr, with the bar if that is a terminal."""
    return ProgressBar(sys.stderr, sys.stderr.isatty())
