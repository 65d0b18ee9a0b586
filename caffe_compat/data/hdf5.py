"""The HDF5Data layer's source: rows of the data sets of a list of HDF5 files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from caffe_compat.data import philox
from caffe_compat.data.checks import positive
from caffe_compat.data.paths import is_there, resolve_path
from caffe_compat.data.prefetch import BatchSource
from caffe_compat.errors import DataError, NetError
from caffe_compat.layers.source import Source, source_opener


class HDF5Reader:
    """Batch n: the rows (n * batch_size + i) modulo their number, counted through the files of the list.

    With ``shuffle`` every pass over the files takes them, and the rows of each, in a random order of its own. One
    file is held in memory at a time.
    """

    def __init__(self, param: Any, seed: int, base_dir: Path) -> None:
        """The LayerParameter's tops and hdf5_data_param. Raises NetError or DataError."""
        hdf5 = param.hdf5_data_param
        if param.HasField("transform_param"):
            raise NetError("HDF5Data does not transform its data: remove transform_param, and transform the files")
        self._names = list(param.top)
        self._batch_size = positive(hdf5.batch_size, "hdf5_data_param's batch_size")
        self._shuffle = bool(hdf5.shuffle)
        self._seed = seed
        self._files = _listed_files(hdf5.source, base_dir)
        shapes = [_shapes(file, self._names) for file in self._files]
        for file, found in zip(self._files, shapes, strict=True):
            if [shape[1:] for shape in found] != [shape[1:] for shape in shapes[0]]:
                raise DataError(
                    f"{file} has rows of other shapes than {self._files[0]}: {found} and {shapes[0]} for "
                    f"{', '.join(self._names)}; the rows of all files in the list must have one shape"
                )
        self._rows = [found[0][0] for found in shapes]
        self.size = sum(self._rows)
        self.top_shapes: list[tuple[int, ...]] = [(self._batch_size, *shape[1:]) for shape in shapes[0]]
        self._held: tuple[int, list[np.ndarray]] | None = None
        self._order = lru_cache(maxsize=4)(self._new_order)  # several batches ask for the same one

    def fetch(self, batch: int) -> tuple[np.ndarray, ...]:
        tops: list[list[np.ndarray]] = [[] for _ in self._names]
        row, missing = batch * self._batch_size, self._batch_size
        while missing:
            file, rows = self._locate(row, missing)
            for parts, values in zip(tops, self._load(file), strict=True):
                parts.append(values[rows])
            row += len(rows)
            missing -= len(rows)
        return tuple(np.concatenate(parts) if len(parts) > 1 else parts[0] for parts in tops)

    def make(self, batch: int, fetched: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
        return fetched

    def close(self) -> None:
        self._held = None

    def _locate(self, row: int, most: int) -> tuple[int, np.ndarray]:
        """The file that holds row number ``row`` of the stream, and up to ``most`` row numbers in it from there."""
        epoch, rest = divmod(row, self.size)
        for file in self._order(philox.SHUFFLE_FILES, len(self._files), epoch):
            size = self._rows[file]
            if rest < size:
                return int(file), self._order(philox.SHUFFLE_ROWS, size, epoch, int(file))[rest : rest + most]
            rest -= size
        raise AssertionError("a row number below the sum lies in one of the files")

    def _new_order(self, stream: int, count: int, epoch: int, part: int = 0) -> np.ndarray:
        if not self._shuffle:
            return np.arange(count)
        return philox.generator(self._seed, stream, epoch, part).permutation(count)

    def _load(self, index: int) -> list[np.ndarray]:
        if self._held is None or self._held[0] != index:
            self._held = None
            self._held = (index, _values(self._files[index], self._names))
        return self._held[1]


@source_opener("HDF5Data")
def open_hdf5(param: Any, phase: str, num_tops: int, seed: int, base_dir: Path) -> Source:
    """Opens the files that ``hdf5_data_param``'s source lists; each top is the data set of its name."""
    if num_tops < 1:
        raise NetError("HDF5Data has no top: name one for each data set of the files")
    return BatchSource(HDF5Reader(param, seed, base_dir), prefetch=2)


def require_h5py() -> Any:
    """The module h5py. Raises DataError that says how to install it."""
    try:
        import h5py
    except ImportError as error:
        raise DataError("HDF5 files need h5py: pip install h5py") from error
    return h5py


def _listed_files(source: str, base_dir: Path) -> list[Path]:
    path = resolve_path(source, base_dir, "hdf5_data_param's source")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"hdf5_data_param's source {path} is no list: it must be a text file that names HDF5 files, one a line; "
            f"{getattr(error, 'strerror', None) or 'it is not text'}"
        ) from error
    names = [name for line in lines if line.strip() for name in _names_in(line.strip(), base_dir)]
    if not names:
        raise DataError(f"hdf5_data_param's source {path} lists no file: write the names of HDF5 files, one a line")
    try:
        return [resolve_path(name, base_dir, f"the HDF5 file listed in {path}") for name in names]
    except DataError as error:
        raise DataError(
            f"{error}; hdf5_data_param's source {path} must be a text file that names HDF5 files, one a line"
        ) from error


def _names_in(line: str, base_dir: Path) -> list[str]:
    """Caffe parts names at blanks; a name with blanks in it is one name where there is such a file."""
    parts = line.split()
    several = not is_there(line, base_dir) and any(is_there(part, base_dir) for part in parts)
    return parts if several else [line]


def _shapes(file: Path, names: Sequence[str]) -> list[tuple[int, ...]]:
    """The shapes of the data sets ``names``, which all have the same number of rows."""
    with _opened(file) as content:
        shapes = [tuple(_data_set(content, name, file).shape) for name in names]
    if len({shape[0] for shape in shapes}) > 1 or not shapes[0][0]:
        found = ", ".join(f"{name} {shape}" for name, shape in zip(names, shapes, strict=True))
        raise DataError(f"the data sets of {file} must have the same number of rows, at least one: {found}")
    return shapes


def _values(file: Path, names: Sequence[str]) -> list[np.ndarray]:
    with _opened(file) as content:
        try:
            return [_data_set(content, name, file)[...].astype(np.float32, copy=False) for name in names]
        except OSError as error:
            raise DataError(f"{file} is damaged: {error}; copy or write it again") from error


def _opened(file: Path) -> Any:
    try:
        return require_h5py().File(file, "r")
    except OSError as error:
        raise DataError(f"{file} cannot be opened as an HDF5 file: {error}; copy or write it again") from error


def _data_set(content: Any, name: str, file: Path) -> Any:
    found = content.get(name)
    if not isinstance(found, require_h5py().Dataset):
        there = ", ".join(sorted(content)) or "none"
        raise DataError(
            f'{file} has no data set "{name}"; there are: {there}. Each top of HDF5Data is a data set\'s name'
        )
    if found.ndim < 1 or found.dtype.kind not in "fiu":
        raise DataError(
            f'data set "{name}" of {file} has shape {found.shape} and type {found.dtype}: accepted are whole or '
            "floating-point numbers with the rows along the first axis"
        )
    return found
