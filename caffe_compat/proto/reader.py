"""Text format: a position in the tokens, and errors and notes that name it."""

from __future__ import annotations

from caffe_compat.errors import PrototxtError
from caffe_compat.proto.document import locate
from caffe_compat.proto.tokens import tokenize


class Reader:
    """A text as tokens. ``index`` is the token to read next; ``tolerant``: faults are kept, not raised."""

    def __init__(self, text: str, source: str, tolerant: bool = False) -> None:
        self.text = text
        self.source = source
        self.texts, self.offsets = tokenize(text)
        self.index = 0
        self.notes: list[str] = []
        self.tolerant = tolerant
        self.faults: list[str] = []

    @property
    def token(self) -> str:
        """The token to read next; "" at the end."""
        return self.texts[self.index]

    @property
    def offset(self) -> int:
        """Where that token stands in the text."""
        return self.offsets[self.index]

    def take(self, token: str) -> bool:
        """Step over ``token`` if it is next."""
        if self.texts[self.index] != token:
            return False
        self.index += 1
        return True

    def found(self) -> str:
        """The token to read next, as an error shows it."""
        token = self.token
        if not token:
            return "the end of the file"
        return token[:60] if token[0] in "\"'" else repr(token[:60])

    def where(self, index: int | None = None) -> str:
        """``source:line:column`` of a token (default: the next one)."""
        return locate(self.source, self.text, self.offsets[self.index if index is None else index])

    def error(self, message: str, index: int | None = None) -> PrototxtError:
        """An error at a token (default: the next one)."""
        return PrototxtError(f"{self.where(index)}: {message}")

    def fault(self, error: PrototxtError) -> None:
        """An error that a tolerant reader can step over."""
        if not self.tolerant:
            raise error
        self.faults.append(str(error))

    def note(self, message: str, index: int | None = None) -> None:
        """Tell of something at a token that does not stop the reading."""
        self.notes.append(f"{self.where(index)}: {message}")
