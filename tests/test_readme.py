"""The README says what is so: its table is the registry's, the files that it names exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from caffe_compat.cli import COMMANDS
from caffe_compat.tools.readme import readme_table

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()


def test_the_table_is_fresh() -> None:
    found = re.search(r"<!-- made by.*?-->\n(.*?)\n<!-- end -->", TEXT, re.S)
    assert found
    assert found[1] == readme_table(), "renew it: python -m caffe_compat.tools.readme"


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`?((?:docs|prototxt|benchmarks|tests)/[\w./-]+)", TEXT))))
def test_named_files_exist(name: str) -> None:
    assert (ROOT / name.rstrip(".")).exists()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"caffe-compat ([a-z][a-z-]*)", TEXT))))
def test_named_commands_exist(name: str) -> None:
    assert name in COMMANDS


def test_the_prototxts_are_those_of_their_generator() -> None:
    import runpy

    files = dict(runpy.run_path(str(ROOT / "prototxt" / "generate.py"))["files"]())
    stale = [name for name, text in files.items() if (ROOT / "prototxt" / name).read_text() != text]
    assert not stale, "renew them: python prototxt/generate.py"
