"""Text format, lowest floor: the text as tokens, and what strings and numbers mean.

Two parallel lists (texts, offsets) rather than objects: a net of 5,000 lines has some 20,000 tokens.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"""[\s]+|\#[^\n]*                                      # blanks, comments: no group
    |([A-Za-z_]\w*                                          # names
    |(?:0[xX]|\.?[0-9])(?:[eE][+-][0-9]|[\w.])*             # numbers, also malformed ones: judged where used
    |"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*'         # strings
    |["'][^\n]*                                             # a string that its line does not end
    |.)                                                     # punctuation and what does not belong here
    """,
    re.VERBOSE | re.ASCII,
)
_CLOSED = re.compile(r""" "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' """, re.VERBOSE)
INTEGER = re.compile(r"0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]{0,99}")
FLOAT = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[fF]?")
_ESCAPE = re.compile(
    rb"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|u([0-9a-fA-F]{4})|U(0010[0-9a-fA-F]{4}|000[0-9a-fA-F]{5})|(.))"
)
_SIMPLE = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v",
           b"\\": b"\\", b"?": b"?", b"'": b"'", b'"': b'"'}  # fmt: skip


class BadStringError(ValueError):
    """A string token that does not end on its line, or holds an unknown escape."""


def tokenize(text: str) -> tuple[list[str], list[int]]:
    """Texts and offsets of all tokens, with "" as the last."""
    texts: list[str] = []
    offsets: list[int] = []
    for match in _TOKEN.finditer(text):
        token = match[1]
        if token is not None:
            texts.append(token)
            offsets.append(match.start())
    texts.append("")
    offsets.append(len(text))
    return texts, offsets


def is_name(token: str) -> bool:
    """Whether a token is an identifier."""
    return token.isidentifier() and token.isascii()


def integer(token: str) -> int | None:
    """The value of an unsigned integer token: decimal, hexadecimal (0x1F) or octal (017); None if it is none."""
    if not INTEGER.fullmatch(token):
        return None
    octal = len(token) > 1 and token[0] == "0" and token[1] not in "xX"
    return int(token, 8 if octal else 0)


def real(token: str) -> float | None:
    """The value of an unsigned number token: 1, 1.5, 1e-2f, inf, nan; None if it is none.

    As in Caffe, hexadecimal and octal integers are none.
    """
    if token.lower() in ("inf", "infinity", "nan"):
        return float(token)
    if not FLOAT.fullmatch(token) or (len(token) > 1 and token[0] == "0" and INTEGER.fullmatch(token)):
        return None
    return float(token.rstrip("fF"))


def string_bytes(token: str) -> bytes:
    """The content of a string token, escapes resolved, as bytes (UTF-8; bytes of other encodings as they are)."""
    if not _CLOSED.fullmatch(token):
        raise BadStringError(f"the string is not closed on its line: {token[:40]}")
    raw = token[1:-1].encode("utf-8", "surrogateescape")
    return _ESCAPE.sub(_unescape, raw) if b"\\" in raw else raw


def _unescape(match: re.Match[bytes]) -> bytes:
    octal, hexadecimal, high, low, short, long, simple = match.groups()
    if octal or hexadecimal:
        return bytes([int(octal, 8) & 0xFF if octal else int(hexadecimal, 16)])
    if high:
        return chr(0x10000 + ((int(high, 16) & 0x3FF) << 10) + (int(low, 16) & 0x3FF)).encode()
    if short or long:
        return chr(int(short or long, 16)).encode("utf-8", "surrogatepass")
    if simple not in _SIMPLE:
        raise BadStringError(f"unknown escape \\{simple.decode('latin-1')} in a string; for a backslash write two")
    return _SIMPLE[simple]
