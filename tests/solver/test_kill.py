"""A training that is killed (SIGKILL) at random moments: every file is whole, and the end is the same bit for bit.

``KILLS=100 pytest -s tests/solver/test_kill.py`` kills each training so often.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import time
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

import pytest

from caffe_compat.solver import RULES
from caffe_compat.solver.snapshot import read_state
from caffe_compat.weights.caffemodel import stored_layers
from tests.solver import killed

KILLS = int(os.environ.get("KILLS", "2"))
SUFFIX = {"BINARYPROTO": "", "HDF5": ".h5"}
LAST = 16
WITHOUT_MOMENTUM = ("AdaGrad", "RMSProp")

pytestmark = pytest.mark.skipif(os.name != "posix", reason="this system has no SIGKILL")


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Makes processes that need not import torch again: they are forked from one that has."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["caffe_compat.solver", "tests.solver.killed", "torch._dynamo", "h5py"])
    process = context.Process(target=int)
    process.start()
    process.join()  # by now torch is imported there
    return context


def start(processes: ForkServerContext, folder: Path) -> ForkServerProcess:
    process = processes.Process(target=killed.train, args=(folder,))
    process.start()
    return process


def finish(processes: ForkServerContext, folder: Path) -> list[Any]:
    """Train to the end; what was told."""
    process = start(processes, folder)
    process.join()
    assert process.exitcode == 0
    return [json.loads(line) for line in (folder / "told.jsonl").read_text().splitlines()]


def check_files(folder: Path, history: int) -> None:
    """Every file that has its final name is whole, and every state has its model."""
    for model in folder.glob("snap*.caffemodel*"):
        assert sum(len(layer.blobs) for layer in stored_layers(model)) == 14, model
    for path in folder.glob("snap*.solverstate*"):
        state = read_state(path)
        assert state.model.name == path.name.replace("solverstate", "caffemodel")
        assert len(state.history) == history, path


def contents(folder: Path, pattern: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob(pattern)}


@pytest.mark.parametrize("form", sorted(SUFFIX))
@pytest.mark.parametrize("kind", sorted(RULES))
def test_killed_run_ends_as_an_undisturbed_one(
    tmp_path: Path, processes: ForkServerContext, kind: str, form: str
) -> None:
    momentum = None if kind in WITHOUT_MOMENTUM else 0.9
    killed.make(tmp_path, type=f'"{kind}"', momentum=momentum, snapshot_format=form, snapshot=2, max_iter=LAST)
    history = 14 * RULES[kind].slots
    begin = time.perf_counter()
    told = finish(processes, tmp_path)
    seconds = time.perf_counter() - begin
    pattern = f"snap_iter_{LAST}.*"
    whole = contents(tmp_path, pattern)
    assert set(whole) == {f"snap_iter_{LAST}.{name}{SUFFIX[form]}" for name in ("caffemodel", "solverstate")}
    remove(tmp_path)
    dice, kills, halves = random.Random(f"{kind} {form}"), 0, 0
    for _ in range(KILLS):
        if contents(tmp_path, pattern):
            remove(tmp_path)
        before = contents(tmp_path, ".*.tmp").keys()
        process = start(processes, tmp_path)
        time.sleep(dice.uniform(0, seconds))
        if dice.random() < 0.5:
            wait_for_snapshot(process, tmp_path)
            time.sleep(dice.uniform(0, 0.002))
        process.kill()
        process.join()
        kills += process.exitcode != 0
        halves += bool(contents(tmp_path, ".*.tmp").keys() - before)
        check_files(tmp_path, history)
    after = finish(processes, tmp_path)
    assert contents(tmp_path, pattern) == whole
    assert after == told[-len(after) :]
    assert not list(tmp_path.glob(".snap*.tmp")), "the next write of a name removes what a killed process left"
    print(f"{kind} {form}: {kills} kills, {halves} of them while a snapshot was written")


def wait_for_snapshot(process: ForkServerProcess, folder: Path) -> None:
    """Until one is being written, or the training ends."""
    while process.is_alive() and not any(name.startswith(".snap") for name in os.listdir(folder)):
        time.sleep(0.0002)


def remove(folder: Path) -> None:
    for path in [*folder.glob("snap*"), *folder.glob(".snap*")]:
        path.unlink()
