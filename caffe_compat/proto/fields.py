"""The schema's fields as parser and printer want them: tables by name, users' blocks among the built-in ones."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from caffe_compat.proto import schema

_KINDS = {1: "double", 2: "float", 3: "int64", 4: "uint64", 5: "int32", 8: "bool", 9: "string", 11: "message",
          12: "bytes", 13: "uint32", 14: "enum"}  # fmt: skip
# Forks of Caffe added values here; a name that we do not know becomes the layer's type, see upgrade/v1.py.
_OPEN_ENUMS = ("caffe.V1LayerParameter.type",)
_REQUIRED, _REPEATED = 2, 3


class Field:
    """One field of a message. ``kind`` is a scalar's name, "enum" or "message"."""

    __slots__ = ("descriptor", "enum", "kind", "name", "open_enum", "repeated", "required")

    def __init__(self, descriptor: Any) -> None:
        self.name: str = descriptor.name
        self.descriptor = descriptor
        self.kind = _KINDS[descriptor.type]
        self.repeated = is_repeated(descriptor)
        self.required = is_required(descriptor)
        self.open_enum = descriptor.full_name in _OPEN_ENUMS
        values = descriptor.enum_type.values if descriptor.enum_type is not None else ()
        self.enum = {value.name: value.number for value in values}

    @property
    def type_name(self) -> str:
        """What a reader calls the field's type: "uint32", "FillerParameter", "PoolingParameter.PoolMethod"."""
        named = self.descriptor.enum_type or self.descriptor.message_type
        return short_name(named) if named is not None else self.kind

    def message_fields(self) -> MessageFields:
        """The table of the field's own message type (kind "message")."""
        return fields_of(self.descriptor.message_type)

    def container(self, message: Any) -> Any:
        """The repeated field or sub-message itself, in a message of the field's owner."""
        if self.descriptor.is_extension:
            return message.Extensions[self.descriptor]
        return getattr(message, self.name)

    def set(self, message: Any, value: Any) -> None:
        """Give the (not repeated) scalar field its value."""
        if self.descriptor.is_extension:
            message.Extensions[self.descriptor] = value
        else:
            setattr(message, self.name, value)


class MessageFields:
    """The fields of one message type by name."""

    def __init__(self, descriptor: Any) -> None:
        self.name = short_name(descriptor)
        self.by_name = {field.name: Field(field) for field in descriptor.fields}
        self.required = [field.name for field in self.by_name.values() if field.required]


_tables: dict[str, MessageFields] = {}


def fields_of(descriptor: Any) -> MessageFields:
    """The (kept) table of a message type."""
    table = _tables.get(descriptor.full_name)
    if table is None:
        table = _tables[descriptor.full_name] = MessageFields(descriptor)
    return table


def message_fields(name: str) -> MessageFields:
    """The table of a message such as "LayerParameter"."""
    return fields_of(schema.descriptor(name))


def short_name(descriptor: Any) -> str:
    """A type's name without its package: "PoolingParameter.PoolMethod"; of a user's block: "my_param"."""
    return str(descriptor.full_name).removeprefix("caffe.").removeprefix("user.").removesuffix(".Fields")


def is_repeated(descriptor: Any) -> bool:
    """protobuf 7 has no ``label`` any more, protobuf 4 no ``is_repeated`` yet."""
    return bool(descriptor.is_repeated if hasattr(descriptor, "is_repeated") else descriptor.label == _REPEATED)


def is_required(descriptor: Any) -> bool:
    """See ``is_repeated``."""
    return bool(descriptor.is_required if hasattr(descriptor, "is_required") else descriptor.label == _REQUIRED)


def accepted(found: str, known: Iterable[str], limit: int = 12) -> str:
    """The names to show for an unknown one: near ones first; all where they are few."""
    names = list(known)
    near = difflib.get_close_matches(found, names, n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    if len(names) <= limit:
        return f"{hint}known: {', '.join(names)}"
    return hint.rstrip() or f"known: {', '.join(names[:limit])}, and {len(names) - limit} more"
