"""The messages of docs/troubleshooting.md are messages of the program."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
MESSAGES = [
    text for line in re.findall(r"^\*\*(`.+?)\*\*", PAGE, re.MULTILINE) for text in re.findall(r"`([^`]+)`", line)
]
WINDOW = 3
SHORT = {
    "FILE:LINE:COLUMN: unknown field 'F' in MESSAGE (did you mean 'G'?)": "unknown field",
    "takes exactly 2 bottom(s), found 1": "bottom(s), found",
    "the LMDB PATH is damaged": "is damaged",
    "X, Y exist already": "exist already",
    "cannot write FILE: No space left on device": "cannot write",
}
"""Messages of which less than WINDOW words stand together in the program."""


@cache
def texts() -> list[str]:
    """All string constants of the package; the constant parts of f-strings."""
    found = []
    for path in (ROOT / "caffe_compat").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(" ".join(node.value.split()))
    return found


def test_there_are_messages() -> None:
    assert len(MESSAGES) > 40


@pytest.mark.parametrize("message", MESSAGES)
def test_message_is_in_the_program(message: str) -> None:
    """Some words of it, one after the other, are; the others are a user's own names and numbers."""
    words = message.split()
    windows = [SHORT.get(message, " ".join(words[start : start + WINDOW])) for start in range(len(words) - WINDOW + 1)]
    assert any(window in text for window in windows for text in texts())
