"""Images of a list as an LMDB of Datums, as Caffe's convert_imageset writes it."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from caffe_compat.data import philox
from caffe_compat.data.image_list import read_image_list
from caffe_compat.data.lmdb_write import lmdb_writer
from caffe_compat.errors import CaffeCompatError, DataError
from caffe_compat.pictures import decode, resize
from caffe_compat.proto import pb

StrPath = str | os.PathLike[str]
_Shape = tuple[int, ...]
_COMMIT_EVERY = 1000
_FORMATS = {"jpg": "JPEG", "jpeg": "JPEG", "png": "PNG", "bmp": "BMP", "webp": "WEBP", "tif": "TIFF", "tiff": "TIFF"}


@dataclass(frozen=True)
class ImageSet:
    """What was written: the number of records, and the messages of the images that were left out."""

    records: int
    skipped: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Form:
    """How an image becomes a Datum. ``height``, ``width``: 0 keeps the size; ``encoding``: "" stores pixels."""

    color: str
    height: int
    width: int
    encoding: str


class _Record(NamedTuple):
    """``shape``: height, width, channels of the image, which an encoded ``datum`` does not tell."""

    key: bytes
    datum: Any
    shape: _Shape


def convert_imageset(
    root: StrPath,
    list_file: StrPath,
    db: StrPath,
    *,
    gray: bool = False,
    shuffle: bool = False,
    resize_width: int = 0,
    resize_height: int = 0,
    encoded: bool = False,
    encode_type: str = "",
    check_size: bool = False,
    backend: str = "lmdb",
    seed: int = 1,
    overwrite: bool = False,
    skip_damaged: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ImageSet:
    """Writes the images of ``list_file`` ("path label" on each line) into the new LMDB folder ``db``.

    Record i has the key "00000042_path". Pixels are stored blue, green, red, or as one channel with ``gray``;
    resized where ``resize_width`` and ``resize_height`` are given (both). ``encoded`` or ``encode_type`` ("png",
    "jpg"; by default the ending of each file) stores compressed images; the file itself where it has that type
    already and is neither resized nor turned gray. ``shuffle``: in an order that depends on ``seed`` alone.
    ``check_size``: an image of another size than the first is an error. ``root``: stands right before each path.
    ``skip_damaged``: images that cannot be read are left out and listed in the result, as Caffe's tool does; else
    the first one is a DataError. ``progress``: called with (images done, images in all). The folder appears when it
    is complete. Raises CaffeCompatError where ``db`` exists (unless ``overwrite``) or the disk is full.
    """
    if backend.lower() != "lmdb":
        raise CaffeCompatError(f'backend is "{backend}": accepted is lmdb; a LevelDB can be read, but is not written')
    form = _Form("gray" if gray else "color", *_new_size(resize_height, resize_width), encode_type.lower().lstrip("."))
    _check_encoding(form.encoding)
    listed = read_image_list(Path(list_file))
    order = np.arange(len(listed.names))
    if shuffle:
        order = philox.generator(seed, philox.SHUFFLE_IMAGES, 0).permutation(order)
    lines = [(os.fspath(root), listed.names[row], int(listed.labels[row])) for row in order]
    skipped: list[str] = []
    records = _records(lines, form, encoded, skipped if skip_damaged else None, progress)
    return ImageSet(_write(db, _of_one_size(records) if check_size else records, overwrite), skipped)


def _records(
    lines: list[tuple[str, str, int]],
    form: _Form,
    encoded: bool,
    skipped: list[str] | None,
    progress: Callable[[int, int], None] | None,
) -> Iterator[_Record]:
    for index, (root, name, label) in enumerate(lines):
        try:
            encoding = form.encoding or (_ending(name) if encoded else "")
            datum, shape = _datum(_path(root, name), label, form, encoding)
        except DataError as error:
            if skipped is None:
                raise
            skipped.append(str(error))
        else:
            yield _Record(b"%08d_%s" % (index, name.encode("utf-8", "surrogateescape")), datum, shape)
        if progress is not None:
            progress(index + 1, len(lines))


def _path(root: str, name: str) -> str:
    """Caffe writes root right before the name; a missing "/" between them is added where it helps."""
    plain = root + name
    return os.path.join(root, name) if root and not os.path.isfile(plain) else plain


def _datum(path: str, label: int, form: _Form, encoding: str) -> tuple[Any, _Shape]:
    try:
        pixels = decode(path, form.color, path, upright=True)
        if encoding and _kept_as_it_is(path, form, encoding):
            return pb.Datum(data=Path(path).read_bytes(), label=label, encoded=True), pixels.shape
    except OSError as error:
        raise DataError(f"the image {path} cannot be read: {error.strerror}; correct the list or root") from error
    if form.height:
        pixels = resize(pixels, form.height, form.width)
    if encoding:
        return pb.Datum(data=_encode(pixels, encoding), label=label, encoded=True), pixels.shape
    height, width, channels = pixels.shape
    data = pixels.transpose(2, 0, 1).tobytes()
    datum = pb.Datum(channels=channels, height=height, width=width, data=data, label=label, encoded=False)
    return datum, pixels.shape


def _kept_as_it_is(path: str, form: _Form, encoding: str) -> bool:
    ending = Path(path).suffix.lower().lstrip(".")
    same = _FORMATS.get(ending) == _FORMATS[encoding]
    return same and form.color == "color" and not form.height


def _encode(pixels: np.ndarray, encoding: str) -> bytes:
    """With OpenCV's own settings: JPEG of quality 95."""
    from PIL import Image

    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels[:, :, ::-1])
    file = io.BytesIO()
    image.save(file, _FORMATS[encoding], **({"quality": 95} if _FORMATS[encoding] == "JPEG" else {}))
    return file.getvalue()


def _ending(name: str) -> str:
    ending = Path(name).suffix.lower().lstrip(".")
    if not ending:
        raise DataError(f'the file name "{name}" does not tell how to encode the image: give encode_type')
    _check_encoding(ending)
    return ending


def _check_encoding(encoding: str) -> None:
    if encoding and encoding not in _FORMATS:
        raise DataError(f'encode_type is "{encoding}"; accepted: {", ".join(_FORMATS)}')


def _new_size(height: int, width: int) -> tuple[int, int]:
    if min(height, width) < 0 or (height == 0) != (width == 0):
        raise CaffeCompatError(
            f"resize_height is {height} and resize_width {width}: give both, or neither to keep the size of the images"
        )
    return height, width


def _of_one_size(records: Iterator[_Record]) -> Iterator[_Record]:
    first: _Shape | None = None
    for record in records:
        first = first or record.shape
        if record.shape != first:
            raise DataError(
                f"{record.key.decode(errors='replace')[9:]} has the shape {record.shape}, the first image {first} "
                "(height, width, channels): give resize_height and resize_width, or leave out check_size"
            )
        yield record


def _write(db: StrPath, records: Iterator[_Record], overwrite: bool) -> int:
    count = 0
    with lmdb_writer(db, overwrite) as put:
        while part := list(islice(records, _COMMIT_EVERY)):
            put([(record.key, record.datum) for record in part])
            count += len(part)
    return count
