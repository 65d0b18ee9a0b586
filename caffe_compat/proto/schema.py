"""Reads ``caffe.proto`` at run time and makes the message classes, in a descriptor pool of our own.

The private pool lets another ``caffe_pb2`` (of pycaffe, of a fork) live in the same process. Needs no ``protoc``.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

FILE = "caffe_compat/caffe.proto"
SCALARS = ("double", "float", "int64", "uint64", "int32", "bool", "string", "bytes", "uint32")
_STATEMENT = re.compile(
    r"^ *(?:(?P<open>message|enum) (?P<opened>\w+) \{"
    r"|(?P<label>optional|required|repeated) (?P<type>[\w.]+) (?P<name>\w+) = (?P<number>\d+)"
    r"(?: \[(?P<options>[^\]]*)\])?;"
    r"|(?P<value>\w+) = (?P<value_number>\d+);"
    r"|extensions (?P<extensions>\d+) to max;"
    r"|(?P<close>\}))",
    re.MULTILINE,
)
_DEFAULT = re.compile(r'default = "?([^",]*)')
_MAX_NUMBER = 1 << 29


@cache
def pool() -> Any:
    """The private descriptor pool, holding caffe.proto (and users' blocks, see blocks.py)."""
    from google.protobuf import descriptor_pool

    made = descriptor_pool.DescriptorPool()
    text = Path(__file__).with_name("caffe.proto").read_text("utf-8")
    made.AddSerializedFile(parse_schema(text).SerializeToString())
    for message in made.FindFileByName(FILE).message_types_by_name.values():
        _classes.append(class_of(message))
    return made


_classes: list[Any] = []  # protobuf makes a class anew, with another __module__, when nothing holds it


def descriptor(name: str) -> Any:
    """The descriptor of a message such as "NetParameter". KeyError where the schema has none."""
    return pool().FindMessageTypeByName(f"caffe.{name}")


@cache
def message_class(name: str) -> Any:
    """The class of a message such as "NetParameter". KeyError where the schema has none."""
    return class_of(descriptor(name))


def class_of(message_descriptor: Any) -> Any:
    """The class of a message of our pool."""
    from google.protobuf import message_factory

    made = message_factory.GetMessageClass(message_descriptor)
    made.__module__ = "caffe_compat.proto.pb"  # where pickle finds it; by itself it takes that of its first user
    return made


def enum_descriptor(name: str) -> Any:
    """The descriptor of an enum such as "Phase" or "LossParameter.NormalizationMode"."""
    return pool().FindEnumTypeByName(f"caffe.{name}")


def parse_schema(text: str) -> Any:
    """A FileDescriptorProto of ``caffe.proto``'s text."""
    from google.protobuf import descriptor_pb2

    file = descriptor_pb2.FileDescriptorProto(name=FILE, package="caffe", syntax="proto2")
    enums = set(re.findall(r"^ *enum (\w+)", text, re.MULTILINE))
    scopes: list[Any] = [file]
    for match in _STATEMENT.finditer(text):
        scope = scopes[-1]
        if match["open"]:
            scopes.append(_opened(scope, match["open"], match["opened"], file))
        elif match["close"]:
            scopes.pop()
        elif match["label"]:
            _add_field(scope.field.add(), match, enums)
        elif match["value"]:
            scope.value.add(name=match["value"], number=int(match["value_number"]))
        else:
            scope.extension_range.add(start=int(match["extensions"]), end=_MAX_NUMBER)
    return file


def _opened(scope: Any, kind: str, name: str, file: Any) -> Any:
    if kind == "enum":
        return scope.enum_type.add(name=name)
    return (scope.message_type if scope is file else scope.nested_type).add(name=name)


def _add_field(field: Any, match: re.Match[str], enums: set[str]) -> None:
    """Fill a FieldDescriptorProto from one field statement."""
    kind, options = match["type"], match["options"] or ""
    field.name, field.number = match["name"], int(match["number"])
    field.label = getattr(field, f"LABEL_{match['label'].upper()}")
    if kind in SCALARS:
        field.type = getattr(field, f"TYPE_{kind.upper()}")
    else:
        field.type = field.TYPE_ENUM if kind.split(".")[-1] in enums else field.TYPE_MESSAGE
        field.type_name = kind
    if default := _DEFAULT.search(options):
        field.default_value = default[1]
    if "packed = true" in options:
        field.options.packed = True
