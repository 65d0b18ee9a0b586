"""A Source made of numbered batches, read ahead by threads."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any, Protocol

import numpy as np
import torch

from caffe_compat.errors import DataError
from caffe_compat.layers.source import Source, own_batches

WORKERS = "CAFFE_COMPAT_WORKERS"
"""The environment variable that says how many threads decode and transform for each source."""
_MOST_WORKERS = 8
_JOIN_SECONDS = 5.0


class BatchReader(Protocol):
    """Gives any batch by its number, in two steps: what must be read in order, and what may be made side by side."""

    top_shapes: list[tuple[int, ...]]

    @property
    def size(self) -> int | None:
        """The number of items in one pass over the data; None where there is no such number."""

    def fetch(self, batch: int) -> Any:
        """What ``make`` needs from the files. Called by one thread at a time."""

    def make(self, batch: int, fetched: Any) -> tuple[np.ndarray, ...]:
        """Batch number ``batch``, one new float32 array per top. Called by several threads at once."""

    def close(self) -> None:
        """Frees the files."""


class BatchSource(Source):
    """Hands out the batches of ``reader`` in order, at most ``prefetch`` of them read ahead by threads.

    ``workers``: threads that make batches side by side; by default what the environment variable
    CAFFE_COMPAT_WORKERS says, else half the cores, at most 8 and ``prefetch``. More workers than ``prefetch`` raise
    it to their number. Neither number changes a batch. With ``prefetch`` 0 the caller's own thread reads. The
    threads start at the first ``next``. What goes wrong in one is raised by that ``next`` which would have given the
    batch, and again until ``seek``. In a process that uses CUDA the tensors are pinned.
    """

    def __init__(self, reader: BatchReader, prefetch: int, workers: int | None = None) -> None:
        self.top_shapes = reader.top_shapes
        self._ahead = _Ahead(reader, prefetch, _worker_count(workers, prefetch) if prefetch else 0)
        # also runs when the source is collected and when the interpreter ends, so that neither waits for a thread
        self._close = weakref.finalize(self, self._ahead.close)

    @property
    def size(self) -> int | None:
        return self._ahead.size()

    @property
    def position(self) -> int:
        return self._ahead.position * self._ahead.step

    def next(self) -> tuple[torch.Tensor, ...]:
        return self._ahead.take()

    def seek(self, batches: int) -> None:
        if batches < 0:
            raise DataError(f"cannot seek to batch {batches}: batches are counted from 0")
        self._ahead.restart(own_batches(batches, self._ahead.first, self._ahead.step))

    def share(self, rank: int, ranks: int) -> BatchSource:
        """Reads its own batches only."""
        position, self._ahead.first, self._ahead.step = self.position, rank, ranks
        self.seek(position)
        return self

    def close(self) -> None:
        self._close()


class _Ahead:
    """The batches read ahead. It knows nothing of its BatchSource, which can therefore be collected."""

    def __init__(self, reader: BatchReader, prefetch: int, workers: int) -> None:
        self._reader = reader
        self.first, self.step = 0, 1  # batch n here is the reader's first + n * step
        self._limit = max(prefetch, workers)
        self._workers = workers
        self._ready: dict[int, tuple[torch.Tensor, ...]] = {}
        self._errors: dict[int, BaseException] = {}
        self.position = 0  # the number of the batch to hand out next
        self._number = 0  # of the batch to fetch next
        self._round = 0  # counts the restarts: what was begun before one is thrown away after it
        self._closed = False
        self._fetching = False  # one thread at a time fetches, so that the batches are fetched in their order
        self._begin_process()

    def _begin_process(self) -> None:
        self._process = os.getpid()
        self._change = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._running = 0

    def size(self) -> int | None:
        with self._locked():
            while self._fetching:
                self._change.wait()
            return self._reader.size

    def take(self) -> tuple[torch.Tensor, ...]:
        if self._closed:
            raise DataError("this source is closed: open the net again to read on")
        if not self._workers:
            batch = self._made(self.position, self._fetched(self.position))
            self.position += 1
            return batch
        with self._locked():
            self._start()
            while self.position not in self._ready and self.position not in self._errors and not self._closed:
                self._change.wait()
            if self.position not in self._ready:
                raise self._errors.get(self.position, DataError("this source was closed while it was read"))
            self.position += 1
            self._change.notify_all()
            return self._ready.pop(self.position - 1)

    def restart(self, number: int) -> None:
        with self._locked():
            self._ready.clear()
            self._errors.clear()
            self.position = self._number = number
            self._round += 1
            self._change.notify_all()

    def close(self) -> None:
        with self._locked():
            self._closed = True
            self._ready.clear()
            self._change.notify_all()
        if not self._threads:
            self._reader.close()
        for thread in self._threads:  # the last one closes the reader; one stuck in a dead disk is left behind
            if thread is not threading.current_thread():
                thread.join(_JOIN_SECONDS)

    def _locked(self) -> threading.Condition:
        """The lock of this process. A forked one begins anew: threads do not come to it, and locks may come locked."""
        if self._process != os.getpid():
            self._begin_process()
            self._fetching = False
            self._number = self.position
            self._ready.clear()
            self._errors.clear()
        return self._change

    def _start(self) -> None:
        """Starts the threads at the first time."""
        if self._threads:
            return
        self._running = self._workers
        self._threads = [
            threading.Thread(target=self._work, name="caffe_compat prefetch", daemon=True) for _ in range(self._workers)
        ]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        try:
            while self._one():
                pass
        finally:
            with self._change:
                self._running -= 1
                last = self._running == 0
            if last:
                self._reader.close()

    def _one(self) -> bool:
        """Makes one batch; False when the source is closed."""
        job = self._wait_for_turn()
        if job is None:
            return False
        result: tuple[torch.Tensor, ...] | BaseException
        number, round_ = job
        try:
            fetched = self._fetch(number)
            result = self._made(number, fetched)
        except BaseException as error:  # handed to the thread that asks for the batch
            result = error
        self._deliver(number, round_, result)
        return True

    def _wait_for_turn(self) -> tuple[int, int] | None:
        """The number and the round of the batch to fetch; None to end. After an error nothing more is begun."""
        with self._change:
            while not self._closed and (self._fetching or self._errors or self._number - self.position >= self._limit):
                self._change.wait()
            if self._closed:
                return None
            self._fetching = True
            self._number += 1
            return self._number - 1, self._round

    def _fetch(self, number: int) -> Any:
        try:
            return self._fetched(number)
        finally:
            with self._change:
                self._fetching = False
                self._change.notify_all()

    def _fetched(self, number: int) -> Any:
        return self._reader.fetch(self.first + number * self.step)

    def _made(self, number: int, fetched: Any) -> tuple[torch.Tensor, ...]:
        return _tensors(self._reader.make(self.first + number * self.step, fetched))

    def _deliver(self, number: int, round_: int, result: tuple[torch.Tensor, ...] | BaseException) -> None:
        with self._change:
            if round_ != self._round or self._closed:
                return
            if isinstance(result, BaseException):
                self._errors[number] = result
            else:
                self._ready[number] = result
            self._change.notify_all()


def _worker_count(workers: int | None, prefetch: int) -> int:
    given = os.environ.get(WORKERS, "") if workers is None else str(workers)
    if not given:
        return max(1, min(_MOST_WORKERS, (os.cpu_count() or 1) // 2, prefetch))
    if not given.strip().isdigit() or int(given) < 1:
        where = f"the environment variable {WORKERS}" if workers is None else "workers"
        raise DataError(f'{where} is "{given}": give the number of threads that make batches, 1 or more')
    return int(given)


def _tensors(arrays: tuple[np.ndarray, ...]) -> tuple[torch.Tensor, ...]:
    tensors = tuple(torch.from_numpy(array) for array in arrays)
    return tuple(tensor.pin_memory() for tensor in tensors) if torch.cuda.is_initialized() else tensors
