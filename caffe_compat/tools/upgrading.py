"""Old files in the current form, written as Caffe's upgrade tools write them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from caffe_compat.errors import PrototxtError
from caffe_compat.files import atomic_write
from caffe_compat.proto import Document, parse_text, print_text, read_binary, upgrade_net, upgrade_solver
from caffe_compat.proto.sources import decode, read_file
from caffe_compat.weights import wire

StrPath = str | os.PathLike[str]
KINDS = ("net", "solver")
_MESSAGES = {"net": "NetParameter", "solver": "SolverParameter"}
_UPGRADES = {"net": upgrade_net, "solver": upgrade_solver}
_LAYERS, _V1_LAYERS, _SOLVERS_NET, _BASE_LR = 100, 2, 24, 5


def upgrade_file(source: StrPath, out: StrPath, kind: str | None = None) -> tuple[str, list[str]]:
    """Write the file ``source`` to ``out`` in the current form; text stays text, and binary binary.

    ``kind``: "net" or "solver"; None looks at the content. ``out`` may be ``source``: it is replaced when the new
    content is complete. Returns what the file is ("net, text") and the upgrades that were done, each with its place.
    Raises PrototxtError.
    """
    data = read_file(Path(source))
    binary = is_binary(data)
    kind = kind or (_binary_kind(data) if binary else _text_kind(data, source))
    if binary:
        document = Document(_read_binary(data, _MESSAGES[kind], source), str(source))
    else:
        document = parse_text(decode(data, str(source)), _MESSAGES[kind], str(source))
    unknown = list(document.notes)
    upgraded = _UPGRADES[kind](document)
    with atomic_write(out) as file:
        message = upgraded.message
        file.write(message.SerializeToString() if binary else print_text(message).encode("utf-8"))
    notes = [note.removesuffix("ignored") + "not written" if note in unknown else note for note in upgraded.notes]
    return f"{kind}, {'binary' if binary else 'text'}", notes


def is_binary(data: bytes) -> bool:
    """Whether the content of a file is no text: text has no control characters but tabs and ends of lines."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return False  # UTF-16, about which reading it as text tells
    return any((byte < 32 and byte not in b"\t\n\r\f\v") or byte == 127 for byte in data[:4096])


def _text_kind(data: bytes, source: StrPath) -> str:
    """The kind of which more fields at the top are known; a note tells of each that is not."""
    text = decode(data, str(source))
    known, errors = {}, {}
    for kind, message in _MESSAGES.items():
        try:
            known[kind] = len(parse_text(text, message, str(source)).place.children)
        except PrototxtError as error:
            errors[kind] = error
    if not known:  # the same error of grammar in both
        raise PrototxtError(f"{errors['net']} (read as a net; if it is a solver, say --kind solver)")
    return max(known, key=lambda kind: known[kind])


def _binary_kind(data: bytes) -> str:
    kinds = {}
    try:
        for field in wire.fields(memoryview(data)):
            kinds[field.number] = field.kind
            if field.number == _LAYERS:
                return "net"
    except wire.DamagedError:
        return "net"  # reading it tells what is wrong
    return "solver" if _SOLVERS_NET in kinds or kinds.get(_BASE_LR) == wire.FIXED32 else "net"


def _read_binary(data: bytes, message: str, source: StrPath) -> Any:
    try:
        return read_binary(data, message)
    except PrototxtError as error:
        raise PrototxtError(str(error).replace("the data", str(source), 1)) from None
