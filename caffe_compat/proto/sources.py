"""Where texts come from: a file's name or the text itself."""

from __future__ import annotations

import difflib
import os
import re
from os import PathLike
from pathlib import Path

from caffe_compat.errors import PrototxtError
from caffe_compat.files import is_device

TEXT = "<text>"
_LONGEST_PATH = 4096
_FIELD = re.compile(r"\s*(?:#|[A-Za-z_]\w*\s*[:{<])")
_LINK = re.compile(rb"[\w./-]+\.prototxt\s*", re.ASCII)
_WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]")


def read_source(path_or_text: str | PathLike[str]) -> tuple[str, str]:
    """The text and its source's name (the file's, or "<text>").

    A path object is a file; so is a string that names an existing one. Else a string is text if it has several lines
    or a brace, or starts with a field. PrototxtError for a missing file, with near names of its folder.
    """
    if isinstance(path_or_text, str) and is_text(path_or_text):
        return path_or_text, TEXT
    if not os.fspath(path_or_text):
        raise PrototxtError("the name of the file is empty; give a prototxt's name, or its text")
    path = Path(path_or_text)
    return decode(read_file(path), str(path)), str(path)


def is_text(value: str) -> bool:
    """Whether a string is prototxt text rather than a file's name."""
    if "\n" in value or len(value) > _LONGEST_PATH:
        return True
    if not value.strip() or "\0" in value or os.path.exists(value):
        return False
    return "{" in value or (bool(_FIELD.match(value)) and not _WINDOWS_PATH.match(value))


def decode(data: bytes, source: str) -> str:
    """A prototxt's bytes as text: UTF-8; bytes of another encoding become surrogates (see values.py)."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise PrototxtError(f"{source} is in UTF-16; save it as UTF-8")
    if _LINK.fullmatch(data):
        raise PrototxtError(
            f"{source} holds only a file's name, {data.decode().strip()} (a link that was not kept): read that"
        )
    if b"\0" in data:
        raise PrototxtError(f"{source} is a binary file, not a prototxt; weights are given with --weights or weights=")
    return data.decode("utf-8-sig", "surrogateescape")


def read_file(path: Path) -> bytes:
    """A file's bytes. PrototxtError where it cannot be read, with near names of its folder."""
    if is_device(path):
        raise PrototxtError(f"{path} is a device, not a file; give the name of a prototxt, or /dev/stdin")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise PrototxtError(f"there is no file {path}{_near(path)}") from None
    except IsADirectoryError:
        found = sorted(str(file) for file in path.glob("*.prototxt"))[:5]
        hint = f"it holds {', '.join(found)}" if found else "give the name of a file"
        raise PrototxtError(f"{path} is a folder; {hint}") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        raise PrototxtError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _near(path: Path) -> str:
    """What the error says of a missing file's folder."""
    folder = path.parent
    if not folder.is_dir():
        return f" (there is no folder {folder} either)"
    names = sorted(file.name for file in folder.iterdir())
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(str(folder / name) for name in near)}?" if near else ""
