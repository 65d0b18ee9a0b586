"""Layers without bottoms: Input, and the layers that read batches from a source."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from caffe_compat.errors import NetError
from caffe_compat.layers.arity import AtLeast, Between, Exactly
from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.registry import register_layer
from caffe_compat.layers.source import Source, open_source


@register_layer("Input")
class Input(Layer):
    """A place for blobs that the caller gives: ``net(data=x)``.

    Tops: any number, each of its ``shape``; one shape serves all tops, and a top without a shape is a scalar
    until it is fed.

    ``shape`` (repeated; default none). Refused: another number of shapes than 0, 1 or the number of tops.
    Differs from Caffe: a dim above 2^31 - 1 is refused; there its lowest 32 bits count.
    """

    blocks = ("input_param",)
    bottoms, tops = Exactly(0), AtLeast(1)
    export_note = "becomes an input of the graph"

    def __init__(self, shape: list[list[int]] | None = None) -> None:
        super().__init__()
        self.shape = shape or []

    def setup(self, *bottom_shapes: Shape) -> None:
        if len(self.shape) not in (0, 1, self.num_tops):
            raise NetError(once_or_per_top("input_param's shape", len(self.shape), self.num_tops, "none at all, "))
        check_dims(self.shape)

    def top_shapes(self, *bottom_shapes: Shape) -> list[Shape]:
        return per_top([tuple(shape) for shape in self.shape or [[]]], self.num_tops)

    def forward(self) -> Tensor:
        raise NetError("the tops of an Input layer are given by the caller: net(data=x)")


class SourceLayer(Layer):
    """A layer whose tops are the next batch of ``source``, moved to ``device``.

    The net opens the source (``caffe_compat.layers.source``); ``layer.source = ...`` gives it one of your own.
    """

    bottoms = Exactly(0)
    export_note = "becomes an input of the graph"

    def __init__(self) -> None:
        super().__init__()
        self.source: Source | None = None
        self.opening: tuple[Any, ...] | None = None
        """What ``open_source`` was called with, if it can be called again."""
        self.device = torch.device("cpu")

    def top_shapes(self, *bottom_shapes: Shape) -> list[Shape]:
        return list(self._opened().top_shapes[: self.num_tops])

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles: files are opened again, at the batch where this layer is."""
        state = dict(self.__dict__)
        if self.source is not None and self.opening is not None:
            state.update(source=None, position=self.source.position)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        position = state.pop("position", None)
        super().__setstate__(state)
        if position is not None and self.opening is not None:
            self.source = open_source(*self.opening)
            self.source.seek(position)

    def forward(self) -> tuple[Tensor, ...]:
        batch = self._opened().next()
        return tuple(blob.to(self.device, non_blocking=True) for blob in batch[: self.num_tops])

    def _opened(self) -> Source:
        if self.source is None:
            raise NetError(
                f"a {self.type_name} layer needs a source of batches, and has none; build the net with load_net, which "
                "opens it, or set layer.source to a caffe_compat.layers.source.Source"
            )
        return self.source


@register_layer("Data")
class Data(SourceLayer):
    """The next ``batch_size`` records of a data base (LMDB or LevelDB), transformed

    Tops: data (N, C, H, W); labels (N,) where a second top is named.

    data_param: ``source`` (the data base), ``batch_size``, ``backend`` (default LEVELDB), ``rand_skip`` (not read, as
    in Caffe 1.0), ``prefetch`` (batches made ahead; default 4), ``force_encoded_color`` (default false; as force_color,
    which Caffe 1.0 reads in its place). transform_param: ``scale`` (default 1; after the mean), ``mirror`` (default
    false), ``crop_size`` (default 0: none), ``mean_file`` or ``mean_value``, ``force_color``, ``force_gray`` (default
    false; of encoded images). Refused: no source, a batch size of 0.
    """

    blocks = ("data_param", "transform_param")
    tops = Between(1, 2)

    def __init__(
        self,
        source: str | None = None,
        batch_size: int = 0,
        rand_skip: int = 0,
        backend: str = "LEVELDB",
        force_encoded_color: bool = False,
        prefetch: int = 4,
        scale: float = 1.0,
        mirror: bool = False,
        crop_size: int = 0,
        mean_file: str | None = None,
        mean_value: list[float] | None = None,
        force_color: bool = False,
        force_gray: bool = False,
    ) -> None:
        super().__init__()
        if not source:
            raise NetError('data_param has no source; give it the folder of a data base: source: "train_lmdb"')
        _positive("data_param", batch_size=batch_size)
        _one_mean(mean_file, mean_value)


@register_layer("ImageData")
class ImageData(SourceLayer):
    """The next ``batch_size`` images of a list, decoded, resized and transformed

    Tops: data (N, C, H, W), C = 3 (blue, green, red) or 1; labels (N,), or (N, k) where every line of the list ends
    in k numbers (which Caffe does not know).

    image_data_param: ``source`` (a text file, a line "path label" for each image; the label follows the last space),
    ``batch_size`` (default 1), ``rand_skip`` (skip a random number of images below this at the start; default 0),
    ``shuffle`` (anew for every pass; default false), ``new_height`` and ``new_width`` (default 0: the image's own
    size), ``is_color`` (default true), ``root_folder`` (stands before each path). transform_param as in Data.
    data_param's ``prefetch`` (batches made ahead; default 4) counts, too. Differs from Caffe: labels need not be
    whole numbers. Refused: no source, only one of new_height and new_width.
    """

    blocks = ("image_data_param", "transform_param")
    tops = Exactly(2)

    def __init__(
        self,
        source: str | None = None,
        batch_size: int = 1,
        rand_skip: int = 0,
        shuffle: bool = False,
        new_height: int = 0,
        new_width: int = 0,
        is_color: bool = True,
        root_folder: str | None = None,
        scale: float = 1.0,
        mirror: bool = False,
        crop_size: int = 0,
        mean_file: str | None = None,
        mean_value: list[float] | None = None,
        force_color: bool = False,
        force_gray: bool = False,
    ) -> None:
        super().__init__()
        if not source:
            raise NetError('image_data_param has no source; name a text file that lists images: source: "train.txt"')
        _positive("image_data_param", batch_size=batch_size)
        _one_mean(mean_file, mean_value)


