"""A training that is killed (SIGKILL) at random moments: every file is whole, and the end is the same bit for bit.

``KILLS=100 pytest tests/solver/test_kill.py`` kills more often.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from caffe_compat.proto import pb
from tests.solver.making import NET, make_experiment

KILLS = int(os.environ.get("KILLS", "2"))
ROOT = Path(__file__).parents[2]
TRAIN = """
import sys, torch
torch.set_num_threads(1)
from pathlib import Path
from caffe_compat.solver import Solver
states = sorted(Path().glob("snap_iter_*.solverstate"), key=lambda path: int(path.stem.split("_")[-1]))
solver = Solver("solver.prototxt", snapshot=states[-1] if states else None, log=lambda event: None)
print("ready", flush=True)
solver.solve()
"""


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    """Snapshots of some hundred kilobytes after every other iteration: a good part of the time goes into them."""
    make_experiment(
        tmp_path,
        NET.replace("num_output: 4 ", "num_output: 400 "),
        snapshot=2,
        max_iter=60,
        test_interval=20,
        display=0,
    )
    return tmp_path


def start(folder: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", TRAIN]
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def check_files(folder: Path) -> None:
    """Every file that has its final name parses, and every state has its model."""
    for model in folder.glob("snap*.caffemodel"):
        layers = pb.NetParameter.FromString(model.read_bytes()).layer
        assert [len(layer.blobs) for layer in layers] == [0, 2, 3, 2, 0, 0, 2, 0], model
    for state in folder.glob("snap*.solverstate"):
        message = pb.SolverState.FromString(state.read_bytes())
        assert (folder / message.learned_net).exists(), state
        assert len(message.history) == 9, state


def test_killed_run_ends_as_an_undisturbed_one(experiment: Path) -> None:
    dice = random.Random(5)
    undisturbed = start(experiment)
    begin = time.perf_counter()
    assert undisturbed.wait() == 0
    seconds = time.perf_counter() - begin
    expected = {path.name: path.read_bytes() for path in experiment.glob("snap*")}
    for path in experiment.glob("snap*"):
        path.unlink()
    kills = 0
    while kills < KILLS:
        process = start(experiment)
        time.sleep(dice.uniform(0, seconds * 0.6))
        process.kill()
        kills += process.wait() != 0
        check_files(experiment)
        if kills < KILLS and (experiment / "snap_iter_60.solverstate").exists():
            for path in experiment.glob("snap*"):
                path.unlink()
    process = start(experiment)
    assert process.wait() == 0
    check_files(experiment)
    found = {path.name: path.read_bytes() for path in experiment.glob("snap*")}
    assert {name: found[name] for name in found if "_60." in name} == {
        name: expected[name] for name in expected if "_60." in name
    }
    assert not list(experiment.glob(".*.tmp")), "the next write of a name removes what a killed process left"
