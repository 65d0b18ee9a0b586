"""Prints a message in protobuf's text format, as Caffe's own tools do: fields by number, the shortest numbers."""

from __future__ import annotations

import re
import struct
from typing import Any

from caffe_compat.proto.fields import is_repeated

_TYPE_DOUBLE, _TYPE_FLOAT, _TYPE_BOOL, _TYPE_STRING, _TYPE_MESSAGE, _TYPE_BYTES, _TYPE_ENUM = 1, 2, 8, 9, 11, 12, 14
_ESCAPED = re.compile(rb"[^ !#-&(-\[\]-~]")
_SHORT = {b"\n": b"\\n", b"\r": b"\\r", b"\t": b"\\t", b'"': b'\\"', b"'": b"\\'", b"\\": b"\\\\"}


def print_text(message: Any) -> str:
    """The message as text that Caffe and ``parse_text`` read back to the same message.

    Blocks of users' layers are printed like built-in ones.
    """
    lines: list[str] = []
    _print_fields(message, "", lines)
    return "".join(lines)


def _print_fields(message: Any, indent: str, lines: list[str]) -> None:
    for field, value in message.ListFields():
        for item in value if is_repeated(field) else (value,):
            if field.type == _TYPE_MESSAGE:
                lines.append(f"{indent}{field.name} {{\n")
                _print_fields(item, indent + "  ", lines)
                lines.append(f"{indent}}}\n")
            else:
                lines.append(f"{indent}{field.name}: {_scalar(field, item)}\n")


def _scalar(field: Any, value: Any) -> str:
    if field.type == _TYPE_ENUM:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known is not None else str(value)
    if field.type == _TYPE_BOOL:
        return "true" if value else "false"
    if field.type == _TYPE_FLOAT:
        return format_float(value)
    if field.type == _TYPE_DOUBLE:
        return next(text for digits in (15, 16, 17) if float(text := f"{value:.{digits}g}") == value or digits == 17)
    if field.type in (_TYPE_STRING, _TYPE_BYTES):
        return quote(value)
    return str(value)


def format_float(value: float) -> str:
    """The fewest digits (from 6) that give back the same float32: 0.01, 5e-05, inf."""
    for digits in (6, 7, 8):
        text = f"{value:.{digits}g}"
        if value == _float32(float(text)):
            return text
    return f"{value:.9g}"


def quote(value: str | bytes) -> str:
    """A string in double quotes; bytes beyond ASCII and control characters as octal escapes."""
    raw = value.encode("utf-8") if isinstance(value, str) else value
    return f'"{_ESCAPED.sub(_escape, raw).decode("ascii")}"'


def _escape(match: re.Match[bytes]) -> bytes:
    return _SHORT.get(match[0]) or b"\\%03o" % match[0][0]


def _float32(value: float) -> float:
    try:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
