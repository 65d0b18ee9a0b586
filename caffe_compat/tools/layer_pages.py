"""The documentation of the layers, as Markdown and as text, from classes and schema; nothing is written by hand."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from caffe_compat.errors import CaffeCompatError
from caffe_compat.files import atomic_write
from caffe_compat.layers import LAYERS, Layer
from caffe_compat.tools.docstrings import Part, describe
from caffe_compat.tools.families import TITLES, families, family
from caffe_compat.tools.layer_fields import FieldRow, field_rows
from caffe_compat.tools.support import Row, Verdict, support_row, support_rows

COMMAND = "python -m caffe_compat layers --write docs"
HEADER = f"<!-- Made by `{COMMAND}`; changes are made in the docstrings and in caffe_compat/tools. -->\n\n"
_MARKS = ("<!-- layers: made by `" + COMMAND + "` -->\n", "<!-- end of layers -->\n")

_TABLE_INTRO = """# Supported layers

Every layer type of BVLC Caffe and of the forks that are known has one row. **build**: a net with it is built and runs.
**train**: a net with it trains. **export**: it goes to ONNX. A type without a row is unknown: a net with it is refused
with near names, and [a class of your own](pytorch.md#a-layer-type-of-your-own) adds it.

`caffe-compat layers` prints this table, `caffe-compat layers NAME` the page of one type.
"""
_COLUMNS = ("type", "of", "file", "build", "train", "export", "differs from Caffe")
_NONE = 'Build, train and export are "no" for all of these, for the reason given.\n\n'


def pages() -> dict[str, str]:
    """File name in docs/ -> content, of all pages that are made as a whole."""
    made = {"layers.md": table_page()}
    for name, layers in families().items():
        made[f"layers/{name}.md"] = family_page(name, layers)
    return made


def write_pages(folder: Path, more: Mapping[str, str]) -> list[Path]:
    """Write ``pages()``, ``more`` pages, and the layers' part of deviations.md; the files that changed.

    Raises CaffeCompatError.
    """
    if not (folder / "index.md").is_file():
        raise CaffeCompatError(f"{folder} holds no index.md; give the project's docs folder")
    made = {folder / name: text for name, text in {**pages(), **more}.items()}
    deviations = folder / "deviations.md"
    made[deviations] = with_deviations(deviations.read_text("utf-8"))
    changed = [path for path, text in made.items() if not path.is_file() or path.read_text("utf-8") != text]
    for path in changed:
        path.parent.mkdir(exist_ok=True)
        with atomic_write(path, "w") as file:
            file.write(made[path])
    return changed


# ---- the table


def table_page() -> str:
    """docs/layers.md: layers with a class, then those without."""
    rows = [row for row in support_rows() if not row.build.ok or row.room.startswith("caffe_compat/")]
    built = [_table_row(row) for row in rows if row.build.ok]
    missing = [f"| `{row.type}` | {row.origin} | {row.build} |" for row in rows if not row.build.ok]
    text = HEADER + _TABLE_INTRO + f"\n## With a class ({len(built)})\n\n" + _table(_COLUMNS, built)
    if missing:
        text += f"\n## Without a class ({len(missing)})\n\n" + _NONE + _table(("type", "of", "verdict"), missing)
    return text


def _table(columns: Sequence[str], rows: Sequence[str]) -> str:
    return "\n".join([f"| {' | '.join(columns)} |", "| --- " * len(columns) + "|", *rows]) + "\n"


def _table_row(row: Row) -> str:
    link = f"[`{row.type}`](layers/{family(row.type)}.md#{row.type.lower()})"
    differs = inline(" ".join(row.deviations)).replace("|", "\\|")
    file = row.room.removeprefix("caffe_compat/layers/")
    verdicts = " | ".join(inline(str(verdict)) for verdict in (row.build, row.train, row.export))
    return f"| {link} | {row.origin} | {file} | {verdicts} | {differs} |"


# ---- one layer


def family_page(name: str, layers: list[type[Layer]]) -> str:
    """One page of docs/layers/."""
    return HEADER + f"# {TITLES[name]}\n\n" + "\n".join(section(cls) for cls in layers)


def section(cls: type[Layer]) -> str:
    """A layer's section: formula, description, fields, verdicts."""
    found, row = describe(cls), support_row(cls.type_name)
    summary = _fence("\n".join(found.formula_lines)) if found.is_formula else inline(found.summary) + "\n"
    body = "".join(_part(part, before) for part, before in zip(found.parts, [None, *found.parts], strict=False))
    verdicts = "".join(
        f"- **{name}**: {inline(str(verdict))}\n" for name, verdict in (("Trains", row.train), ("Exports", row.export))
    )
    return (
        f"## {cls.type_name}\n\n{summary}\n{body}\n{_fields(field_rows(cls))}"
        f"- **Takes**: {_count(cls.bottoms, 'bottom')}; makes {_count(cls.tops, 'top')}\n{verdicts}"
        f"- **File**: `{row.room}`; from {row.origin}\n"
    )


def _count(arity: object, word: str) -> str:
    text = str(arity).removeprefix("exactly ")
    if word in text:
        return text
    return f"no {word}" if text == "0" else f"{text} {word}{'' if text in ('1', 'at least 1') else 's'}"


def _part(part: Part, before: Part | None) -> str:
    """Labelled parts become a list, the others paragraphs."""
    gap = "\n" if before is not None and (before.kind != "label" or part.kind != "label") else ""
    if part.kind == "code":
        return gap + _fence(part.text, "python")
    if part.kind == "text":
        return f"{gap}{inline(part.text)}\n"
    text = part.text if part.text[:1] in (":", ",", ".", ";", "'", " ") else f": {part.text}"
    label = f"`{part.label}`" if part.label.endswith("_param") else part.label
    return f"{gap}- **{label}**{inline(text)}\n"


def _fields(rows: list[FieldRow]) -> str:
    if not rows:
        return "No fields.\n\n"
    blocks = dict.fromkeys(row.block for row in rows)
    text = ""
    for block in blocks:
        lines = [f"| `{row.name}` | {row.type} | {row.default} |" for row in rows if row.block == block]
        text += f"Fields of `{block}`:\n\n" + _table(("field", "type", "default"), lines) + "\n"
    return text


def _fence(text: str, language: str = "text") -> str:
    return f"```{language}\n{text}\n```\n"


def inline(text: str) -> str:
    """Docstring text as Markdown: ``code`` stays code, all other signs mean themselves."""
    parts = re.split(r"(``.+?``)", text)
    return "".join(f"`{part[2:-2]}`" if part.startswith("``") else _plain(part) for part in parts)


def _plain(text: str) -> str:
    """Escaped. mkdocs shows the backslash of an escaped "<", hence the entities."""
    escaped = re.sub(r"([\\*_\[\]#`])", r"\\\1", text)
    return escaped.replace("<", "&lt;").replace(">", "&gt;")


# ---- deviations


def with_deviations(text: str) -> str:
    """deviations.md with the list of the layers' deviations renewed. Raises CaffeCompatError without its marks."""
    begin, end = _MARKS
    head, opened, rest = text.partition(begin)
    _, closed, tail = rest.partition(end)
    if not opened or not closed:
        raise CaffeCompatError(f"deviations.md lacks the lines {begin.strip()} and {end.strip()}")
    lines = []
    for name, layers in families().items():
        for cls in layers:
            link = f"[{cls.type_name}](layers/{name}.md#{cls.type_name.lower()})"
            found = [part.text for part in describe(cls).parts if part.label == "Differs from Caffe"]
            lines += [f"- {link} differs from Caffe{inline(words)}\n" for words in found]
    return head + begin + "\n" + "".join(lines) + "\n" + end + tail


# ---- for a terminal


def table_text() -> str:
    """The table as columns."""
    rows = [("type", "build", "train", "export", "file"), *(
        (row.type, _short(row.build), _short(row.train), _short(row.export), row.room or str(row.build))
        for row in support_rows()
    )]  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)).rstrip() for row in rows
    )


def _short(verdict: Verdict) -> str:
    return "yes, but" if verdict.ok and verdict.note else "yes" if verdict.ok else "no"


def layer_text(name: str) -> str:
    """The page of one type, for a terminal. Raises NetError for a type that nobody knows."""
    row = support_row(name)
    verdicts = [f"build: {row.build}", f"train: {row.train}", f"export: {row.export}"]
    if name not in LAYERS:
        return "\n".join([f"{name} (of {row.origin})", "", *verdicts])
    rows = field_rows(LAYERS[name])
    width = max((len(f"{row.block}.{row.name}") for row in rows), default=0)
    fields = [f"{f'{r.block}.{r.name}':<{width}}  {r.type}, default {r.default}" for r in rows]
    doc = inspect.getdoc(LAYERS[name]) or ""
    return "\n".join([f"{name} ({row.room}, of {row.origin})", "", doc, "", *fields, *[""] * bool(fields), *verdicts])


def layer_markdown(name: str) -> str:
    """The same as Markdown."""
    return section(LAYERS[name]) if name in LAYERS else f"## {name}\n\n{layer_text(name)}\n"
