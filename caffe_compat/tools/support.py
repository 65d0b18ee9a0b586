"""What is supported: one row for every layer type of Caffe and of the known forks, made from the registered classes."""

from __future__ import annotations

import ast
import difflib
import inspect
import textwrap
from dataclasses import dataclass
from pathlib import Path

from caffe_compat.errors import NetError
from caffe_compat.layers import LAYERS, Layer
from caffe_compat.layers.source_layer import SourceLayer
from caffe_compat.tools.docstrings import describe
from caffe_compat.tools.known_types import BVLC, FORKS, NOT_BUILT, REASONS

PACKAGE = Path(__file__).parents[1]
OURS = "caffe_compat"


@dataclass(frozen=True)
class Verdict:
    """``ok`` with a ``note`` is a "yes, but"; not ``ok`` is a no, and the note its reason."""

    ok: bool
    note: str = ""

    def __str__(self) -> str:
        if self.ok:
            return f"yes, but: {self.note}" if self.note else "yes"
        return f"no: {self.note}"


@dataclass(frozen=True)
class Row:
    """One layer type. ``origin``: "Caffe", a fork's name, "caffe_compat", "your own". ``room``: the file of its class.

    ``deviations``: where it differs from Caffe on purpose.
    """

    type: str
    origin: str
    room: str
    build: Verdict
    train: Verdict
    export: Verdict
    deviations: tuple[str, ...] = ()


def support_rows() -> list[Row]:
    """All rows, by type."""
    names = {*BVLC, *(name for types in FORKS.values() for name in types), *LAYERS}
    return [support_row(name) for name in sorted(names, key=lambda name: (name.lower(), name))]


def support_row(name: str) -> Row:
    """The row of one type. Raises NetError, with near names, for a type that nobody knows."""
    if name in LAYERS:
        return _built(name, LAYERS[name])
    if name not in BVLC and origin(name) == OURS:
        known = sorted({*BVLC, *LAYERS, *(known for types in FORKS.values() for known in types)})
        near = difflib.get_close_matches(name.lower(), [known.lower() for known in known], n=3)
        within = [candidate for candidate in known if name and name.lower() in candidate.lower()]
        found = within[:8] or [candidate for candidate in known if candidate.lower() in near]
        hint = f"did you mean {' or '.join(found)}?" if found else "'caffe-compat layers' lists all types"
        raise NetError(f"unknown layer type '{name}'; {hint}")
    no = Verdict(False, REASONS.get(name, NOT_BUILT))
    return Row(name, origin(name), "", no, no, no)


def origin(name: str) -> str:
    """Where a type comes from."""
    if name in LAYERS and not LAYERS[name].__module__.startswith("caffe_compat."):
        return "your own"
    if name in BVLC:
        return "Caffe"
    return next((fork for fork, types in FORKS.items() if name in types), OURS)


def room(cls: type[Layer]) -> str:
    """The file of a class, as seen from the project's root; a user's own class: its module."""
    if not cls.__module__.startswith("caffe_compat."):
        return cls.__module__
    return (Path("caffe_compat") / Path(inspect.getfile(cls)).relative_to(PACKAGE)).as_posix()


def _built(name: str, cls: type[Layer]) -> Row:
    deviations = tuple(describe(cls).labelled("Differs from Caffe"))
    train = Verdict(True, cls.train_note)
    return Row(name, origin(name), room(cls), Verdict(True), train, _export(cls), deviations)


def _export(cls: type[Layer]) -> Verdict:
    """No where ``lower`` is missing or does nothing but refuse; data layers become inputs before it is asked."""
    is_input = issubclass(cls, SourceLayer) or cls.type_name == "Input"
    refuses = cls.lower is Layer.lower or _only_raises(cls)
    return Verdict(is_input or not refuses, cls.export_note or ("it has no ONNX form" if refuses else ""))


def _only_raises(cls: type[Layer]) -> bool:
    """Whether the body of ``lower`` is one ``raise``."""
    try:
        function = ast.parse(textwrap.dedent(inspect.getsource(cls.lower))).body[0]
    except (OSError, SyntaxError):  # a class typed into a console has no source
        return False
    assert isinstance(function, ast.FunctionDef)
    body = [statement for statement in function.body if not isinstance(statement, ast.Expr)]
    return len(body) == 1 and isinstance(body[0], ast.Raise)
