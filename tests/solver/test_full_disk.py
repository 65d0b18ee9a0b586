"""A disk that fills up in the middle of a snapshot: old files stay, the message says so, the training goes on."""

from __future__ import annotations

import errno
import io
from pathlib import Path
from typing import Any

import pytest

from caffe_compat import files
from caffe_compat.errors import CaffeCompatError
from caffe_compat.solver import GlogPrinter, Solver
from tests.solver.making import NET, Run, make_experiment, parameters

WIDE = NET.replace("num_output: 4 ", "num_output: 100 ")


class Disk:
    """Room for ``left`` more bytes; what is written through ``open`` takes of it."""

    def __init__(self, left: float) -> None:
        self.left = left

    def open(self, path: Path, mode: str, encoding: str | None = None) -> Any:
        return io.BufferedRandom(File(self, path, mode))


class File(io.FileIO):
    def __init__(self, disk: Disk, path: Path, mode: str) -> None:
        super().__init__(path, mode.replace("b", ""))
        self.disk = disk

    def write(self, data: Any) -> int:
        length = memoryview(data).nbytes
        written = int(min(length, self.disk.left))
        if written < length and not written:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.disk.left -= written
        return super().write(memoryview(data).cast("B")[:written])


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def snapshots(folder: Path) -> dict[str, bytes]:
    """All files of snapshots, hidden ones too."""
    return {path.name: path.read_bytes() for path in folder.glob("*snap*")}


@pytest.mark.parametrize("form", ["BINARYPROTO", "HDF5"])
@pytest.mark.parametrize("share", [0, 0.3, 0.51, 0.99], ids=["none", "state", "model", "nearly"])
def test_the_next_snapshot_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, share: float) -> None:
    """The state is written first, then the model; the disk fills up in either."""
    path = make_experiment(tmp_path, WIDE, snapshot_format=form)
    run = Run(path)
    run.solver.step(3)
    before = snapshots(tmp_path)
    disk = Disk(share * sum(map(len, before.values())))
    with monkeypatch.context() as patch:
        patch.setattr(files, "open", disk.open, raising=False)
        run.solver.step(3)
    assert run.solver.iter == 6
    told = run.texts("note")[-1]
    assert told.startswith("no snapshot at iteration 6: cannot write snap_iter_6.")
    assert "No space left on device; the disk is full: free space there" in told
    assert told.endswith("; older snapshots stay, and the training goes on")
    assert snapshots(tmp_path) == before
    run.solver.step(3)
    (newest,) = tmp_path.glob("snap_iter_9.solverstate*")
    assert parameters(Run(path, snapshot=newest).solver) == parameters(run.solver)


@pytest.mark.parametrize("form", ["BINARYPROTO", "HDF5"])
def test_a_snapshot_of_the_same_name_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    path = make_experiment(tmp_path, WIDE, snapshot_format=form)
    Run(path).solver.step(3)
    before = snapshots(tmp_path)
    again = Run(path, seed=8)
    disk = Disk(0.9 * sum(map(len, before.values())))
    monkeypatch.setattr(files, "open", disk.open, raising=False)
    again.solver.step(3)
    assert "the disk is full" in again.texts("note")[-1]
    assert snapshots(tmp_path) == before


def test_a_log_on_the_full_disk(tmp_path: Path) -> None:
    """Its lines are lost, as with glog; a reader that has gone ends the training."""

    class Stream(io.StringIO):
        error: OSError = OSError(errno.ENOSPC, "No space left on device")

        def write(self, text: str) -> int:
            raise self.error

    solver = Solver(make_experiment(tmp_path, snapshot=None), log=GlogPrinter(Stream()))
    solver.step(3)
    assert solver.iter == 3
    Stream.error = BrokenPipeError(errno.EPIPE, "Broken pipe")
    with pytest.raises(BrokenPipeError):
        solver.step(3)


def test_a_last_snapshot_that_fails_is_an_error_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "open", Disk(100).open, raising=False)
    run = Run(make_experiment(tmp_path, snapshot=None))
    with pytest.raises(CaffeCompatError, match="the disk is full"):
        run.solver.solve()
    assert run.solver.iter == 12
    assert run.events[-1].kind == "done"
