"""Caffe's list files: a line names an image and its label, "folder/with spaces/cat.jpg 7"."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caffe_compat.errors import DataError


@dataclass(frozen=True)
class ImageList:
    """``names[i]`` as the list writes it; ``labels``: float32 (N,), or (N, k) where every line gives k of them."""

    names: list[str]
    labels: np.ndarray


def read_image_list(path: Path, prefixes: Sequence[str] = ()) -> ImageList:
    """The lines of the list ``path``. The label follows the last space, as in Caffe; empty lines do not count.

    ``prefixes``, which may stand before the names, allow several labels, which Caffe does not know: where the first
    line's name is no file, but becomes one when more numbers are taken off its end ("cat.jpg 7 0.5 -1"), every line
    ends in so many labels. Raises DataError, naming the line.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    except OSError as error:
        raise DataError(
            f"the list {path} cannot be read: {error.strerror}; give a text file, a line for each image"
        ) from error
    numbered = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
    if not numbered:
        raise DataError(f"the list {path} names no image: write a line for each, its path and its label")
    count = _labels_in(numbered[0][1], prefixes)
    rows = [_split(line, count, f"{path}:{number}") for number, line in numbered]
    labels = np.array([values for _, values in rows], dtype=np.float32)
    return ImageList([name for name, _ in rows], labels[:, 0] if count == 1 else labels)


def _labels_in(line: str, prefixes: Sequence[str]) -> int:
    """The smallest number of labels that leaves the name of a file; 1 where none does."""
    words = line.split()
    for count in range(1, len(words)):
        if number_in(words[-count]) is None:
            break
        name = line.rsplit(maxsplit=count)[0]
        if any(os.path.isfile(prefix + name) for prefix in prefixes):
            return count
    return 1


def _split(line: str, count: int, where: str) -> tuple[str, list[float]]:
    parts = line.rsplit(maxsplit=count)
    values = [value for value in map(number_in, parts[1:]) if value is not None]
    if len(values) < count or len(parts) <= count:
        wanted = "a label, a number" if count == 1 else f"{count} labels, as many as the first line gives"
        raise DataError(f'{where}: "{line}" does not end in {wanted}; write: path/of/the/image.jpg 7')
    return parts[0], values


def number_in(word: str) -> float | None:
    """The number that ``word`` says, or None."""
    try:
        return float(word)
    except ValueError:
        return None
