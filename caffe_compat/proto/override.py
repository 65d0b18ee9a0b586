"""Fields of a file given anew, as on a command line: ``base_lr=0.001``, ``test_iter=[5, 5]``, ``type=Adam``."""

from __future__ import annotations

from collections.abc import Sequence

from caffe_compat.errors import PrototxtError
from caffe_compat.proto.document import Document
from caffe_compat.proto.fields import Field, MessageFields, accepted, fields_of
from caffe_compat.proto.parser import parse_text
from caffe_compat.proto.printer import quote

_INSTEAD = {"type": ("solver_type",), "solver_type": ("type",)}


def override(document: Document, settings: Sequence[str]) -> None:
    """Set fields of the document's message, each by ``FIELD=VALUE`` with the value in text format.

    Strings may go without quotes, and messages without braces. A repeated field takes a list, or is given several
    times; what the file gives is replaced. Raises PrototxtError that names the setting, and near fields.
    """
    table = fields_of(document.message.DESCRIPTOR)
    lines: dict[str, list[str]] = {}
    for setting in settings:
        field, value = _parts(setting, table)
        lines.setdefault(field.name, []).append(_line(field, value))
    for name, texts in lines.items():
        given = parse_text("\n".join(texts), table.name, f"the given {name}", strict=True)
        if set(given.place.children) != {name}:
            raise PrototxtError(f"the given {name} holds more than one value; give each field on its own: {name}=...")
        for old in (name, *_INSTEAD.get(name, ())):
            document.message.ClearField(old)
            document.place.children.pop(old, None)
        document.message.MergeFrom(given.message)


def _parts(setting: str, table: MessageFields) -> tuple[Field, str]:
    name, equals, value = (part.strip() for part in setting.partition("="))
    if not equals or not name or not value:
        raise PrototxtError(f"{setting!r} is no setting; accepted: FIELD=VALUE, as in base_lr=0.001")
    if name not in table.by_name:
        raise PrototxtError(f"{setting!r}: {table.name} has no field {name!r} ({accepted(name, table.by_name)})")
    return table.by_name[name], value


def _line(field: Field, value: str) -> str:
    """The setting as a line of text format."""
    if field.kind == "message":
        return f"{field.name} {value}" if value[0] in "{<[" else f"{field.name} {{ {value} }}"
    if field.kind == "string" and value[0] not in "\"'[":
        value = quote(value)
    return f"{field.name}: {value}"
