"""The thread that reads ahead."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable

import numpy as np
import pytest

from caffe_compat.data.prefetch import BatchSource
from caffe_compat.errors import DataError


class Counting:
    """Batch n is the number n; ``failing`` batches raise; reading waits for ``gate`` if there is one."""

    def __init__(self, failing: tuple[int, ...] = (), gate: threading.Event | None = None) -> None:
        self.top_shapes: list[tuple[int, ...]] = [(1,)]
        self.failing, self.gate = failing, gate
        self.read_numbers: list[int] = []
        self.closed = 0

    def read(self, batch: int) -> tuple[np.ndarray, ...]:
        if self.gate:
            self.gate.wait(10)
        self.read_numbers.append(batch)
        if batch in self.failing:
            raise ValueError(f"batch {batch}")
        return (np.full(1, batch, np.float32),)

    def close(self) -> None:
        self.closed += 1


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
    def read(self, batch): return (np.zeros(1, np.float32),)
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


@pytest.mark.gpu
def test_batches_are_pinned() -> None:
    source = BatchSource(Counting(), 2)
    assert source.next()[0].is_pinned()
    source.close()
