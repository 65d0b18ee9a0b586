"""What the passes share: moving a field, with its place, from one message to another."""

from __future__ import annotations

from typing import Any

from caffe_compat.proto.document import Document, Place
from caffe_compat.proto.fields import is_repeated


def places(place: Place, name: str, count: int) -> list[Place]:
    """The places of ``count`` values of a repeated field; in a binary file, or one made by a program, unknown ones."""
    known = place.children.setdefault(name, [])
    known += [Place(place.offset) for _ in range(count - len(known))]
    return known


def only_place(place: Place, name: str) -> Place:
    """The place of a sub-message, made where there is none yet."""
    return places(place, name, 1)[0]


def copy_value(message: Any, name: str, value: Any) -> None:
    """Give field ``name`` a value of another message's field: a scalar, a message, or several of them."""
    field = message.DESCRIPTOR.fields_by_name[name]
    if is_repeated(field):
        getattr(message, name).extend(value if hasattr(value, "append") else [value])
    elif field.message_type is not None:
        getattr(message, name).CopyFrom(value)
    else:
        setattr(message, name, value)


def move_places(source: Place, name: str, target: Place, new_name: str) -> None:
    """Let a field of ``target`` stand where one of ``source`` stood."""
    if name in source.children:
        target.children[new_name] = source.children.pop(name)


def tell(document: Document, place: Place, message: str) -> None:
    """Add a note about a place."""
    document.notes.append(f"{document.locate(place)}: {message}")
