"""The page of the commands, from the parsers of their options."""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Iterable

Command = tuple[str, str, argparse.ArgumentParser]
"""Name, description (the docstring of its file), parser with the command's own options."""

_INTRO = """# Commands

`caffe-compat COMMAND --help` prints the same. Caffe's own flags may have one dash, as in Caffe: `-solver x`,
`--solver x` and `--solver=x` are one. In a command's name `_` and `-` are one. Every command takes `--debug`, which
shows a traceback with an error. `train`, `test`, `time` and `device-query` take each other's flags of Caffe, too, and
Caffe's programs take those of its log (`--logtostderr`, `--log_dir`, ...); without effect, as in Caffe. Exit status: 0
if all went well, 1 for an error, 2 for wrong usage.
"""


def command_page(commands: Iterable[Command]) -> str:
    """docs/commands.md, without its header."""
    return _INTRO + "".join(_section(*command) for command in commands)


def _section(name: str, description: str, parser: argparse.ArgumentParser) -> str:
    shown = [action for action in parser._actions if action.dest != "help" and action.help != argparse.SUPPRESS]
    rows = [_row(parser, action) for action in shown]
    table = "\n".join(["| option | |", "| --- | --- |", *rows]) + "\n" if rows else "No options.\n"
    return f"\n## {name}\n\n{_escaped(description).strip()}\n\n{table}"


def _row(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    value = action.metavar or (
        "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()
    )
    words = value if isinstance(value, str) else " ".join(value)
    names = [name for name in action.option_strings if name.startswith("--")] or action.option_strings
    shown = " ".join([", ".join(names), words]) if names and action.nargs != 0 else ", ".join(names) or words
    text = (action.help or "") % {**vars(action), "prog": parser.prog}
    cells = [cell.replace("|", "\\|") for cell in (f"`{shown}`", _escaped(text))]
    return f"| {cells[0]} | {cells[1]} |"


def _escaped(text: str) -> str:
    """Text as Markdown: what stands in backticks, and lines that are indented, are code."""
    text = re.sub(
        r"(?:^ {2,}\S.*\n?)+", lambda lines: f"```console\n{inspect.cleandoc(lines[0])}\n```\n", text, flags=re.M
    )
    parts = re.split(r"(^```console\n.*?^```|`[^`]+`)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part[:1] == "`" else _plain(part) for part in parts)


def _plain(text: str) -> str:
    return re.sub(r"([*_\[\]])", r"\\\1", text.replace("<", "&lt;"))
