"""What the system does to a command: full disks, pipes that close, Ctrl-C, odd names, folders that are read-only."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running import Folder

W = "--weights snap_iter_12.caffemodel"
COMMAND = [sys.executable, "-m", "caffe_compat"]
ROOT = str(Path(__file__).parents[2])
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")


def shell(line: str) -> tuple[int, str]:
    """Run a line in a shell, "caffe-compat" being ours; its status and stderr."""
    program = f"PYTHONPATH='{ROOT}' OMP_NUM_THREADS=1 '{sys.executable}' -m caffe_compat"
    done = subprocess.run(
        ["bash", "-c", "set -o pipefail; " + line.replace("caffe-compat", program)], capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr


# ---- a full disk


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every write that is to last fails."""

    def no_space(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("caffe_compat.files.os.fsync", no_space)


@pytest.mark.parametrize("command", [f"export net.prototxt {W} -o z.onnx", "deploy net.prototxt -o z.prototxt"])
@pytest.mark.usefixtures("full_disk")
def test_full_disk(folder: Folder, command: str) -> None:
    assert "No space left on device; the disk is full: free space there" in folder.refused(command)


@pytest.mark.usefixtures("full_disk")
@pytest.mark.parametrize("max_iter", [12, 11])
def test_snapshots_on_a_full_disk(folder: Folder, max_iter: int) -> None:
    """The training goes on, old files stay, and the last snapshot's failure is the command's."""
    folder.edit("solver.prototxt", "max_iter: 12", f"max_iter: {max_iter}")
    before = folder.files()
    result = folder.run("train solver.prototxt")
    assert result.status == 1
    assert "no snapshot at iteration 3: cannot write snap_iter_3.caffemodel" in result.err
    assert "Optimization Done." in result.err
    assert result.error.startswith(f"caffe-compat: error: cannot write snap_iter_{max_iter}.caffemodel: No space left")
    assert folder.files() == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system without a free byte; only root can make one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    options = ["-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if sys.platform != "linux" or subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
        pytest.skip("cannot mount a small disk here")
    try:
        (disk / "filled").write_bytes(bytes(64 * 1024))
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("command", [f"export net.prototxt {W} -o {{}}/z.onnx", "convert-mnist --tiny --out {}/m"])
def test_a_disk_that_is_full(folder: Folder, small_disk: Path, command: str) -> None:
    assert "the disk is full" in folder.refused(command.format(small_disk))
    assert os.listdir(small_disk) == ["filled"]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (f"export net.prototxt {W} -o {{}}/z.onnx", "the file system is read-only: write to another folder"),
        ("convert-mnist --tiny --out {}/new/m", "the file system is read-only"),
        ("train solver.prototxt", "snapshot_prefix .*cannot write into the folder .*Read-only file system"),
    ],
)
def test_a_read_only_disk(folder: Folder, small_disk: Path, command: str, expected: str) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    folder.edit("solver.prototxt", '"snap"', f'"{small_disk}/snap"')
    assert re.search(expected, folder.refused(command.format(small_disk)))


# ---- pipes


@linux
@pytest.mark.parametrize(
    ("line", "status", "expected"),
    [
        ("caffe-compat summary net.prototxt > /dev/full", 1, "cannot write the output: No space left on device"),
        ("caffe-compat deploy net.prototxt > /dev/full", 1, "cannot write the output: No space left on device"),
        ("caffe-compat test net.prototxt --iterations 2000 | head -1", 1, ""),
        ("caffe-compat summary net.prototxt <&- >&-", 0, ""),
        ("caffe-compat train solver.prototxt <&- >&- 2>&-", 0, ""),
    ],
)
def test_streams(folder: Folder, line: str, status: int, expected: str) -> None:
    found, told = shell(line)
    assert found == status
    assert "Traceback" not in told
    assert "Exception ignored" not in told
    assert expected in told


@linux
def test_ctrl_c_while_training_snapshots_and_stops(folder: Folder) -> None:
    folder.edit("solver.prototxt", "max_iter: 12", "max_iter: 10000000")
    folder.edit("solver.prototxt", "snapshot: 3", "snapshot: 0")
    process = start("train solver.prototxt")
    assert process.stderr is not None
    while "Iteration 4," not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=60)[1]
    assert process.returncode == 0
    assert "Optimization stopped early." in told
    assert "Traceback" not in told
    assert not [name for name in os.listdir() if name.endswith(".tmp")]


@linux
def test_ctrl_c_elsewhere(folder: Folder) -> None:
    process = start(f"test net.prototxt {W} --iterations 10000000")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert told.splitlines()[-1] == "caffe-compat: interrupted"
    assert "Traceback" not in told


def start(command: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": ROOT, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [*COMMAND, *command.split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    time.sleep(0.1)
    return process


# ---- names and places


@pytest.mark.parametrize("name", ["with space", "Ördner ☃", "a,b", "{net}", "colon:net", "-net", "a" * 100])
def test_odd_names(folder: Folder, name: str) -> None:
    """A folder of that name, with everything in it; also seen from another folder."""
    place = folder.path / name
    place.mkdir()
    for file in ("net.prototxt", "solver.prototxt", "db", "snap_iter_12.caffemodel"):
        (folder.path / file).rename(place / file)
    path = f"./{name}"
    assert folder.run(["summary", f"{path}/net.prototxt"]).status == 0
    assert folder.run(["train", f"{path}/solver.prototxt"]).status == 0
    weights = ["--weights", f"{path}/snap_iter_12.caffemodel"]
    assert folder.run(["export", f"{path}/net.prototxt", *weights, "-o", f"{path}/{name}.onnx"]).status == 0
    assert folder.run(["classify", f"{path}/{name}.onnx", "a.png"]).status == 0


def test_windows_line_ends(folder: Folder) -> None:
    for name in ("net.prototxt", "solver.prototxt"):
        path = folder.path / name
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert folder.run("train solver.prototxt").status == 0
    folder.edit("net.prototxt", '"Convolution"', '"Conv"')
    assert "net.prototxt:9:1: unknown layer type 'Conv'" in folder.refused("summary net.prototxt")


def test_no_iteration(folder: Folder) -> None:
    folder.edit("solver.prototxt", "max_iter: 12\n", "")
    result = folder.run("train solver.prototxt")
    assert result.status == 0
    assert "max_iter is not given" in result.err


# ---- what is no file on a disk


@linux
@pytest.mark.parametrize("source", [
    "<(cat net.prototxt)", "/dev/stdin <net.prototxt", "/dev/stdin < <(cat net.prototxt)",
])  # fmt: skip
def test_a_net_from_a_pipe(folder: Folder, source: str) -> None:
    status, err = shell(f"caffe-compat deploy -o out.prototxt {source}")
    assert (status, "error" in err) == (0, False), err
    assert "InnerProduct" in (folder.path / "out.prototxt").read_text()