@register_layer("WindowData")
class WindowData(SourceLayer):
    """``batch_size`` random windows of images, for detection (R-CNN): background first, then foreground

    Tops: data (N, C, crop_size, crop_size); labels (N,): the window's class, 0 for background.

    window_data_param: ``source`` (the window file), ``batch_size``, ``fg_threshold`` and ``bg_threshold`` (a window
    is foreground from the overlap fg_threshold on, and background below bg_threshold; default 0.5),
    ``fg_fraction`` (the part of foreground in a batch; default 0.25), ``context_pad`` (pixels of context around the
    window in the crop; default 0), ``crop_mode`` ("warp" or "square": the window grown to a square before; default
    warp), ``cache_images`` (keep the files in memory; default false), ``root_folder``. transform_param:
    ``crop_size``, ``mirror``, ``scale``, ``mean_file`` or ``mean_value``. What lies outside the image is 0 after
    the mean. Refused: no source, batch size or crop size.
    """

    blocks = ("window_data_param", "transform_param")
    tops = Exactly(2)

    def __init__(
        self,
        source: str | None = None,
        batch_size: int = 0,
        fg_threshold: float = 0.5,
        bg_threshold: float = 0.5,
        fg_fraction: float = 0.25,
        context_pad: int = 0,
        crop_mode: str = "warp",
        cache_images: bool = False,
        root_folder: str | None = None,
        scale: float = 1.0,
        mirror: bool = False,
        crop_size: int = 0,
        mean_file: str | None = None,
        mean_value: list[float] | None = None,
        force_color: bool = False,
        force_gray: bool = False,
    ) -> None:
        super().__init__()
        if not source:
            raise NetError('window_data_param has no source; name the window file: source: "windows.txt"')
        _positive("window_data_param", batch_size=batch_size)
        _positive("transform_param", crop_size=crop_size)
        _one_mean(mean_file, mean_value)
        if crop_mode not in ("warp", "square"):
            raise NetError(f'window_data_param\'s crop_mode is "{crop_mode}"; accepted: "warp" or "square"')


@register_layer("HDF5Data")
class HDF5Data(SourceLayer):
    """The next ``batch_size`` rows of HDF5 files

    Tops: any number, each named like a data set of the files; (N, ...) with the data set's further axes.

    ``source`` (a text file that lists the HDF5 files), ``batch_size``, ``shuffle`` (files and rows; default
    false). Refused: no source, a batch size of 0, a transform_param.
    """

    blocks = ("hdf5_data_param",)
    tops = AtLeast(1)

    def __init__(self, source: str | None = None, batch_size: int = 0, shuffle: bool = False) -> None:
        super().__init__()
        if not source:
            raise NetError('hdf5_data_param has no source; name a text file that lists HDF5 files: source: "train.txt"')
        _positive("hdf5_data_param", batch_size=batch_size)


@register_layer("MemoryData")
class MemoryData(SourceLayer):
    """The next ``batch_size`` rows of arrays that the program hands over

    Tops: data (N, ``channels``, ``height``, ``width``); labels (N,).

    ``net.layer("data").source.set_input_arrays(data, labels)`` gives the rows. Refused: a size that is 0 or
    not given.
    """

    blocks = ("memory_data_param",)
    tops = Exactly(2)

    def __init__(self, batch_size: int = 0, channels: int = 0, height: int = 0, width: int = 0) -> None:
        super().__init__()
        _positive("memory_data_param", batch_size=batch_size, channels=channels, height=height, width=width)


def per_top(values: list[Any], tops: int) -> list[Any]:
    """One value for all tops, or one per top."""
    return values * tops if len(values) == 1 else values


def once_or_per_top(what: str, found: int, tops: int, more: str = "") -> str:
    """The text that refuses a field given another number of times."""
    per_top = f" or {tops}, one per top" if tops > 1 else ""
    return f"{what} is given {found} time(s) for {tops} top(s); accepted: {more}once{per_top}"


def check_dims(shapes: list[list[int]]) -> None:
    """Refuse shapes that no blob of Caffe has. Raises NetError."""
    for shape in shapes:
        if any(dim < 0 for dim in shape):
            raise NetError(f"shape {shape} has a negative dim; accepted: 0 and above")
        if len(shape) > 32:
            raise NetError(f"a shape has {len(shape)} axes; accepted: at most 32")


def _positive(block: str, **sizes: int) -> None:
    """Raise NetError that lists the sizes that are 0."""
    if zero := [name for name, size in sizes.items() if size <= 0]:
        raise NetError(f"{block} gives no {', '.join(zero)}; accepted: a whole number from 1 on for each")


def _one_mean(mean_file: str | None, mean_value: list[float] | None) -> None:
    if mean_file and mean_value:
        raise NetError("transform_param has both mean_file and mean_value; accepted: one of them")
