"""The window file of a WindowData layer, as R-CNN writes it.

For each image the lines ``# INDEX``, its path, channels, height, width and the number of its windows, each on a line
of its own, then a line for each window: class, overlap with the nearest object, x1, y1, x2, y2 (whole pixels from 0,
both ends inside).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caffe_compat.data.image_list import number_in
from caffe_compat.errors import DataError


@dataclass(frozen=True)
class Windows:
    """``names[i]``: the path of image i; ``channels``: of the last image, as Caffe takes it.

    ``boxes``: int (N, 6): image, class, x1, y1, x2, y2; ``overlaps``: float32 (N,).
    """

    names: list[str]
    channels: int
    boxes: np.ndarray
    overlaps: np.ndarray


def read_window_file(path: Path) -> Windows:
    """Raises DataError, naming the line that is not as it should be."""
    try:
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError as error:
        raise DataError(f"the window file {path} cannot be read: {error.strerror}; name a text file") from error
    names: list[str] = []
    tables: list[np.ndarray] = []
    place = channels = 0
    while (place := _next_line(lines, place)) < len(lines):
        if not lines[place].startswith("#") or place + 6 > len(lines):
            raise _wrong(path, place, lines, 'the head of an image: "# INDEX" and five lines more')
        names.append(lines[place + 1].strip())
        channels, _, _, count = (_whole(path, number, lines) for number in range(place + 2, place + 6))
        tables.append(_table(path, place + 6, count, lines, len(names) - 1))
        place += 6 + count
    if not names:
        raise DataError(f"the window file {path} names no image")
    rows = np.concatenate(tables)
    return Windows(names, channels, rows[:, [0, 1, 3, 4, 5, 6]].astype(np.int64), rows[:, 2].astype(np.float32))


def _next_line(lines: list[str], place: int) -> int:
    """The next line that is not empty."""
    while place < len(lines) and not lines[place].strip():
        place += 1
    return place


def _whole(path: Path, place: int, lines: list[str]) -> int:
    text = lines[place].strip()
    if not text.isdigit():
        raise _wrong(path, place, lines, "a whole number")
    return int(text)


def _table(path: Path, first: int, count: int, lines: list[str], image: int) -> np.ndarray:
    """The windows of one image: image, class, overlap, x1, y1, x2, y2."""
    table = np.empty((count, 7))
    for row, place in enumerate(range(first, first + count)):
        values = lines[place].split() if place < len(lines) else []
        numbers = [number for number in map(number_in, values) if number is not None]
        if len(values) != 6 or len(numbers) != 6:
            raise _wrong(path, place, lines, "a window: class, overlap, x1, y1, x2, y2")
        table[row] = [image, *numbers]
    return table


def _wrong(path: Path, place: int, lines: list[str], wanted: str) -> DataError:
    found = f'"{lines[place]}"' if place < len(lines) else "the end of the file"
    return DataError(f"{path}:{place + 1}: {found} stands where {wanted} is expected; write the window file again")
