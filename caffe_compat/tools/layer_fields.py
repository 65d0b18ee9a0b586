"""The prototxt fields of a layer, with the schema's types and defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from caffe_compat.layers import Layer
from caffe_compat.proto.fields import Field, message_fields

_DROPPED = ("engine",)  # CAFFE or CUDNN: torch chooses


@dataclass(frozen=True)
class FieldRow:
    """One field: ``block`` it stands in, its name, its type in words, its default in words."""

    block: str
    name: str
    type: str
    default: str


def field_rows(cls: type[Layer]) -> list[FieldRow]:
    """The fields of all blocks of a layer, in the schema's order."""
    blocks = {block: message_fields("LayerParameter").by_name[block] for block in cls.blocks}
    return [
        FieldRow(block, name, _type(field), _default(field))
        for block, message in blocks.items()
        for name, field in message.message_fields().by_name.items()
        if name not in _DROPPED
    ]


def _type(field: Field) -> str:
    kinds = {"FillerParameter": "filler", "BlobShape": "shape", "int32": "int", "uint32": "int from 0", "int64": "int"}
    if field.kind == "enum":
        name = " or ".join(field.enum)
    elif field.kind == "message":
        name = kinds.get(field.type_name, field.type_name)
    else:
        name = kinds.get(field.kind, field.kind)
    return f"{name}, repeated" if field.repeated else name


def _default(field: Field) -> str:
    if field.repeated or not field.descriptor.has_default_value:
        return "not set"
    return _word(field, field.descriptor.default_value)


def _word(field: Field, value: Any) -> str:
    """A value as a prototxt writes it; floats with the digits that a float32 has."""
    if field.kind == "enum":
        return next(name for name, number in field.enum.items() if number == value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value) or '""'
