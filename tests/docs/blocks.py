"""The code blocks of a documentation page, and how they are run.

A block is run when an HTML comment stands right above it: ``<!-- run -->``. A ``python`` block runs in the page's one
namespace; of a ``console`` block every line that begins with ``$ `` runs in bash, with a line's continuations; a block
with ``title="name"`` and ``<!-- file -->`` above it is written to that file. ``<!-- run: fails -->``: the commands must
fail. In both this and ``<!-- run: same -->`` they must print what the block shows, where " ... " stands for anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(
    r"^<!-- (?P<mark>run|run: fails|run: same|file) -->\n```(?P<language>\w+)(?P<info>[^\n]*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """``line``: where it stands in its page."""

    mark: str
    language: str
    title: str
    text: str
    line: int

    def commands(self) -> Iterator[tuple[str, str]]:
        """(command, the output shown below it) of a console block."""
        for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            lines = part.split("\n")
            count = next(i for i, line in enumerate(lines, 1) if not line.endswith("\\"))
            yield "\n".join(lines[:count]), "\n".join(lines[count:])


def blocks(page: Path) -> list[Block]:
    """The blocks of a page that are run or written, in order."""
    text = page.read_text("utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        title = re.search(r'title="([^"]+)"', match["info"])
        line = text[: match.start()].count("\n") + 1
        found.append(Block(match["mark"], match["language"], title[1] if title else "", match["text"], line))
    return found
