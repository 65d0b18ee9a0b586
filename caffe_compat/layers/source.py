"""Where a data layer's batches come from: the interface, and the registry of what opens one per layer type.

The layers know only this file; `caffe_compat.data` fills the registry when it is imported.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from caffe_compat.errors import NetError

if TYPE_CHECKING:
    import torch


class Source(ABC):
    """An endless stream of batches.

    ``top_shapes``: the shape of every top, batch axis first. Batch n is the same whether it was reached by
    ``next`` alone or by ``seek``: a source has no state but the number of batches handed out.
    """

    top_shapes: list[tuple[int, ...]]

    @abstractmethod
    def next(self) -> tuple[torch.Tensor, ...]:
        """The next batch: one float32 tensor per top, the caller's own; labels have the shape (N,)."""

    @property
    @abstractmethod
    def position(self) -> int:
        """The number of batches handed out so far, which is the number of the batch that comes next."""

    @property
    def size(self) -> int | None:
        """The number of items in one pass over the data; None where there is no such number, or none is known."""
        return None

    @abstractmethod
    def seek(self, batches: int) -> None:
        """Makes the batch numbered ``batches`` (from 0) the next one, without reading those before it."""

    def share(self, rank: int, ranks: int) -> Source:
        """The part of one of ``ranks`` processes: the batches rank, rank + ranks, ...; ``self`` is used up.

        Its ``position`` and ``seek`` count the batches of all processes together.
        """
        return SharedSource(self, rank, ranks)

    @abstractmethod
    def close(self) -> None:
        """Frees threads and files. May be called twice; ``next`` is an error afterwards."""

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class SharedSource(Source):
    """Every ``ranks``-th batch of a source, from number ``rank`` on, by ``seek``; has no state of its own."""

    def __init__(self, source: Source, rank: int, ranks: int) -> None:
        self._source, self._rank, self._ranks = source, rank, ranks
        self.top_shapes = source.top_shapes

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._source, name)  # such as set_input_arrays

    @property
    def size(self) -> int | None:
        return self._source.size

    def next(self) -> tuple[torch.Tensor, ...]:
        position = self._source.position
        if skipped := (self._rank - position) % self._ranks:
            self._source.seek(position + skipped)
        return self._source.next()

    @property
    def position(self) -> int:
        return own_batches(self._source.position, self._rank, self._ranks) * self._ranks

    def seek(self, batches: int) -> None:
        self._source.seek(batches)

    def close(self) -> None:
        self._source.close()


def own_batches(position: int, rank: int, ranks: int) -> int:
    """How many of the batches rank, rank + ranks, ... have numbers below ``position``."""
    return max(0, -(-(position - rank) // ranks))


Opener = Callable[[Any, str, int, int, Path], Source]
_openers: dict[str, Opener] = {}


def source_opener(layer_type: str) -> Callable[[Opener], Opener]:
    """Registers ``open(param, phase, num_tops, seed, base_dir) -> Source`` for one layer type.

    ``param``: the LayerParameter. ``phase``: "TRAIN" or "TEST". ``base_dir``: where relative file names are
    looked up that the working directory does not have. A second opener of one type is a ValueError.
    """

    def register(opener: Opener) -> Opener:
        if layer_type in _openers:
            raise ValueError(
                f'layer type "{layer_type}" has an opener already ({_openers[layer_type].__module__}): '
                "register each type once"
            )
        _openers[layer_type] = opener
        return opener

    return register


def source_types() -> list[str]:
    """The layer types that have an opener, sorted."""
    return sorted(_openers)


def open_source(layer_type: str, param: Any, phase: str, num_tops: int, seed: int, base_dir: str | Path) -> Source:
    """Opens the source of a data layer. Raises NetError (parameters) or DataError (the data)."""
    if phase not in ("TRAIN", "TEST"):
        raise NetError(f'phase is "{phase}": it must be TRAIN or TEST')
    if layer_type not in _openers:
        known = ", ".join(source_types()) or "none: import caffe_compat.data first"
        raise NetError(f'no data source for layer type "{layer_type}"; known: {known}')
    return _openers[layer_type](param, phase, num_tops, seed, Path(base_dir))
