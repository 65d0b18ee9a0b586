"""The support table, and how docstrings become pages."""

from __future__ import annotations

import argparse
import csv
import inspect
from pathlib import Path
from typing import Any

import pytest

from caffe_compat.cli import main
from caffe_compat.errors import CaffeCompatError, NetError
from caffe_compat.layers import LAYERS, Layer
from caffe_compat.tools import known_types
from caffe_compat.tools.command_page import command_page
from caffe_compat.tools.docstrings import describe
from caffe_compat.tools.families import TITLES, families
from caffe_compat.tools.layer_fields import field_rows
from caffe_compat.tools.layer_pages import inline, layer_text, pages, section, with_deviations, write_pages
from caffe_compat.tools.support import support_row, support_rows

OURS = sorted(name for name, cls in LAYERS.items() if cls.__module__.startswith("caffe_compat."))


class Example(Layer):
    """y = alpha * x,  z = x

    Of equal values the first counts. Bottom: x, any shape. Tops: y and z,
    ``alpha`` times x, and x.

    ``alpha`` (default 1). Refused: a negative alpha. Differs from torch: nothing.
    Differs from Caffe: NaN stays, *always*::

        Example(alpha=2)
    """

    def lower(self, g: Any, x: Any) -> Any:
        return g.op("Identity", x)


# ---- docstrings


def test_docstring_is_taken_apart() -> None:
    found = describe(Example)
    assert found.is_formula
    assert found.formula_lines == ["y = alpha * x", "z = x"]
    assert [(part.kind, part.label) for part in found.parts] == [
        ("text", ""), ("label", "Bottom"), ("label", "Tops"), ("label", "Parameters"), ("label", "Refused"),
        ("label", "Differs from torch"), ("label", "Differs from Caffe"), ("code", ""),
    ]  # fmt: skip
    assert found.parts[2].text == ": y and z, ``alpha`` times x, and x."
    assert found.labelled("Differs from Caffe") == ["NaN stays, *always*:"]


def test_markdown_signs_mean_themselves() -> None:
    assert inline("a_i * b[0] < ``x_y * 2``") == r"a\_i \* b\[0\] &lt; `x_y * 2`"


@pytest.mark.parametrize("name", OURS)
def test_no_word_of_a_docstring_is_lost(name: str) -> None:
    found = describe(LAYERS[name])
    kept = found.summary
    for part in found.parts:
        kept += part.text if part.text.startswith("``") else part.label + part.text
    squeeze = str.maketrans("", "", " \n:")
    assert kept.translate(squeeze) == (inspect.getdoc(LAYERS[name]) or "").translate(squeeze)


@pytest.mark.parametrize("name", OURS)
def test_docstring_has_labelled_bottoms_or_tops_and_no_stray_backtick(name: str) -> None:
    found = describe(LAYERS[name])
    labels = " ".join(part.label.lower() for part in found.parts)
    assert "top" in labels, "no sentence of the docstring begins with 'Top:' or 'Tops:'"
    assert all(part.text.count("``") % 2 == 0 for part in found.parts)


# ---- verdicts


def test_every_type_of_caffe_and_of_the_forks_has_one_row() -> None:
    types = [row.type for row in support_rows()]
    forks = [name for names in known_types.FORKS.values() for name in names]
    assert len(types) == len(set(types))
    assert len(forks) == len(set(forks))
    assert set(types) >= {*known_types.BVLC, *forks, *LAYERS}
    assert set(known_types.REASONS) <= set(forks)


def test_every_fork_type_of_the_corpus_has_a_row(shared: Path) -> None:
    with open(shared / "corpus" / "manifest.tsv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    found = {name for row in rows for name in (row["fork_types"] or "").split(",") if name}
    assert found <= {row.type for row in support_rows()}


def test_verdicts() -> None:
    assert str(support_row("ReLU").export) == "yes"
    assert str(support_row("Data").export).startswith("yes, but: becomes an input")
    assert str(support_row("Python").export) == "no: code of your own has no ONNX form"
    assert support_row("Threshold").train.note
    assert support_row("SMSoftmaxLoss").origin == "caffe_compat"


def test_a_type_without_a_class_says_why() -> None:
    missing = [row for row in support_rows() if row.type not in LAYERS]
    assert all(not row.build.ok and row.build.note for row in missing)
    assert "placeholder" in str(support_row("implicit").build)


def test_unknown_type_names_near_ones() -> None:
    with pytest.raises(NetError, match="unknown layer type 'Convolutoin'; did you mean Convolution"):
        support_row("Convolutoin")


# ---- pages


@pytest.mark.parametrize("name", OURS)
def test_section_tells_every_field_of_the_constructor(name: str) -> None:
    fields = {row.name for row in field_rows(LAYERS[name])}
    assert fields == set(inspect.signature(LAYERS[name]).parameters)
    assert all(f"| `{field}` |" in section(LAYERS[name]) for field in fields)


def test_every_layer_stands_on_one_page() -> None:
    placed = [cls.type_name for layers in families().values() for cls in layers]
    assert sorted(placed) == OURS
    assert set(families()) <= set(TITLES)


def test_pages_are_written_where_the_docs_are(tmp_path: Path) -> None:
    with pytest.raises(CaffeCompatError, match="no index"):
        write_pages(tmp_path, {})
    begin, end = "<!-- layers: made by `python -m caffe_compat layers --write docs` -->\n", "<!-- end of layers -->\n"
    (tmp_path / "index.md").write_text("#")
    (tmp_path / "deviations.md").write_text(f"before\n{begin}{end}after\n")
    assert {path.relative_to(tmp_path).as_posix() for path in write_pages(tmp_path, {})} == {*pages(), "deviations.md"}
    assert write_pages(tmp_path, {}) == []
    text = (tmp_path / "deviations.md").read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "- [Clip](layers/" in text
    with pytest.raises(CaffeCompatError, match="lacks the lines"):
        with_deviations("no marks")


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["layers"]) == 0
    assert "ReLU " in capsys.readouterr().out
    assert main(["layers", "--markdown"]) == 0
    assert capsys.readouterr().out == pages()["layers.md"]
    assert main(["layers", "ReLU"]) == 0
    assert capsys.readouterr().out.strip() == layer_text("ReLU").strip()
    assert main(["layers", "ReLU", "--markdown"]) == 0
    assert capsys.readouterr().out.startswith("## ReLU\n")
    assert main(["layers", "NoSuchLayer"]) == 1
    assert "unknown layer type" in capsys.readouterr().err


def test_command_page() -> None:
    parser = argparse.ArgumentParser("caffe-compat shine", add_help=False)
    parser.add_argument("net", help="the net")
    parser.add_argument("-level", "--level", default=3, metavar="N", help="a_b * c; default %(default)s")
    parser.add_argument("--how", choices=("a", "b"), help="one | other")
    parser.add_argument("--now", action="store_true", help="now")
    parser.add_argument("--now=true", action="store_true", help=argparse.SUPPRESS)
    text = command_page([("shine", "Shine on `a_b` and a_b.\n\n  caffe-compat shine x_y\n", parser)])
    assert text.split("## shine\n\n")[1] == (
        "Shine on `a_b` and a\\_b.\n\n```console\ncaffe-compat shine x_y\n```\n\n| option | |\n| --- | --- |\n"
        "| `NET` | the net |\n| `--level N` | a\\_b \\* c; default 3 |\n"
        "| `--how {a,b}` | one \\| other |\n| `--now` | now |\n"
    )
