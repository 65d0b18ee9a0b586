"""Parametrises over the cases of the ``--golden`` folder, and prints the table at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden.cases import FINDERS, find, unknown_folders
from tests.golden.summary import lines, tally


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test marked ``golden("layer", "fuzz")`` runs once for each case that these finders find."""
    marker = metafunc.definition.get_closest_marker("golden")
    if marker:
        folder = golden_folder(metafunc.config)
        metafunc.parametrize("case", [case for finder in marker.args for case in find(folder, finder)], ids=str)


def golden_folder(config: pytest.Config) -> Path:
    folder: Path = config.getoption("--golden")
    if not folder.is_dir():
        raise pytest.UsageError(f"--golden {folder}: no such folder")
    if not any(find(folder, finder) for finder in FINDERS):
        raise pytest.UsageError(f"--golden {folder}: there is no case in it; give the folder of layer/, fuzz/, files/")
    return folder.resolve()  # the tests run in folders of their own


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every case runs in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    result = tally(terminalreporter.stats)
    if result.outcome:
        terminalreporter.section("golden values")
        for line in lines(result):
            terminalreporter.write_line(line)
        for name in unknown_folders(golden_folder(terminalreporter.config)):
            terminalreporter.write_line(f"no test knows what is in {name}")
