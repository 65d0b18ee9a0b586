"""The command line on a small experiment: what it says, how it ends, what it leaves in the folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from caffe_compat.cli import main

PREFIX = "caffe-compat: error: "


@dataclass
class Result:
    """``status``: of the exit; ``out``, ``err``: what was printed; ``error``: the one message of an error."""

    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one message on stderr; the log of a training, and notes, may stand before it."""
        assert "Traceback" not in self.err + self.out
        assert self.err.count("error: ") == 1, self.err
        return self.err[self.err.index("caffe-compat") :].strip()


class Folder:
    """A copy of the experiment: a data base, net.prototxt, solver.prototxt, snapshots and net.onnx."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = path
        self.capsys = capsys

    def run(self, command: str | Sequence[str]) -> Result:
        """Run a command in this process, as a shell would."""
        self.capsys.readouterr()
        try:
            status = main(command.split() if isinstance(command, str) else command)
        except SystemExit as end:  # argparse
            status = int(end.code or 0)
        return Result(status, *self.capsys.readouterr())

    def refused(self, command: str | Sequence[str], status: int = 1) -> str:
        """Run a command that must fail with one message and change no file; the message."""
        before = self.files()
        result = self.run(command)
        assert result.status == status, result.err
        assert self.files() == before, "something was left behind"
        return result.error

    def files(self) -> dict[str, bytes]:
        """Every file and folder below, with its content."""
        found = sorted(self.path.rglob("*"))
        return {str(path.relative_to(self.path)): path.read_bytes() if path.is_file() else b"" for path in found}

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.path / name).read_text()
        assert old in text
        (self.path / name).write_text(text.replace(old, new))

    def cut(self, name: str, size: int) -> None:
        """Keep the first ``size`` bytes of a file (negative: leave out so many at the end)."""
        path = self.path / name
        path.write_bytes(path.read_bytes()[:size])

    def mean(self, side: int = 8) -> None:
        """A mean image, named in the TEST data layer."""
        import numpy as np

        from caffe_compat.weights.mean import write_mean

        write_mean(self.path / "m.binaryproto", np.ones((1, side, side), np.float32))
        old = "transform_param { crop_size: 6"
        self.edit("net.prototxt", old, old.replace("{", '{ mean_file: "m.binaryproto"'))


def copied(source: Path, target: Path) -> Path:
    return Path(shutil.copytree(source, target))
