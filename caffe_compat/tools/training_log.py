"""What a training's log tells: the rows of Caffe's parse_log.py, from our logs and from those of every Caffe.

Lines are found by their words, so it does not matter which version wrote them, which program put something before
them, or whether glog's prefix (time and place) is there at all.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from caffe_compat.errors import CaffeCompatError

_NUMBER = r"([-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+|nan|inf(?:inity)?))"
_PREFIX = re.compile(r"[IWEF](?:(\d{4})(?=\d{4} ))?(\d\d)(\d\d) +(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))? ")
_LOSS = re.compile(rf"Iteration (\d+)(?: \([^)]*\))?, loss = {_NUMBER}", re.I)
_RATE = re.compile(rf"Iteration (\d+)(?: \([^)]*\))?, lr = {_NUMBER}", re.I)
_TESTING = re.compile(r"(?:Iteration (\d+), )?Testing net(?: \(#(\d+)\))?")
_OUTPUT = re.compile(rf"(Train|Test) net output #(\d+): (\S.*?) = {_NUMBER}(.*)", re.I)
_SCORE = re.compile(rf"Test score #(\d+): {_NUMBER}", re.I)
_TEST_LOSS = re.compile(rf"Test loss: {_NUMBER}", re.I)


@dataclass
class Row:
    """One iteration's lines of one phase. ``loss``: the smoothed loss, or the test loss; None where none is told."""

    iteration: int
    seconds: float
    run: int
    rate: float = math.nan
    loss: float | None = None
    outputs: dict[str, float] = field(default_factory=dict)

    def cells(self) -> dict[str, float]:
        """The columns of parse_log.py."""
        known = {"NumIters": float(self.iteration), "Seconds": self.seconds, "LearningRate": self.rate}
        return {**known, **self.outputs}


@dataclass
class TrainingLog:
    """``train``, ``test``: rows in the order of the log. ``losses``: the outputs that are part of a loss."""

    name: str
    train: list[Row] = field(default_factory=list)
    test: list[Row] = field(default_factory=list)
    losses: set[str] = field(default_factory=set)


def read_log(path: str | os.PathLike[str]) -> TrainingLog:
    """Read a log file. Raises CaffeCompatError where it cannot be read, or is none of a training."""
    path = Path(path)
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            log = parse_log(file, path.name)
    except OSError as error:
        raise CaffeCompatError(f"cannot read the log {path}: {error.strerror}") from error
    if not log.train and not log.test:
        raise CaffeCompatError(
            f"{path} is no log of a training: no line says 'Iteration N, loss = X' or 'Testing net'; give what "
            "'caffe train' or 'caffe-compat train' wrote to stderr"
        )
    return log


def parse_log(lines: Iterable[str], name: str = "log") -> TrainingLog:
    """The rows in the lines of a log; of several runs in one log, all, one after the other."""
    reader = _Reader(TrainingLog(name))
    for line in lines:
        reader.line(line)
    for row in (*reader.log.train, *reader.log.test):
        row.rate = reader.rate(row)
    return reader.log


class _Reader:
    def __init__(self, log: TrainingLog) -> None:
        self.log = log
        self.rates: dict[tuple[int, int], float] = {}
        self.run = 0
        self.iteration = 0
        self.net = 0
        self.start: datetime | None = None
        self.now: datetime | None = None

    def line(self, line: str) -> None:
        self._clock(line)
        if match := _LOSS.search(line):
            self.iteration = int(match[1])
            self._row(self.log.train).loss = float(match[2])
        elif match := _RATE.search(line):
            self.rates[self.run, int(match[1])] = float(match[2])
        elif match := _OUTPUT.search(line):
            self._output(match)
        elif match := _TESTING.search(line):
            self.iteration = int(match[1] or self.iteration)
            self.net = int(match[2] or 0)
        elif match := _SCORE.search(line):
            self._put(self._row(self.log.test), f"score{match[1]}", float(match[2]))
        elif match := _TEST_LOSS.search(line):
            self._row(self.log.test).loss = float(match[1])
        elif re.search(r"\] Solving |^Solving ", line):
            self.start = self.now
            self.run += 1

    def rate(self, row: Row) -> float:
        """The rate told for the row's iteration; else the last one before it, else the first of its run."""
        if (row.run, row.iteration) in self.rates:
            return self.rates[row.run, row.iteration]
        told = sorted(iteration for run, iteration in self.rates if run == row.run)
        before = [iteration for iteration in told if iteration < row.iteration]
        return self.rates[row.run, (before or told[:1])[-1]] if told else math.nan

    def _clock(self, line: str) -> None:
        match = _PREFIX.search(line)
        if match is None:
            return
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
        if not year:  # glog tells none: it is the next one where the months begin anew
            last = self.now.year if self.now else 2000
            year = last + (self.now is not None and month < self.now.month)
        try:
            self.now = datetime(year, month, day, hour, minute, second, int((match[7] or "0").ljust(6, "0")))
        except ValueError:
            return
        self.start = self.start or self.now

    def _row(self, rows: list[Row]) -> Row:
        if not rows or (rows[-1].iteration, rows[-1].run) != (self.iteration, self.run):
            known = self.now is not None and self.start is not None
            seconds = (self.now - self.start).total_seconds() if known else math.nan  # type: ignore[operator]
            rows.append(Row(self.iteration, seconds, self.run))
        return rows[-1]

    def _output(self, match: re.Match[str]) -> None:
        training = match[1].lower() == "train"
        name = match[3] if training or not self.net else f"net{self.net}.{match[3]}"
        name = self._put(self._row(self.log.train if training else self.log.test), name, float(match[4]))
        if "(*" in match[5] or "loss" in name.lower():
            self.log.losses.add(name)

    def _put(self, row: Row, name: str, value: float) -> str:
        """Keep a value; one more of the same name (of an output of several values) gets a number."""
        unique, number = name, 0
        while unique in row.outputs:
            number += 1
            unique = f"{name}.{number}"
        row.outputs[unique] = value
        return unique
