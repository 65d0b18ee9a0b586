"""What `caffe-compat train` writes to stderr, as programs read it that were made for Caffe's logs.

The patterns and fields are those of Caffe's tools/extra: parse_log.py, extract_seconds.py and parse_log.sh.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from caffe_compat.cli import main
from caffe_compat.tools.training_log import TrainingLog, read_log
from tests.solver.making import NET, make_experiment

GOLDEN = Path(__file__).parents[1] / "golden" / "data" / "files" / "train_log"
ITERATION = re.compile(r"Iteration (\d+)")
TRAIN_OUTPUT = re.compile(r"Train net output #(\d+): (\S+) = ([\.\deE+-]+)")
TEST_OUTPUT = re.compile(r"Test net output #(\d+): (\S+) = ([\.\deE+-]+)")
RATE = re.compile(r"lr = ([-+]?[0-9]*\.?[0-9]+([eE]?[-+]?[0-9]+)?)")
BAR = re.compile(rb"\r\[[#.]+\] [^\r\n]* left\x1b\[K")
CLEARED = b"\r\x1b[K"


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def train(log: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines that `train solver.prototxt 2> LOG` writes."""
    with open(log, "w") as file, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", file)
        assert main(["train", "--solver=solver.prototxt"]) == 0
    return log.read_text().splitlines()


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two test nets, a rate that falls, clipping, snapshots, an unknown field."""
    make_experiment(
        tmp_path, NET.replace("std: 0.1 }", "std: 0.1 } engine: CUDA "), test_iter="2\ntest_iter: 3",
        lr_policy='"multistep"', stepvalue="3\nstepvalue: 5", gamma=0.0001, clip_gradients=0.5,
        test_compute_loss="true", display=1,
    )  # fmt: skip
    return train(tmp_path / "run.log", monkeypatch)


def numbers(pattern: re.Pattern[str], lines: list[str]) -> list[tuple[float, ...]]:
    found = [match for match in map(pattern.search, lines) if match]
    return [
        tuple(float(group) for group in match.groups() if re.fullmatch(r"[\d.e+-]+", group or "")) for match in found
    ]


def test_the_patterns_of_parse_log_py(lines: list[str]) -> None:
    rates = [float(match[1]) for match in map(RATE.search, lines) if match]
    assert rates == [0.05] * 3 + [5e-06] * 2 + [5e-10] * 7
    assert [number for number, _ in numbers(TRAIN_OUTPUT, lines)] == [0] * 12
    assert [number for number, _ in numbers(TEST_OUTPUT, lines)] == [0, 1] * 8
    names = [match[2] for match in map(TEST_OUTPUT.search, lines) if match]
    assert names == ["accuracy", "loss"] * 8
    with_loss = [line for line in lines if ", loss = " in line]
    assert [int(match[1]) for match in map(ITERATION.search, with_loss) if match] == list(range(13))


def test_every_line_has_the_time_that_extract_seconds_py_reads(lines: list[str]) -> None:
    """It reads the time of every line after the first that says Solving, where parse_log.py begins."""
    assert all(re.match(r"[IW]\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ [a-z_]+\.(cpp|py):\d+\] ", line) for line in lines)
    starts = [line for line in lines if "Solving" in line]
    assert len(starts) == 1
    assert "] Solving small" in starts[0]
    assert lines.index(starts[0]) < lines.index(next(line for line in lines if "Iteration" in line))
    times = [line.split()[1] for line in lines]
    assert times == sorted(times), "unless midnight was in between"


def test_the_columns_of_parse_log_sh(lines: list[str]) -> None:
    """It cuts lines at spaces: the 11th is a test output's value, the 9th a rate."""
    outputs = [line.split() for line in lines if "Test net output #0" in line]
    assert [float(words[10]) for words in outputs] == [
        value for number, value in numbers(TEST_OUTPUT, lines) if not number
    ]
    rates = [line.split() for line in lines if ", lr = " in line]
    assert [float(words[8]) for words in rates][:4] == [0.05, 0.05, 0.05, 5e-06]
    testing = [match[1] for match in (re.search(r"Iteration (\d+), Testing net", line) for line in lines) if match]
    assert testing == ["0", "0", "4", "4", "8", "8", "12", "12"]


