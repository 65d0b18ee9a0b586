"""The documentation: generated pages are up to date, links lead somewhere, the code blocks run."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from caffe_compat.cli.layers import command_page
from caffe_compat.layers import LAYERS
from caffe_compat.tools.layer_pages import COMMAND, pages, with_deviations
from tests.docs.blocks import Block, blocks

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
WRITTEN = [page for page in PAGES if blocks(page)]


# ---- generated pages


@pytest.mark.parametrize("name", pages())
def test_generated_page_is_up_to_date(name: str) -> None:
    path = DOCS / name
    text = path.read_text("utf-8") if path.is_file() else ""
    assert text == pages()[name], f"renew it: {COMMAND}"


def test_commands_are_up_to_date() -> None:
    assert (DOCS / "commands.md").read_text("utf-8") == command_page(), f"renew it: {COMMAND}"


def test_deviations_are_up_to_date() -> None:
    text = (DOCS / "deviations.md").read_text("utf-8")
    assert with_deviations(text) == text, f"renew it: {COMMAND}"


def test_no_generated_page_is_left_over() -> None:
    found = {path.relative_to(DOCS).as_posix() for path in (DOCS / "layers").glob("*.md")}
    assert found == set(pages()) - {"layers.md"}


# ---- links


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if re.match(r"https?://", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name) if name else page
        assert path.is_file(), f"{target} leads nowhere"
        if anchor:
            assert anchor in anchors(path), f"{target}: {path.name} has no such heading"


def anchors(page: Path) -> set[str]:
    """The anchors that mkdocs gives the headings of a page."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8")
    for page in PAGES:
        assert f" {page.relative_to(DOCS).as_posix()}\n" in navigation, f"{page.name} is missing in mkdocs.yml"


# ---- code blocks


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with the project's prototxt folder; ``caffe-compat``, ``python`` are this interpreter's."""
    shutil.copytree(ROOT / "prototxt", tmp_path / "prototxt")
    programs = tmp_path / ".bin"
    programs.mkdir()
    for name, arguments in (("caffe-compat", "-m caffe_compat "), ("python", "")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments}"$@"\n')
        (programs / name).chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    known = dict(LAYERS)
    yield tmp_path
    for name in set(LAYERS) - set(known):
        del LAYERS[name]


@pytest.mark.skipif(os.name == "nt", reason="the console blocks are written for a Unix shell")
@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.stem)
def test_code_blocks_run(page: Path, folder: Path) -> None:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page):
        place = f"{page.name}:{block.line}"
        if block.mark == "file":
            (folder / block.title).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.title).write_text(block.text)
        elif block.language == "python":
            run_python(block, namespace, place)
        else:
            run_console(block, place)


def run_python(block: Block, namespace: dict[str, Any], place: str) -> None:
    """Runs in the page's namespace; ``run: same``: what it prints stands behind ``#> `` in the block."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block.text, place, "exec"), namespace)
    if block.mark == "run: same":
        shown = [line[3:] for line in block.text.splitlines() if line.startswith("#> ")]
        assert printed.getvalue().splitlines() == shown, place


def run_console(block: Block, place: str) -> None:
    for command, shown in block.commands():
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120)
        assert (done.returncode != 0) == (block.mark == "run: fails"), f"{place}: {command}\n{done.stdout}{done.stderr}"
        if block.mark in ("run: same", "run: fails"):
            printed = " ".join((done.stdout + done.stderr).split())
            pattern = ".*".join(re.escape(" ".join(part.split())) for part in shown.split(" ... "))
            assert re.fullmatch(pattern, printed), f"{place}: {command}\n{printed}"
