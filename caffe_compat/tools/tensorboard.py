"""A training's events as scalars of TensorBoard."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import TracebackType
from typing import Any

from caffe_compat.errors import CaffeCompatError
from caffe_compat.solver.log import Event, Listener


class TensorBoard:
    """Listens to a solver and writes ``train/NAME``, ``train/smoothed_loss``, ``test/NAME`` (of further test nets
    ``test1/NAME``), ``learning_rate`` and ``gradient_norm`` (where it was clipped) into ``folder``, by iteration.

    A continued run takes the place of what an earlier one wrote from its iteration on. Raises CaffeCompatError where
    the package tensorboard is missing, or the folder cannot be made.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise CaffeCompatError(
                "--tensorboard needs the package tensorboard: pip install 'caffe-compat[tensorboard]'"
            ) from error
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as error:
            raise CaffeCompatError(f"--tensorboard {folder}: cannot make the folder: {error.strerror}") from error
        self._open: Callable[[int], Any] = lambda step: SummaryWriter(os.fspath(folder), purge_step=step)
        self._writer: Any = None
        self._iteration, self._phase = 0, "train"
        self._seen: set[str] = set()

    def __call__(self, event: Event) -> None:
        if event.kind in _SCALARS:
            _SCALARS[event.kind](self, *event.values)

    def __enter__(self) -> TensorBoard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def _loss(self, iteration: int, loss: float) -> None:
        self._begin(iteration, "train")
        self._add("train/smoothed_loss", loss)

    def _testing(self, iteration: int, net: int) -> None:
        self._begin(iteration, f"test{net or ''}")

    def _output(self, index: int, name: str, value: float, rest: str) -> None:
        tag = f"{self._phase}/{name}"
        self._add(f"{tag}.{index}" if tag in self._seen else tag, value)

    def _test_loss(self, loss: float) -> None:
        self._add(f"{self._phase}/total_loss", loss)

    def _rate(self, iteration: int, rate: float) -> None:
        self._add("learning_rate", rate)

    def _clip(self, norm: float) -> None:
        self._add("gradient_norm", norm)

    def _begin(self, iteration: int, phase: str) -> None:
        self._iteration, self._phase = iteration, phase
        self._seen.clear()

    def _add(self, tag: str, value: float) -> None:
        self._writer = self._writer or self._open(self._iteration)
        self._seen.add(tag)
        self._writer.add_scalar(tag, value, self._iteration)


_SCALARS: dict[str, Callable[..., None]] = {
    "train_loss": TensorBoard._loss,
    "loss": TensorBoard._loss,
    "train_output": TensorBoard._output,
    "testing": TensorBoard._testing,
    "test_output": TensorBoard._output,
    "test_loss": TensorBoard._test_loss,
    "lr": TensorBoard._rate,
    "clip": TensorBoard._clip,
}


def both(first: Listener, second: Listener | None) -> Listener:
    """A listener that tells two."""
    if second is None:
        return first

    def tell(event: Event) -> None:
        first(event)
        second(event)

    return tell
