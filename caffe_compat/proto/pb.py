"""The message classes and enums of the schema: ``pb.NetParameter``, ``pb.Datum``, ``pb.enum_name("Phase", 0)``.

Classes are made on first use; protobuf is imported then.
"""

from __future__ import annotations

from typing import Any

from caffe_compat.proto import schema


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    try:
        made = schema.message_class(name)
    except KeyError:
        raise AttributeError(f"caffe.proto has no message {name!r}") from None
    globals()[name] = made
    return made


def enum_name(enum: str, number: int) -> str:
    """The name of an enum's value: ``enum_name("Phase", 0) == "TRAIN"``. KeyError where there is none."""
    return str(schema.enum_descriptor(enum).values_by_number[number].name)


def enum_value(enum: str, name: str) -> int:
    """The number of an enum's name: ``enum_value("Phase", "TEST") == 1``. KeyError where there is none."""
    return int(schema.enum_descriptor(enum).values_by_name[name].number)
