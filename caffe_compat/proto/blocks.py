"""Blocks of users' own layers: ``extend_layer("my_param", {"margin": 0.3, "names": [str]})``.

A block is a proto2 extension of LayerParameter in our pool. Its number comes from its name alone, so that binary files
written by one program are read by another that declares the same block.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from caffe_compat.errors import PrototxtError
from caffe_compat.proto import schema
from caffe_compat.proto.fields import Field, accepted, message_fields

FIRST_NUMBER, NUMBERS = 100_000_000, 400_000_000  # within the extensions that caffe.proto reserves
_KINDS: dict[type, str] = {bool: "bool", int: "int64", float: "double", str: "string", bytes: "bytes"}
_PACKAGE = "caffe.user."
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_declared: dict[str, dict[str, Any]] = {}


def extend_layer(block: str, fields: Mapping[str, Any]) -> None:
    """Declare ``block {}`` of a layer, so that text and binary files can hold it.

    Each field is given by a type (bool, int, float, str, bytes, or a message class such as pb.FillerParameter), by a
    default value, or, if it is repeated, by a list of one type or of values. Numbers are int64 and double.
    PrototxtError: a name of Caffe's own, a block declared before with other fields, a field that means nothing.
    """
    wanted = {name: _field_proto(block, name, value) for name, value in fields.items()}
    if block in _declared:
        if _declared[block] != wanted:
            raise PrototxtError(f"the block {block!r} is declared twice with different fields; give one another name")
        return
    _check_name(block)
    file = _file(block, wanted)
    try:
        schema.pool().AddSerializedFile(file.SerializeToString())
        extension = schema.pool().FindExtensionByName(f"{_PACKAGE}{block}.{block}")
    except (TypeError, KeyError) as error:
        raise PrototxtError(f"the block {block!r} cannot be declared: {error}; another name may help") from None
    schema.class_of(extension.message_type)
    message_fields("LayerParameter").by_name[block] = Field(extension)
    _declared[block] = wanted


def block_fields(layer: Any, block: str) -> Any:
    """The sub-message that a LayerParameter holds under a built-in or a user's block name; None where it is not set."""
    field = message_fields("LayerParameter").by_name.get(block)
    if field is None or field.kind != "message" or field.repeated:
        known = [name for name, field in message_fields("LayerParameter").by_name.items() if field.kind == "message"]
        raise PrototxtError(f"there is no block {block!r} of a layer ({accepted(block, known)})")
    if field.descriptor.is_extension:
        return field.container(layer) if layer.HasExtension(field.descriptor) else None
    return field.container(layer) if layer.HasField(block) else None


def _check_name(block: str) -> None:
    if not _NAME.fullmatch(block):
        raise PrototxtError(f"{block!r} is no name for a block; letters, digits and _ are")
    if block in message_fields("LayerParameter").by_name:
        raise PrototxtError(f"{block!r} is a field of Caffe's LayerParameter already; give the block another name")


def _file(block: str, fields: Mapping[str, Any]) -> Any:
    """The schema file that declares one block."""
    from google.protobuf import descriptor_pb2

    file = descriptor_pb2.FileDescriptorProto(
        name=f"caffe_compat/user/{block}.proto", package=f"{_PACKAGE}{block}", syntax="proto2", dependency=[schema.FILE]
    )
    message = file.message_type.add(name="Fields")
    for number, field in enumerate(fields.values(), start=1):
        added = message.field.add()
        added.CopyFrom(field)
        added.number = number
    extension = file.extension.add(name=block, number=block_number(block), extendee=".caffe.LayerParameter")
    extension.type_name = f".{file.package}.{message.name}"
    extension.label, extension.type = extension.LABEL_OPTIONAL, extension.TYPE_MESSAGE
    return file


def block_number(block: str) -> int:
    """The field number of a block in binary files."""
    digest = hashlib.sha256(block.encode()).digest()
    return FIRST_NUMBER + int.from_bytes(digest[:8], "big") % NUMBERS


def _field_proto(block: str, name: str, value: Any) -> Any:
    """A FieldDescriptorProto (without number) of a type, a default value, or a list of one of them."""
    from google.protobuf import descriptor_pb2

    field = descriptor_pb2.FieldDescriptorProto(name=name)
    field.label = field.LABEL_REPEATED if isinstance(value, list) else field.LABEL_OPTIONAL
    kind = value[0] if isinstance(value, list) and value else value
    if not isinstance(name, str) or not _NAME.fullmatch(name) or isinstance(kind, list):
        raise _bad_field(block, name, value)
    if isinstance(kind, type) and hasattr(kind, "DESCRIPTOR"):
        field.type, field.type_name = field.TYPE_MESSAGE, f".{kind.DESCRIPTOR.full_name}"
        return field
    kind = kind if isinstance(kind, type) else type(kind)
    if kind not in _KINDS:
        raise _bad_field(block, name, value)
    field.type = getattr(field, f"TYPE_{_KINDS[kind].upper()}")
    if not isinstance(value, (list, type)):
        field.default_value = _default(value)
    return field


def _default(value: Any) -> str:
    """A default as the schema writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.decode("latin-1").encode("unicode_escape").decode("ascii")
    return repr(value) if isinstance(value, float) else str(value)


def _bad_field(block: str, name: Any, value: Any) -> PrototxtError:
    return PrototxtError(
        f"field {name!r} of block {block!r} is declared by {value!r}; a type (bool, int, float, str, bytes, a message "
        "class of pb), a default value, or a list of one of these, such as [float], declares a field"
    )
