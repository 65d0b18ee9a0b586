"""What the classes of Python layers see: blobs in pycaffe's manner, on numpy arrays, and ``import caffe``."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from caffe_compat.errors import NetError


class PythonBlob:
    """A blob: ``data`` and ``diff`` are arrays to write into (``blob.data[...] = 1``), of ``shape``."""

    def __init__(self, shape: tuple[int, ...] = (), dtype: Any = np.float32) -> None:
        self._shape, self.dtype = shape, dtype
        self._data: np.ndarray | None = None
        self._diff: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def count(self) -> int:
        return math.prod(self._shape)

    @property
    def data(self) -> np.ndarray:
        if self._data is None:
            self._data = np.zeros(self._shape, self.dtype)
        return self._data

    @property
    def diff(self) -> np.ndarray:
        if self._diff is None:
            self._diff = np.zeros(self._shape, self.dtype)
        return self._diff

    def reshape(self, *shape: int) -> None:
        """Another shape; the values are kept where their number stays, else they are zeros."""
        new = tuple(int(size) for size in shape)
        if any(size < 0 for size in new):
            raise NetError(f"reshape{shape}: a size is negative; accepted: sizes from 0 on")
        same = math.prod(new) == self.count
        self._data = self._data.reshape(new) if same and self._data is not None else None
        self._diff = self._diff.reshape(new) if same and self._diff is not None else None
        self._shape = new

    def put(self, data: np.ndarray | None = None, diff: np.ndarray | None = None) -> None:
        """Hold these arrays, without a copy; None: zeros."""
        self._data, self._diff = data, diff
        self._shape = self._shape if data is None else data.shape
        self.dtype = self.dtype if data is None else data.dtype

    def _legacy(self, axis: int) -> int:
        if len(self._shape) > 4:
            raise NetError(f"num, channels, height, width need a blob of at most 4 axes, found {list(self._shape)}")
        return self._shape[axis] if axis < len(self._shape) else 1

    num = property(lambda self: self._legacy(0))
    channels = property(lambda self: self._legacy(1))
    height = property(lambda self: self._legacy(2))
    width = property(lambda self: self._legacy(3))


class PythonBlobs(list[PythonBlob]):
    """``self.blobs`` of a layer: a list, to which ``add_blob(3, 4)`` adds a parameter of shape (3, 4)."""

    def add_blob(self, *shape: int) -> None:
        self.append(PythonBlob(tuple(int(size) for size in shape)))


class PythonLayerBase:
    """``caffe.Layer``, which the classes of Python layers derive from."""

    def __init__(self, *_: Any) -> None:
        """pycaffe hands over the LayerParameter; everything of use in it is an attribute."""

    def setup(self, bottom: list[PythonBlob], top: list[PythonBlob]) -> None:
        """Read ``self.param_str``, check the bottoms."""

    def reshape(self, bottom: list[PythonBlob], top: list[PythonBlob]) -> None:
        """Give the tops their shapes."""


@cache
def _has_caffe() -> bool:
    """Whether a Caffe is installed; a mere folder of that name is none."""
    spec = importlib.util.find_spec("caffe")
    return spec is not None and spec.origin is not None


@contextmanager
def caffe_module() -> Iterator[None]:
    """Inside, ``import caffe`` works where no real one is installed: Layer, TRAIN, TEST."""
    if "caffe" in sys.modules or _has_caffe():
        yield
        return
    module = ModuleType("caffe", "What Python layers need of pycaffe; from caffe_compat.")
    module.__dict__.update(Layer=PythonLayerBase, TRAIN=0, TEST=1)
    sys.modules["caffe"] = module
    try:
        yield
    finally:
        sys.modules.pop("caffe", None)


def call(what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Run the user's code. Raises NetError with the place of what it raised."""
    try:
        with caffe_module():
            return function(*arguments)
    except Exception as error:
        raise NetError(f"{what} raised {type(error).__name__}: {error}{place(error)}") from error


def place(error: BaseException) -> str:
    """The innermost line of the traceback."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})" if trace is not None else ""
