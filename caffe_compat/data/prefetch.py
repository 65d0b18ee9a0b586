"""A Source made of numbered batches, read ahead by a thread."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from typing import Protocol

import numpy as np
import torch

from caffe_compat.errors import DataError
from caffe_compat.layers.source import Source

_JOIN_SECONDS = 5.0


class BatchReader(Protocol):
    """Gives any batch by its number. Used by one thread at a time."""

    top_shapes: list[tuple[int, ...]]

    def read(self, batch: int) -> tuple[np.ndarray, ...]:
        """Batch number ``batch``, one new float32 array per top."""

    def close(self) -> None:
        """Frees the files."""


class BatchSource(Source):
    """Hands out the batches of ``reader`` in order, at most ``prefetch`` of them read ahead by a thread.

    With ``prefetch`` 0 the caller's own thread reads. The thread starts at the first ``next``. What goes wrong in
    it is raised by that ``next`` which would have given the batch, and again until ``seek``. Where CUDA is
    available the tensors are pinned.
    """

    def __init__(self, reader: BatchReader, prefetch: int) -> None:
        self.top_shapes = reader.top_shapes
        self._ahead = _Ahead(reader, prefetch)
        self._position = 0
        # also runs when the source is collected and when the interpreter ends, so that neither waits for a thread
        self._close = weakref.finalize(self, self._ahead.close)

    @property
    def position(self) -> int:
        return self._position

    def next(self) -> tuple[torch.Tensor, ...]:
        batch = self._ahead.take()
        self._position += 1
        return batch

    def seek(self, batches: int) -> None:
        if batches < 0:
            raise DataError(f"cannot seek to batch {batches}: batches are counted from 0")
        self._ahead.restart(batches)
        self._position = batches

    def close(self) -> None:
        self._close()


class _Ahead:
    """The batches read ahead. It knows nothing of its BatchSource, which can therefore be collected."""

    def __init__(self, reader: BatchReader, limit: int) -> None:
        self._reader = reader
        self._limit = limit
        self._ready: deque[tuple[torch.Tensor, ...]] = deque()
        self._error: BaseException | None = None
        self._number = 0  # of the batch to read next
        self._round = 0  # counts the restarts: what was begun before one is thrown away after it
        self._closed = False
        self._thread: threading.Thread | None = None
        self._change = threading.Condition()

    def take(self) -> tuple[torch.Tensor, ...]:
        if self._closed:
            raise DataError("this source is closed: open the net again to read on")
        if self._limit == 0:
            batch = _tensors(self._reader.read(self._number))
            self._number += 1
            return batch
        with self._change:
            self._start()
            while not self._ready and self._error is None and not self._closed:
                self._change.wait()
            if self._ready:
                self._change.notify_all()
                return self._ready.popleft()
            raise self._error or DataError("this source was closed while it was read")

    def restart(self, number: int) -> None:
        with self._change:
            self._ready.clear()
            self._error = None
            self._number = number
            self._round += 1
            self._change.notify_all()

    def close(self) -> None:
        with self._change:
            self._closed = True
            self._ready.clear()
            self._change.notify_all()
        if self._thread is None:
            self._reader.close()
        elif self._thread is not threading.current_thread():
            self._thread.join(_JOIN_SECONDS)  # it closes the reader; one stuck in a dead disk is left behind

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():  # a forked process has no such thread
            self._thread = threading.Thread(target=self._work, name="caffe_compat prefetch", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        try:
            while (job := self._wait_for_room()) is not None:
                self._read(*job)
        finally:
            self._reader.close()

    def _wait_for_room(self) -> tuple[int, int] | None:
        """The number and the round of the batch to read; None to end."""
        with self._change:
            while not self._closed and (self._error is not None or len(self._ready) >= self._limit):
                self._change.wait()
            return None if self._closed else (self._number, self._round)

    def _read(self, number: int, round_: int) -> None:
        batch, error = None, None
        try:
            batch = _tensors(self._reader.read(number))
        except BaseException as caught:  # handed to the thread that asks for the batch
            error = caught
        with self._change:
            if round_ == self._round and not self._closed:
                if batch is not None:
                    self._ready.append(batch)
                self._error = error
                self._number = number + 1
                self._change.notify_all()


def _tensors(arrays: tuple[np.ndarray, ...]) -> tuple[torch.Tensor, ...]:
    tensors = tuple(torch.from_numpy(array) for array in arrays)
    return tuple(tensor.pin_memory() for tensor in tensors) if torch.cuda.is_available() else tensors
