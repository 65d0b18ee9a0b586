"""Sliding windows: how Convolution, Deconvolution, Im2col and Pooling read their sizes, and where windows lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from caffe_compat.errors import NetError

LARGEST = 2**31 - 1
"""Caffe keeps sizes in 32-bit signed integers."""


class Window(NamedTuple):
    """The windows of a pooling along one axis: ``number`` of them over ``size`` elements."""

    size: int
    kernel: int
    stride: int
    pad: int
    number: int

    @property
    def last(self) -> int:
        """Where the last window begins, counted from the begin of the padding."""
        return (self.number - 1) * self.stride

    @property
    def end_pad(self) -> int:
        """The padding at the end that makes the last window complete."""
        return max(0, self.last + self.kernel - self.size - self.pad)

    @property
    def has_empty(self) -> bool:
        """The last window begins beyond the bottom; there is no padding then."""
        return self.last >= self.size + self.pad

    def without_empty(self) -> Window:
        return self._replace(number=self.number - self.has_empty)

    @property
    def extents(self) -> list[int]:
        """The length of each window, cut at size + pad; not above 0 for one that begins there or later."""
        starts = range(0, self.number * self.stride, self.stride)
        return [min(start + self.kernel, self.size + 2 * self.pad) - start for start in starts]


class Grid(NamedTuple):
    """The windows of a pooling over an image. ``ceil``: their number was rounded up."""

    rows: Window
    columns: Window
    ceil: bool

    @property
    def kernel(self) -> tuple[int, int]:
        return self.rows.kernel, self.columns.kernel

    @property
    def stride(self) -> tuple[int, int]:
        return self.rows.stride, self.columns.stride

    @property
    def pad(self) -> tuple[int, int]:
        return self.rows.pad, self.columns.pad

    @property
    def pads(self) -> tuple[int, int, int, int]:
        """Top, left, bottom, right: all that the windows reach."""
        return self.rows.pad, self.columns.pad, self.rows.end_pad, self.columns.end_pad

    @property
    def has_empty(self) -> bool:
        return self.rows.has_empty or self.columns.has_empty

    def without_empty(self) -> Grid:
        """The grid without the windows that hold no elements."""
        return self._replace(rows=self.rows.without_empty(), columns=self.columns.without_empty())

    @property
    def whole_image(self) -> bool:
        """One window that is the image."""
        return all((w.kernel, w.pad, w.number) == (w.size, 0, 1) for w in (self.rows, self.columns))


def check_size(field: str, value: int, least: int) -> int:
    """``value``, which must lie within ``least`` and 2^31 - 1. Raises NetError that names the field."""
    if not least <= value <= LARGEST:
        missing = " (or not given)" if value == 0 else ""
        raise NetError(f"{field}: {value}{missing} is out of range; accepted: {least} to {LARGEST}")
    return value


def per_axis(
    field: str,
    values: int | Sequence[int] | None,
    h: int | None,
    w: int | None,
    axes: int,
    *,
    least: int,
    default: int | None,
    prefix: str = "",
) -> tuple[int, ...]:
    """One size for each of ``axes`` spatial axes, from a repeated field or from its ``_h`` and ``_w`` forms.

    ``field`` may be given once (for all axes) or once per axis; not at all only where there is a ``default``.
    ``prefix``: how the ``_h`` and ``_w`` fields begin, when not like ``field`` (kernel_size, kernel_h). Raises
    NetError for another count, for both forms at once, and for a size below ``least``.
    """
    values = [values] if isinstance(values, int) else list(values or ())
    prefix = prefix or field
    if h is not None or w is not None:
        if values:
            raise NetError(
                f"both {field} and {prefix}_h or {prefix}_w are given; give {field}: {_joined(values)} alone, "
                f"or {prefix}_h and {prefix}_w alone"
            )
        if axes != 2:
            raise NetError(
                f"{prefix}_h and {prefix}_w are for 2 spatial axes, the bottom has {axes}; give {field} instead, "
                "once or once per spatial axis"
            )
        return (_given(f"{prefix}_h", h, least), _given(f"{prefix}_w", w, least))
    accepted = {1, axes} if default is None else {0, 1, axes}
    if len(values) not in accepted:
        given = f"given {len(values)} time(s)" if values else "not given"
        raise NetError(
            f"{field} is {given}, the bottom has {axes} spatial axes; accepted: "
            f"once (for all axes), or {axes} times" + ("" if default is None else f", or not at all ({default})")
        )
    if not values and default is not None:
        values = [default]
    sizes = [check_size(field, value, least) for value in values]
    return tuple(sizes if len(sizes) == axes else sizes * axes)


def pair(field: str, both: int | None, h: int | None, w: int | None, *, default: int, least: int) -> tuple[int, int]:
    """Pooling's rule: a size for height and width from ``field``, or from both of ``field``_h and ``field``_w.

    Raises NetError for one of the two alone, for both forms at once, and for a size below ``least``.
    """
    if both is not None and (h is not None or w is not None):
        raise NetError(f"{field}: {both} is given beside {field}_h or {field}_w; give {field}, or both of the pair")
    if (h is None) != (w is None):
        missing = f"{field}_h" if h is None else f"{field}_w"
        raise NetError(f"{missing} is missing; give both {field}_h and {field}_w, or {field} for both axes")
    if h is None or w is None:
        return (check_size(field, default if both is None else both, least),) * 2
    return check_size(f"{field}_h", h, least), check_size(f"{field}_w", w, least)


def _given(field: str, value: int | None, least: int) -> int:
    """One of the two ``_h`` and ``_w`` fields; the one left out counts as 0."""
    if value is None and least > 0:
        other = field[:-1] + ("w" if field.endswith("h") else "h")
        raise NetError(f"{field} is not given, and is 0 then, which is too small; give both {field} and {other}")
    return check_size(field, value or 0, least)


def _joined(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))
