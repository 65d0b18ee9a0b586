"""The part of a source that one of several processes reads, and batches that are read ahead for a device."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from caffe_compat.data.memory import MemorySource
from caffe_compat.data.prefetch import BatchSource
from caffe_compat.data.staging import StagedSource
from caffe_compat.errors import DataError
from caffe_compat.layers.source import Source


class Numbers:
    """Batch n holds n; batch ``broken`` cannot be read."""

    top_shapes = [(1,)]  # noqa: RUF012
    size = None

    def __init__(self, broken: int = -1) -> None:
        self.broken = broken
        self.fetched: list[int] = []

    def fetch(self, batch: int) -> int:
        self.fetched.append(batch)
        if batch == self.broken:
            raise DataError(f"batch {batch} is broken")
        return batch

    def make(self, batch: int, fetched: int) -> tuple[np.ndarray, ...]:
        return (np.array([fetched], np.float32),)

    def close(self) -> None:
        """Nothing is open."""


def memory() -> MemorySource:
    source = MemorySource(1, 1, 1, 1)
    source.set_input_arrays(np.arange(100, dtype=np.float32).reshape(-1, 1, 1, 1), np.zeros(100))
    return source


def sources() -> list[Source]:
    return [BatchSource(Numbers(), 3, 2), BatchSource(Numbers(), 0), memory()]


def taken(source: Source, count: int) -> list[int]:
    return [int(source.next()[0].flatten()[0]) for _ in range(count)]


@pytest.mark.parametrize("index", range(3))
@pytest.mark.parametrize("rank", range(3))
def test_shares(index: int, rank: int) -> None:
    with sources()[index].share(rank, 3) as source:
        assert source.position == 0
        assert taken(source, 3) == [rank, rank + 3, rank + 6]
        assert source.position == 9  # of all ranks together
        source.seek(30)
        assert source.position == 30
        assert taken(source, 2) == [30 + rank, 33 + rank]
        assert source.position == 36


@pytest.mark.parametrize("index", range(3))
def test_shares_of_a_position_between_are_whole(index: int) -> None:
    """After a run of another number of processes no batch is read twice, none left out."""
    found = []
    for rank in range(3):
        with sources()[index].share(rank, 3) as source:
            source.seek(7)
            found += taken(source, 2)
    assert sorted(found) == list(range(7, 13))


def test_others_batches_are_not_read() -> None:
    reader = Numbers()
    with BatchSource(reader, 2, 1).share(1, 4) as source:
        taken(source, 4)
        assert set(reader.fetched) <= {1, 5, 9, 13, 17, 21, 25}


def test_a_source_that_was_read_is_shared_from_there() -> None:
    source = memory()
    taken(source, 2)
    assert taken(source.share(0, 2), 2) == [2, 4]


def test_memory_takes_new_arrays_through_its_wrappers() -> None:
    for source in (memory().share(1, 2), StagedSource(memory(), torch.device("cpu"))):
        if isinstance(source, StagedSource):
            source.stage()
        source.set_input_arrays(np.arange(50, 60, dtype=np.float32).reshape(-1, 1, 1, 1), np.zeros(10))
        assert taken(source, 1)[0] in (50, 51)
        with pytest.raises(AttributeError):
            source.nothing()


@pytest.mark.parametrize("shared", [False, True])
def test_staged_batches_are_the_same(shared: bool) -> None:
    inner: Source = BatchSource(Numbers(), 2, 1)
    inner = inner.share(1, 2) if shared else inner
    with StagedSource(inner, torch.device("cpu")) as source:
        step, first = (2, 1) if shared else (1, 0)
        for n in range(5):
            assert source.position == n * step
            source.stage()
            source.stage()
            assert source.position == n * step  # a staged batch has not been handed out
            assert taken(source, 1) == [n * step + first]
        source.stage()
        source.seek(20)
        assert source.position == 20
        assert taken(source, 2) == [20 + first, 20 + step + first]
        assert source.top_shapes == [(1,)]


def test_an_error_is_told_by_the_next_that_wants_the_batch() -> None:
    with StagedSource(BatchSource(Numbers(broken=1), 2, 1), torch.device("cpu")) as source:
        assert taken(source, 1) == [0]
        source.stage()
        assert source.position == 1
        with pytest.raises(DataError, match="batch 1 is broken"):
            source.next()
        source.seek(2)
        assert taken(source, 1) == [2]


@pytest.mark.gpu
def test_staged_on_a_gpu() -> None:
    with StagedSource(BatchSource(Numbers(), 4, 1), torch.device("cuda")) as source:
        for n in range(20):
            (batch,) = source.next()
            assert batch.is_cuda
            source.stage()
            assert int(batch.flatten()[0]) == n
