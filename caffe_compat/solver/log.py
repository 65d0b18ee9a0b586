"""What a training tells: events, each with the line that Caffe prints for it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from caffe_compat.net import Net


@dataclass(frozen=True)
class Event:
    """kind and values as in ``row`` (``["lr", iteration, rate]``); ``text``: Caffe's line; ``level``: "I" or "W".

    ``origin`` is the file and line that Caffe's own log names, which parsers of logs may look for.
    """

    kind: str
    values: tuple[Any, ...]
    text: str
    origin: str
    level: str = "I"

    @property
    def row(self) -> list[Any]:
        return [self.kind, *self.values]


Listener = Callable[[Event], None]


class GlogPrinter:
    """Prints events as glog does: ``I1124 08:01:02.123456 12345 solver.cpp:239] text``.

    A line that cannot be written (disk full) does not end the training; a reader that has gone does.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream

    def __call__(self, event: Event) -> None:
        now = time.time()
        moment = time.strftime("%m%d %H:%M:%S", time.localtime(now)) + f".{int(now % 1 * 1e6):06d}"
        line = f"{event.level}{moment} {threading.get_native_id():5d} {event.origin}] {event.text}"
        try:
            print(line, file=self.stream or sys.stderr, flush=True)
        except BrokenPipeError:
            raise
        except OSError:
            return


def number(value: float) -> str:
    """As a C++ stream prints a float: six significant digits."""
    return f"{value:g}"


class Log:
    """The solver's events by name; every method is one of Caffe's lines."""

    def __init__(self, listener: Listener | None = None) -> None:
        self.listener = listener or GlogPrinter()

    def _emit(self, origin: str, kind: str, values: tuple[Any, ...], text: str, level: str = "I") -> None:
        self.listener(Event(kind, values, text, origin, level))

    def solving(self, name: str, policy: str) -> None:
        self._emit("solver.cpp:293", "solving", (name,), f"Solving {name}")
        self._emit("solver.cpp:294", "policy", (policy,), f"Learning Rate Policy: {policy}")

    def train_loss(self, iteration: int, loss: float, per_second: float, seconds: float, display: int) -> None:
        speed = f"({number(per_second)} iter/s, {number(seconds)}s/{display} iters)"
        text = f"Iteration {iteration} {speed}, loss = {number(loss)}"
        self._emit("solver.cpp:239", "train_loss", (iteration, loss), text)

    def outputs(self, net: Net, phase: str, outputs: Mapping[str, Sequence[float]]) -> None:
        """The values of a net's outputs, numbered through; ``phase``: "train" or "test"."""
        weights = {
            name: weight for node in net.nodes for name, weight in zip(node.tops, node.loss_weights, strict=True)
        }
        values = [(name, value) for name, top in outputs.items() for value in top]
        for index, (name, value) in enumerate(values):
            self._output(phase, index, name, value, weights[name])

    def _output(self, phase: str, index: int, name: str, value: float, weight: float) -> None:
        rest = f"(* {number(weight)} = {number(weight * value)} loss)" if weight else ""
        text = f"    {phase.capitalize()} net output #{index}: {name} = {number(value)}" + (f" {rest}" if rest else "")
        origin = "solver.cpp:258" if phase == "train" else "solver.cpp:418"
        self._emit(origin, f"{phase}_output", (index, name, value, rest), text)

    def lr(self, iteration: int, rate: float) -> None:
        self._emit("sgd_solver.cpp:112", "lr", (iteration, rate), f"Iteration {iteration}, lr = {number(rate)}")

    def multistep(self, iteration: int, step: int) -> None:
        text = f"MultiStep Status: Iteration {iteration}, step = {step}"
        self._emit("sgd_solver.cpp:50", "multistep", (iteration, step), text)

    def clip(self, norm: float, limit: float) -> None:
        text = (
            f"Gradient clipping: scaling down gradients (L2 norm {number(norm)} > {number(limit)}) "
            f"by scale factor {number(limit / norm)}"
        )
        self._emit("sgd_solver.cpp:98", "clip", (norm,), text)

    def testing(self, iteration: int, net: int) -> None:
        text = f"Iteration {iteration}, Testing net (#{net})"
        self._emit("solver.cpp:351", "testing", (iteration, net), text)

    def test_loss(self, loss: float) -> None:
        self._emit("solver.cpp:408", "test_loss", (loss,), f"Test loss: {number(loss)}")

    def test_interrupted(self) -> None:
        self._emit("solver.cpp:402", "test_interrupted", (), "Test interrupted.")

    def snapshot(self, model: str, state: str) -> None:
        form = "HDF5" if state.endswith(".h5") else "binary proto"
        self._emit("solver.cpp:468", "snapshot_model", (model,), f"Snapshotting to {form} file {model}")
        text = f"Snapshotting solver state to {form} file {state}"
        self._emit("sgd_solver.cpp:280", "snapshot_state", (state,), text)

    def restoring(self, path: str) -> None:
        self._emit("solver.cpp:300", "restoring", (path,), f"Restoring previous solver status from {path}")

    def loss(self, iteration: int, loss: float) -> None:
        self._emit("solver.cpp:331", "loss", (iteration, loss), f"Iteration {iteration}, loss = {number(loss)}")

    def done(self, early: bool) -> None:
        text = "Optimization stopped early." if early else "Optimization Done."
        self._emit("solver.cpp:320" if early else "solver.cpp:336", "stopped" if early else "done", (), text)

    def loaded(self, files: str, report: object) -> None:
        text = f"Finetuning from {files}: {report}"
        self._emit("caffe.cpp:155", "loaded", (files,), text)

    def not_finite(self, iteration: int, loss: float) -> None:
        text = f"Iteration {iteration}: the loss is {number(loss)}; the training goes on as in Caffe, with little hope"
        self.notes([f"{text}: lower base_lr, set clip_gradients, or check the data"])

    def solved(self, iteration: int, max_iter: int) -> None:
        self.notes([f"iteration {iteration} is reached and max_iter is {max_iter}: nothing is left to train; raise it"])

    def notes(self, texts: Sequence[str]) -> None:
        """Warnings that Caffe does not have."""
        for text in texts:
            self._emit("caffe_compat.py:1", "note", (text,), text, "W")
