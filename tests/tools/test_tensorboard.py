"""The scalars of a training, in a stand-in for TensorBoard's writer and, where it is installed, in the real one."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from caffe_compat.errors import CaffeCompatError
from caffe_compat.solver.log import Event
from caffe_compat.tools.tensorboard import TensorBoard, both

EVENTS = [
    ("testing", 0, 0), ("test_output", 0, "acc", 0.1, ""), ("testing", 0, 1), ("test_output", 0, "acc", 0.2, ""),
    ("test_output", 1, "acc", 0.3, ""), ("test_loss", 2.0), ("train_loss", 0, 2.5),
    ("train_output", 0, "loss", 2.4, ""),
    ("lr", 0, 0.01), ("clip", 7.0), ("snapshot_state", "x"), ("loss", 10, 1.5), ("done",),
]  # fmt: skip
SCALARS = [
    ("test/acc", 0.1, 0), ("test1/acc", 0.2, 0), ("test1/acc.1", 0.3, 0), ("test1/total_loss", 2.0, 0),
    ("train/smoothed_loss", 2.5, 0), ("train/loss", 2.4, 0), ("learning_rate", 0.01, 0), ("gradient_norm", 7.0, 0),
    ("train/smoothed_loss", 1.5, 10),
]  # fmt: skip


class Writer:
    """Keeps what a SummaryWriter is told."""

    made: ClassVar[list[Writer]] = []

    def __init__(self, folder: str, purge_step: int) -> None:
        self.folder, self.purge_step, self.closed = folder, purge_step, False
        self.scalars: list[tuple[Any, ...]] = []
        Writer.made.append(self)

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        self.scalars.append((tag, value, step))

    def close(self) -> None:
        self.closed = True


def tell(board: TensorBoard, skip: int = 0) -> None:
    for kind, *values in EVENTS[skip:]:
        board(Event(kind, tuple(values), "", ""))


def test_events_become_scalars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=Writer))
    Writer.made.clear()
    with TensorBoard(tmp_path / "board") as board:
        tell(board)
        tell(board, skip=11)
    assert len(Writer.made) == 1
    writer = Writer.made[0]
    assert (writer.folder, writer.purge_step, writer.closed) == (str(tmp_path / "board"), 0, True)
    assert writer.scalars == [*SCALARS, SCALARS[-1]]


def test_the_real_writer(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with TensorBoard(tmp_path) as board:
        tell(board)
    content = EventAccumulator(str(tmp_path)).Reload()
    assert set(content.Tags()["scalars"]) == {tag for tag, *_ in SCALARS}
    assert [(point.step, point.value) for point in content.Scalars("train/smoothed_loss")] == [(0, 2.5), (10, 1.5)]


def test_without_the_package_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(CaffeCompatError, match=r"pip install 'caffe-compat\[tensorboard\]'"):
        TensorBoard(tmp_path)


def test_two_listeners() -> None:
    first: list[Event] = []
    second: list[Event] = []
    event = Event("lr", (0, 1.0), "", "")
    both(first.append, second.append)(event)
    assert first == second == [event]
    assert both(first.append, None) == first.append
