"""A parsed file: the message, the places of its fields in the text, and what there is to tell about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from caffe_compat.errors import PrototxtError


class Place:
    """Where a message or field stands in the text: a tree of the message's shape.

    ``children[name]`` lists the places of a field's values (one where the field is not repeated).
    ``literal`` keeps the name of an enum value that only a fork of Caffe knows.
    """

    __slots__ = ("children", "literal", "offset")

    def __init__(self, offset: int | None = None) -> None:
        self.offset = offset
        self.children: dict[str, list[Place]] = {}
        self.literal: str | None = None

    def add(self, name: str, offset: int | None) -> Place:
        """The new place of one more value of field ``name``."""
        place = Place(offset)
        self.children.setdefault(name, []).append(place)
        return place

    def at(self, name: str, index: int = 0) -> Place:
        """The place of a field's value; an unknown one is taken to stand where its parent does."""
        places = self.children.get(name, ())
        return places[index] if 0 <= index < len(places) else Place(self.offset)


class Document:
    """A message read from a file or text.

    message: the protobuf message; source: file name or "<text>"; text: what was read ("" for binary files);
    notes: what the user should know (unknown fields, upgrades done), each with its file:line:column;
    faults: the errors that a tolerant reading steps over. A document with faults can be looked at, but not built.
    """

    def __init__(self, message: Any, source: str, text: str = "", place: Place | None = None) -> None:
        self.message = message
        self.source = source
        self.text = text
        self.place = place or Place()
        self.notes: list[str] = []
        self.tolerant = False
        self.faults: list[str] = []

    def fault(self, error: PrototxtError) -> None:
        """Raise the error, or keep it if the reading is tolerant."""
        if not self.tolerant:
            raise error
        self.faults.append(str(error))

    @property
    def ignored(self) -> list[str]:
        """The notes about fields that were not understood, and are ignored."""
        return [note for note in self.notes if note.endswith(": ignored")]

    def refuse_faults(self) -> None:
        """PrototxtError with all faults, if there is one."""
        if self.faults:
            raise PrototxtError("\n".join(self.faults))

    def where(self, *path: str | int) -> str:
        """``where("layer", 3, "convolution_param", "num_output") -> "net.prototxt:12:3"``.

        Falls back to the nearest parent with a known place, then to the source's name.
        """
        place = known = self.place
        for name, index in _steps(path):
            places = place.children.get(name, ())
            if not 0 <= index < len(places):
                break
            place = places[index]
            known = place if place.offset is not None else known
        return self.locate(known)

    def locate(self, place: Place) -> str:
        """``source:line:column`` of a place, or the source's name."""
        return locate(self.source, self.text, place.offset)

    def sub(self, *path: str | int) -> Document:
        """The document of a message inside this one, e.g. ``sub("net_param")`` or ``sub("test_net_param", 0)``."""
        message, place = self.message, self.place
        for name, index in _steps(path):
            value = getattr(message, name)
            message = value[index] if hasattr(value, "append") else value
            place = place.at(name, index)
        return self.with_message(message, place)

    def with_message(self, message: Any, place: Place | None = None) -> Document:
        """The same file with another message: a part of it, or a changed copy (``place``: the old one)."""
        document = Document(message, self.source, self.text, place or self.place)
        document.tolerant, document.faults = self.tolerant, self.faults
        return document


def locate(source: str, text: str, offset: int | None) -> str:
    """``source:line:column`` (both from 1, columns in characters) of an offset into the text."""
    if offset is None:
        return source
    newline = text.rfind("\n", 0, offset)
    return f"{source}:{text.count(chr(10), 0, offset) + 1}:{offset - newline}"


def _steps(path: tuple[str | int, ...]) -> Iterator[tuple[str, int]]:
    """A path as pairs of field name and index; the index is 0 where the path gives none."""
    for position, step in enumerate(path):
        if isinstance(step, str):
            after = path[position + 1] if position + 1 < len(path) else 0
            yield step, after if isinstance(after, int) else 0
