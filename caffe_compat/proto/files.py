"""Nets and solvers from text files, upgraded to the current form."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from caffe_compat.errors import PrototxtError
from caffe_compat.proto.document import Document
from caffe_compat.proto.override import override
from caffe_compat.proto.parser import parse_text
from caffe_compat.proto.sources import TEXT, read_source
from caffe_compat.proto.upgrade import upgrade_net, upgrade_solver


def read_net(path_or_text: str | PathLike[str], strict: bool = False, tolerant: bool = False) -> Document:
    """A NetParameter from a file or from text, upgraded.

    Unknown fields are notes, or under ``strict`` one error. PrototxtError names file:line:column. ``tolerant`` is for
    looking at files that cannot be built (templates, nets of forks): see ``parse_text``.
    """
    text, source = read_source(path_or_text)
    document: Document = upgrade_net(_parsed(text, "NetParameter", source, strict, tolerant))
    return document


def read_solver(
    path_or_text: str | PathLike[str], strict: bool = False, overrides: Sequence[str] = (), tolerant: bool = False
) -> Document:
    """A SolverParameter from a file or from text, upgraded, as are the nets that it holds; ``tolerant``: as there.

    ``overrides``: fields to set instead of the file's, ``FIELD=VALUE`` each (see ``override``).

    As in Caffe, a solver's file gives its snapshots their name where `snapshot_prefix` is missing or names a folder.
    """
    text, source = read_source(path_or_text)
    parsed = _parsed(text, "SolverParameter", source, strict, tolerant)
    override(parsed, overrides)
    document: Document = upgrade_solver(parsed)
    if source != TEXT:
        _set_snapshot_prefix(document, Path(source))
    return document


def _parsed(text: str, message: str, source: str, strict: bool, tolerant: bool = False) -> Document:
    document = parse_text(text, message, source, strict, tolerant)
    if source != TEXT and not document.place.children and not document.faults:
        raise PrototxtError(f"{source} is empty: it holds no field of a {message}; give a complete file")
    return document


def _set_snapshot_prefix(document: Document, path: Path) -> None:
    solver = document.message
    if not solver.HasField("snapshot_prefix"):
        solver.snapshot_prefix = str(path.with_suffix(""))
    elif Path(solver.snapshot_prefix).is_dir():
        solver.snapshot_prefix = str(Path(solver.snapshot_prefix) / path.stem)