def events(lines: list[str]) -> list[list[Any]]:
    """The lines of a log as the rows of events.json."""
    patterns = {
        "testing": r"Iteration (\d+), Testing net \(#(\d+)\)",
        "train_loss": r"Iteration (\d+) \([\d.e+-]+ iter/s, [\d.e+-]+s/\d+ iters\), loss = (\S+)",
        "loss": r"Iteration (\d+), loss = (\S+)",
        "lr": r"Iteration (\d+), lr = (\S+)",
        "train_output": r"    Train net output #(\d+): (\S+) = (\S+) ?(.*)",
        "test_output": r"    Test net output #(\d+): (\S+) = (\S+) ?(.*)",
    }
    found = []
    for line in lines:
        text = line.split("] ", 1)[1]
        matches = ((kind, re.fullmatch(pattern, text)) for kind, pattern in patterns.items())
        found += [[kind, *map(value, match.groups())] for kind, match in matches if match]
    return found


def value(text: str) -> int | float | str:
    """A word of a log: a number if it is one."""
    if text.isdigit():
        return int(text)
    try:
        return float(text)
    except ValueError:
        return text


def test_the_log_of_caffe_line_by_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The golden training: our lines say what Caffe's said, and parse-log makes Caffe's numbers of them."""
    shutil.copytree(GOLDEN, tmp_path, dirs_exist_ok=True)
    ours = events(train(tmp_path / "run.log", monkeypatch))
    caffes = json.loads(Path("events.json").read_text())
    assert [words(row) for row in ours] == [words(row) for row in caffes]
    for mine, theirs in zip(ours, caffes, strict=True):
        assert figures(mine) == pytest.approx(figures(theirs), rel=1e-4, abs=1e-6)
    log = read_log("run.log")
    assert [row.iteration for row in log.train] == [row[1] for row in caffes if row[0] in ("train_loss", "loss")]
    losses = [row[2] for row in caffes if row[0] in ("train_loss", "loss")]
    assert [row.loss for row in log.train] == pytest.approx(losses, rel=1e-4)
    assert [row.rate for row in log.train[:5]] == [row[2] for row in caffes if row[0] == "lr"]
    scores = [row[3] for row in caffes if row[:3] == ["test_output", 1, "loss"]]
    assert [row.outputs["loss"] for row in log.test] == pytest.approx(scores, rel=1e-4)


NUMBER = re.compile(r"-?\d+\.?\d*(?:e[-+]?\d+)?")


def words(row: list[Any]) -> list[Any]:
    """An event without its numbers that are not whole."""
    return [row[0], *(NUMBER.sub("#", entry) for entry in row[1:] if isinstance(entry, str))]


def figures(row: list[Any]) -> list[float]:
    return [float(number) for entry in row[1:] for number in NUMBER.findall(str(entry))]


class Terminal:
    """A terminal: ``stream`` writes to it, ``seen`` is what was written, as `script` records it."""

    def __init__(self) -> None:
        self._outer, inner = os.openpty()
        self.stream = io.TextIOWrapper(os.fdopen(inner, "wb", 0), write_through=True)
        self.seen = b""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                part = os.read(self._outer, 4096)
            except OSError:  # closed at the other end
                return
            if not part:
                return
            self.seen += part

    def close(self) -> None:
        self.stream.close()
        self._reader.join()
        os.close(self._outer)


@contextmanager
def terminal() -> Iterator[Terminal]:
    opened = Terminal()
    try:
        yield opened
    finally:
        opened.close()


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no pseudo-terminals")
def test_a_recorded_terminal_with_its_progress_bar(
    tmp_path: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """parse-log reads it as it reads a file; without what draws the bar its lines are those of a file."""
    plain = read_log("run.log")
    with terminal() as shown, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", shown.stream)
        assert main(["train", "--solver=solver.prototxt"]) == 0
    (tmp_path / "typescript").write_bytes(shown.seen)
    recorded = read_log("typescript")
    assert tables(recorded) == tables(plain)
    assert BAR.search(shown.seen)
    bare = BAR.sub(b"", shown.seen).replace(CLEARED, b"").decode().splitlines()
    assert [text(line) for line in bare] == [text(line) for line in lines]


def tables(log: TrainingLog) -> list[tuple[int, float, float | None, dict[str, float]]]:
    return [(row.iteration, row.rate, row.loss, row.outputs) for row in (*log.train, *log.test)]


def text(line: str) -> str:
    """A line without its time and what depends on it."""
    match = re.fullmatch(r"([IW])\d{4} [\d:.]+ +\d+ (.*)", line)
    assert match, line
    return re.sub(r"\([\d.e+-]+ iter/s, [\d.e+-]+s/", "(", match[1] + match[2])
