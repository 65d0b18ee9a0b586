"""Processes that train together: started by us or by torchrun, and through the command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from caffe_compat.cli import main
from caffe_compat.errors import CaffeCompatError
from caffe_compat.tools import launch
from tests.solver.making import make_experiment

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def program(text: str) -> list[str]:
    return [sys.executable, "-c", f"import os, sys, time, pathlib\nrank = os.environ['RANK']\n{text}"]


def test_each_rank_learns_who_it_is() -> None:
    names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR")
    text = f"pathlib.Path(rank).write_text(' '.join(os.environ[name] for name in {names}))"
    assert launch.start_ranks(program(text), 3) == 0
    assert [Path(str(rank)).read_text() for rank in range(3)] == [f"{rank} {rank} 3 3 127.0.0.1" for rank in range(3)]


@pytest.mark.parametrize(("end", "told"), [("sys.exit(3)", "exit status 3"), ("os.kill(os.getpid(), 9)", "signal 9")])
def test_a_rank_that_fails_ends_the_others(end: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "_GRACE", 0.5)
    start = time.monotonic()
    with pytest.raises(CaffeCompatError, match=f"rank 1 of 2 ended with {told}, and so the run"):
        launch.start_ranks(program(f"{end} if rank == '1' else time.sleep(60)"), 2)
    assert time.monotonic() - start < 20


def test_signals_go_to_rank_0_once() -> None:
    text = """
import signal
seen = []
signal.signal(signal.SIGINT, lambda *_: seen.append(1))
pathlib.Path('ready' + rank).touch()
end = time.monotonic() + 30
while rank == '0' and not seen and time.monotonic() < end: time.sleep(0.01)
time.sleep(0.3)
pathlib.Path('seen' + rank).write_text(str(len(seen)))
"""

    def interrupt() -> None:
        while not Path("ready0").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    assert launch.start_ranks(program(text), 2) == 0
    thread.join()
    assert [Path(f"seen{rank}").read_text() for rank in range(2)] == ["1", "0"]


def test_devices_of_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert launch.own_device(["cuda:3", "cuda:5"]) == "cuda:3"
    for name, value in (("RANK", "3"), ("WORLD_SIZE", "4"), ("LOCAL_RANK", "1"), ("LOCAL_WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    assert launch.own_device(["cpu"]) == "cpu"
    assert launch.own_device(["cuda:3", "cuda:5"]) == "cuda:5"
    with pytest.raises(CaffeCompatError, match=r"--gpu names 1 GPU\(s\) for 2 processes on this machine; accepted"):
        launch.own_device(["cuda:3"])


@pytest.mark.parametrize("gpu", ["0,1", "all"])
def test_gpus_that_are_missing(gpu: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    make_experiment(Path())
    assert main(["train", "solver.prototxt", "--gpu", gpu]) == 1
    assert f"--gpu {gpu}: no GPU was found" in capsys.readouterr().err


def test_several_gpus_start_as_many_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caffe_compat.tools.devices.gpu_ids", lambda wanted: [0, 1])
    started: list[tuple[list[str], int]] = []

    def start(command: list[str], count: int) -> int:
        started.append((command, count))
        return 0

    monkeypatch.setattr(launch, "start_ranks", start)
    make_experiment(Path())
    assert main(["train", "-solver", "solver.prototxt", "-gpu", "all"]) == 0
    command = [sys.executable, "-m", "caffe_compat", "train", "-solver", "solver.prototxt", "-gpu", "all"]
    assert started == [(command, 2)]


def test_torchrun_on_the_cpu() -> None:
    """One log, one series of snapshots."""
    make_experiment(Path(), max_iter=6)
    command = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "caffe_compat", "train", "solver.prototxt"]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Optimization Done.") == 1
    assert done.stderr.count("Iteration 4, loss = ") + done.stderr.count("Iteration 4 (") == 1
    assert sorted(path.name for path in Path().glob("*.solverstate")) == [
        "snap_iter_3.solverstate", "snap_iter_6.solverstate",
    ]  # fmt: skip
