"""Text format, top floor: messages and fields. The grammar is protobuf's, with Caffe's strictness about repetition.

Unknown fields are skipped whole and told in a note each; under ``strict`` they are one error that lists them all.
"""

from __future__ import annotations

from typing import Any

from caffe_compat.errors import PrototxtError
from caffe_compat.proto import schema
from caffe_compat.proto.document import Document, Place, locate
from caffe_compat.proto.fields import Field, MessageFields, accepted, fields_of
from caffe_compat.proto.reader import Reader
from caffe_compat.proto.skip import skip_name, skip_scalar, skip_value
from caffe_compat.proto.tokens import is_name
from caffe_compat.proto.values import READERS

CLOSERS = {"{": "}", "<": ">"}
MAX_DEPTH = 100


def parse_text(
    text: str, message: str, source: str = "<text>", strict: bool = False, tolerant: bool = False
) -> Document:
    """Read a message such as "NetParameter" from text, without upgrading it.

    PrototxtError names source:line:column. A text that holds nothing but unknown fields is an error too.
    ``tolerant``: what is well-formed but cannot be meant (a value of another type or an unknown enum, a second value
    where one is taken: the last counts, nothing but unknown fields) goes to the document's ``faults`` instead.
    """
    reader = Reader(text.removeprefix("\ufeff"), source, tolerant)
    parser = _Parser(reader)
    made = schema.message_class(message)()
    table = fields_of(made.DESCRIPTOR)
    place = Place()
    parser.fields(made, table, place, closer="", depth=0)
    if parser.unknown and not place.children:
        reader.fault(PrototxtError(_nothing_known(list(parser.unknown), table)))
    if parser.unknown and strict:
        raise PrototxtError("\n".join(parser.unknown))
    document = Document(made, source, reader.text, place)
    document.tolerant, document.faults = tolerant, reader.faults
    document.notes = reader.notes + [f"{what}: {fate}" for what, fate in parser.unknown.items()]
    return document


def _nothing_known(unknown: list[str], table: MessageFields) -> str:
    more = f"\nand {len(unknown) - 1} more fields" if len(unknown) > 1 else ""
    return f"{unknown[0]}{more}; no field of a {table.name} is in the file: it is something else"


class _Parser:
    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.unknown: dict[str, str] = {}  # what is unknown -> what was done with it
        self._accepted: dict[tuple[str, str], str] = {}

    def fields(self, message: Any, table: MessageFields, place: Place, closer: str, depth: int) -> None:
        """Everything up to ``closer`` ("" at the top: the token that ends the text), into ``message``."""
        reader = self.reader
        opened = reader.index - 1
        while not reader.take(closer):
            name = reader.token
            field = table.by_name.get(name)
            if field is not None:
                self._field(field, message, table, place, depth)
            elif is_name(name) or name == "[":
                self._unknown(table, depth)
            else:
                raise self._no_field(table, closer, opened)
            if reader.token in (";", ","):
                reader.index += 1
        self._check_required(table, place, opened)

    def _field(self, field: Field, message: Any, table: MessageFields, place: Place, depth: int) -> None:
        reader = self.reader
        start = reader.index
        if not field.repeated and field.name in place.children:
            first = locate(reader.source, reader.text, place.children[field.name][0].offset)
            again = f"{field.name!r} of {table.name} takes one value and has one already ({first}); remove one"
            reader.fault(reader.error(again))
        reader.index += 1
        colon = reader.take(":")
        if field.kind != "message" and not colon:
            raise reader.error(
                f"expected ':' and a value ({field.type_name}) after {field.name!r}, found {reader.found()}"
            )
        if reader.token == "[" and field.repeated:
            self._list(field, message, place, depth)
        else:
            self._value(field, message, place, depth, reader.offsets[start])

    def _list(self, field: Field, message: Any, place: Place, depth: int) -> None:
        reader = self.reader
        reader.index += 1
        if reader.take("]"):
            return
        while True:
            self._value(field, message, place, depth, reader.offset)
            if reader.take("]"):
                return
            if not reader.take(","):
                raise reader.error(f"expected ',' or ']' in the list of {field.name!r}, found {reader.found()}")

    def _value(self, field: Field, message: Any, place: Place, depth: int, offset: int) -> None:
        if field.kind == "message":
            self._message(field, message, place, depth, offset)
            return
        reader = self.reader
        start = reader.index
        child = place.add(field.name, offset)
        try:
            value = READERS[field.kind](reader, field)
        except PrototxtError as error:
            reader.index = start
            if not skip_scalar(reader):
                raise
            reader.fault(error)
            return
        if value is None:
            child.literal = reader.texts[start]
            self._unknown_type(field, child.literal, start)
        elif field.repeated:
            field.container(message).append(value)
        else:
            field.set(message, value)

    def _unknown_type(self, field: Field, literal: str, start: int) -> None:
        choice = accepted(literal, field.enum)
        where = self.reader.where(start)
        self.unknown[f"{where}: unknown type {literal!r} ({field.type_name}; {choice})"] = "kept as the layer's type"

    def _message(self, field: Field, message: Any, place: Place, depth: int, offset: int) -> None:
        reader = self.reader
        closer = CLOSERS.get(reader.token)
        if closer is None:
            lists = "; it is not repeated, so it takes no list" if reader.token == "[" else ""
            raise reader.error(f"expected '{{' after {field.name!r} ({field.type_name}), found {reader.found()}{lists}")
        if depth >= MAX_DEPTH:
            raise reader.error(f"messages are nested more than {MAX_DEPTH} deep")
        reader.index += 1
        container = field.container(message)
        inner = container.add() if field.repeated else container
        if not field.repeated:
            inner.SetInParent()
        self.fields(inner, field.message_fields(), place.add(field.name, offset), closer, depth + 1)

    def _unknown(self, table: MessageFields, depth: int) -> None:
        """Step over a field that the schema does not have, and tell of it."""
        reader = self.reader
        start = reader.index
        name = skip_name(reader)
        skip_value(reader, name, MAX_DEPTH - depth)
        key = (table.name, name)
        if key not in self._accepted:
            self._accepted[key] = accepted(name, table.by_name)
        where = reader.where(start)
        self.unknown[f"{where}: unknown field {name!r} in {table.name} ({self._accepted[key]})"] = "ignored"

    def _no_field(self, table: MessageFields, closer: str, opened: int) -> PrototxtError:
        reader = self.reader
        if not reader.token and closer:
            return reader.error(f"the file ends inside {table.name}: '{closer}' is missing for {reader.where(opened)}")
        closing = f" or '{closer}'" if closer else ""
        return reader.error(f"expected a field of {table.name}{closing}, found {reader.found()}")

    def _check_required(self, table: MessageFields, place: Place, opened: int) -> None:
        missing = [name for name in table.required if name not in place.children]
        if missing:
            raise self.reader.error(f"{table.name} needs {' and '.join(map(repr, missing))}", max(opened, 0))
