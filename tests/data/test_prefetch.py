"""The thread that reads ahead."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable

import numpy as np
import pytest
import torch

from caffe_compat.data.prefetch import BatchSource
from caffe_compat.errors import DataError


class Counting:
    """Batch n is the number n; ``failing`` batches raise; reading waits for ``gate`` if there is one."""

    def __init__(self, failing: tuple[int, ...] = (), gate: threading.Event | None = None) -> None:
        self.top_shapes: list[tuple[int, ...]] = [(1,)]
        self.failing, self.gate = failing, gate
        self.read_numbers: list[int] = []
        self.size: int | None = 10
        self.closed = 0

    def fetch(self, batch: int) -> int:
        if self.gate:
            self.gate.wait(10)
        self.read_numbers.append(batch)
        if batch in self.failing:
            raise ValueError(f"batch {batch}")
        return batch

    def make(self, batch: int, fetched: int) -> tuple[np.ndarray, ...]:
        return (np.full(1, fetched, np.float32),)

    def close(self) -> None:
        self.closed += 1


class Slow(Counting):
    """Even batches take a while to make, so that others overtake them; batches in ``failing`` fail while made."""

    def __init__(self, failing: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.unmade = failing
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()

    def make(self, batch: int, fetched: int) -> tuple[np.ndarray, ...]:
        with self.lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(0.004 if batch % 2 == 0 else 0.0)
        with self.lock:
            self.at_once -= 1
        if batch in self.unmade:
            raise ValueError(f"batch {batch} unmade")
        return super().make(batch, fetched)


def number(source: BatchSource) -> int:
    return int(source.next()[0])


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition() and time.monotonic() < end:
        time.sleep(0.001)
    assert condition()


@pytest.mark.parametrize("prefetch", [0, 1, 3])
def test_in_order(prefetch: int) -> None:
    source = BatchSource(Counting(), prefetch)
    assert [number(source) for _ in range(50)] == list(range(50))
    assert source.position == 50
    source.close()


def test_it_keeps_so_many_ready_and_no_more() -> None:
    reader = Counting()
    source = BatchSource(reader, 3)
    assert reader.read_numbers == []
    assert number(source) == 0
    wait_until(lambda: len(reader.read_numbers) >= 4)
    time.sleep(0.05)
    assert reader.read_numbers == [0, 1, 2, 3]
    source.close()


def test_seek_drops_what_was_read_and_what_is_being_read() -> None:
    gate = threading.Event()
    gate.set()
    source = BatchSource(Counting(gate=gate), 2)
    assert number(source) == 0
    gate.clear()
    source.seek(100)
    gate.set()
    assert [number(source) for _ in range(3)] == [100, 101, 102]
    assert source.position == 103
    with pytest.raises(DataError, match="-1"):
        source.seek(-1)
    source.close()


def test_errors_come_out_of_next_in_order() -> None:
    source = BatchSource(Counting(failing=(2,)), 4)
    assert [number(source), number(source)] == [0, 1]
    for _ in range(3):
        with pytest.raises(ValueError, match="batch 2"):
            source.next()
    source.seek(3)
    assert number(source) == 3
    source.close()


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_any_number_of_workers_gives_the_same_order(workers: int) -> None:
    reader = Slow()
    with BatchSource(reader, 3, workers) as source:
        assert [number(source) for _ in range(20)] == list(range(20))
        source.seek(7)
        assert [number(source) for _ in range(5)] == [7, 8, 9, 10, 11]
        assert source.position == 12
        assert source.size == 10
    assert reader.closed == 1
    assert (reader.most_at_once > 1) == (workers > 1)


def test_an_error_of_one_worker_waits_for_its_turn() -> None:
    with BatchSource(Slow(failing=(3,)), 4, 4) as source:
        assert [number(source) for _ in range(3)] == [0, 1, 2]
        for _ in range(2):
            with pytest.raises(ValueError, match="batch 3 unmade"):
                source.next()
        source.seek(4)
        assert number(source) == 4


def test_the_number_of_workers_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAFFE_COMPAT_WORKERS", "3")
    reader = Slow()
    with BatchSource(reader, 1) as source:
        assert [number(source) for _ in range(10)] == list(range(10))
    assert reader.most_at_once == 3
    monkeypatch.setenv("CAFFE_COMPAT_WORKERS", "many")
    with pytest.raises(DataError, match=r'CAFFE_COMPAT_WORKERS is "many": give the number of threads'):
        BatchSource(Counting(), 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_starts_threads_of_its_own() -> None:
    source = BatchSource(Counting(), 2, 2)
    assert number(source) == 0
    child = os.fork()
    if child == 0:
        os._exit(0 if [number(source) for _ in range(3)] == [1, 2, 3] and source.size == 10 else 1)
    assert os.waitpid(child, 0)[1] == 0
    source.close()


def test_the_size_is_known_while_all_room_is_taken() -> None:
    with BatchSource(Counting(), 1) as source:
        assert number(source) == 0
        time.sleep(0.01)
        assert source.size == 10


@pytest.mark.parametrize("prefetch", [0, 2])
def test_close(prefetch: int) -> None:
    reader = Counting()
    source = BatchSource(reader, prefetch)
    source.next()
    source.close()
    source.close()
    assert reader.closed == 1
    with pytest.raises(DataError, match="closed"):
        source.next()


def test_a_source_that_is_dropped_ends_its_thread() -> None:
    reader = Counting()
    source = BatchSource(reader, 2)
    source.next()
    gone = weakref.ref(source)
    del source
    gc.collect()
    assert gone() is None
    assert reader.closed == 1


PROGRAM = """
import sys, numpy as np
from caffe_compat.data.prefetch import BatchSource
class Reader:
    top_shapes = [(1,)]
    def fetch(self, batch): return batch
    def make(self, batch, fetched): return (np.zeros(1, np.float32),)
    def close(self): print("closed")
source = BatchSource(Reader(), 2)
source.next()
{end}
"""


@pytest.mark.parametrize(("end", "status"), [("", 0), ("sys.exit(3)", 3), ("raise SystemError", 1)])
def test_the_interpreter_ends_without_close(end: str, status: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(end=end)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (status, "closed\n")


def test_a_process_without_cuda_does_not_begin_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pinning would: on a machine with a GPU a training on the CPU, or a forked process, has no business there."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.Tensor, "pin_memory", None)
    with BatchSource(Counting(), 2) as source:
        assert number(source) == 0


@pytest.mark.gpu
def test_batches_are_pinned() -> None:
    torch.cuda.init()
    source = BatchSource(Counting(), 2)
    assert source.next()[0].is_pinned()
    source.close()
