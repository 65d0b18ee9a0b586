"""Several processes that train together: equal to one whose iter_size is their number."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.solver import killed, ranks
from tests.solver.making import NET, Run, make_experiment, parameters

SURE = NET.replace('layer { name: "drop" type: "Dropout" bottom: "conv" top: "conv" }', "")
PLAIN = SURE.replace('layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }', "")
QUIET: dict[str, Any] = {"test_interval": None, "test_iter": None, "snapshot": None, "snapshot_after_train": "false"}
FIFTY = {"max_iter": 50, "display": 10, "snapshot": None, "test_interval": 25}
EXPERIMENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "SGD": (SURE, FIFTY),
    "Adam": (SURE, {**FIFTY, "type": '"Adam"', "base_lr": 0.005}),
    "Nesterov": (SURE, {**FIFTY, "type": '"Nesterov"'}),
    "iter_size": (PLAIN, {"iter_size": 2, "display": 0, **QUIET}),
    "resumed": (NET, {"snapshot": 5}),
    "remembering": (killed.NET, {"snapshot": 5}),
    "drawn": (NET, {"random_seed": None, "display": 0, **QUIET}),
    "asked": (NET, {"snapshot": None}),
    "half": (PLAIN, {"max_iter": 8, **QUIET}),
    "endless": (PLAIN, {"max_iter": 1000000, **QUIET, "display": 0}),
    "silent": (PLAIN, {"max_iter": 1000000, **QUIET, "display": 0}),
}
TWO = ["SGD", "Adam", "iter_size", "resumed", "remembering", "drawn", "asked", "half"]


def made(folder: Path, names: list[str]) -> Path:
    for name in names:
        (folder / name).mkdir()
        text, changes = EXPERIMENTS[name]
        if text is killed.NET:
            killed.make(folder / name, **changes)
        else:
            make_experiment(folder / name, text, **changes)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("ranks"), TWO)


@pytest.fixture(scope="module")
def two(folder: Path) -> dict[str, list[Any]]:
    """What two ranks did in the scenarios."""
    return ranks.results(folder, TWO)


def in_one(folder: Path, name: str, iter_size: int, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The same training in one process."""
    monkeypatch.chdir(folder / name)
    text, changes = EXPERIMENTS[name]
    changes = {**changes, "iter_size": iter_size, "snapshot_prefix": '"one"'}
    run = Run(make_experiment(Path(), text, **changes))
    run.solver.solve()
    return run


def check_same(many: dict[str, Any], one: Run) -> None:
    expected = parameters(one.solver)
    assert many["parameters"].keys() == expected.keys()
    for name, value in expected.items():
        if not name.startswith("bn."):
            found = np.frombuffer(bytes.fromhex(many["parameters"][name]), np.float32)
            np.testing.assert_allclose(found, np.frombuffer(value, np.float32), rtol=0, atol=1e-6, err_msg=name)


def check_curve(many: dict[str, Any], one: Run) -> None:
    found = {row[1]: row[2] for row in many["rows"]}
    assert len(found) == 5
    assert found == pytest.approx({row[1]: row[2] for row in one.rows("train_loss")}, rel=1e-6)


@pytest.mark.parametrize("solver", ["SGD", "Adam"])
def test_equal_to_one_process(
    solver: str, folder: Path, two: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """50 iterations to 1e-6: weights, history, the loss that is displayed. Without BatchNorm's statistics, which are
    those of rank 0's batches, as in Caffe."""
    one = in_one(folder, solver, 2, monkeypatch)
    first, second = two[solver]
    check_same(first, one)
    check_same(second, one)
    check_curve(first, one)
    assert second["events"] == 0
    assert first["parameters"]["bn.0"] != second["parameters"]["bn.0"]


@pytest.mark.slow
def test_three_equal_to_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = ranks.results(made(tmp_path, ["Nesterov"]), ["Nesterov"], 3)["Nesterov"]
    one = in_one(tmp_path, "Nesterov", 3, monkeypatch)
    check_same(many[0], one)
    check_curve(many[0], one)


def test_ranks_with_iter_size(folder: Path, two: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    one = in_one(folder, "iter_size", 4, monkeypatch)
    first, second = two["iter_size"]
    assert first["parameters"] == second["parameters"]
    check_same(first, one)
    assert first["position"] == second["position"] == one.solver.net.sources["data"].position == 48


@pytest.mark.parametrize("scenario", ["resumed", "remembering"])
def test_resumed_bit_for_bit(scenario: str, two: dict[str, list[Any]]) -> None:
    """With dropout and LSTM: generators and memories of both ranks are in the snapshot, too."""
    first = two[scenario][0]
    assert first["again"]["parameters"] == first["whole"]["parameters"]
    tail = [row for row in first["whole"]["rows"] if row[1] >= 6]
    assert first["again"]["rows"] == tail
    second = two[scenario][1]
    for name, value in second["whole"]["parameters"].items():
        if not name.startswith("bn."):
            assert second["again"]["parameters"][name] == value


def test_another_number_of_ranks_goes_on(
    folder: Path, two: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder / "resumed")
    alone = Run("solver.prototxt", snapshot="snap_iter_5.solverstate")
    assert alone.solver.net.sources["data"].position == 10
    alone.solver.step(1)


def test_a_drawn_seed_is_one_and_dropout_differs(two: dict[str, list[Any]]) -> None:
    first, second = two["drawn"]
    assert first["seed"] == second["seed"]
    assert first["before"] == second["before"]
    assert first["mask"] != second["mask"]
    assert first["after"] == second["after"] != first["before"]


def test_what_one_rank_asks_for_all_do(folder: Path, two: dict[str, list[Any]]) -> None:
    assert two["asked"] == [[4, True]] * 2
    assert [path.name for path in (folder / "asked").glob("*.solverstate")] == ["snap_iter_1.solverstate"]


def test_an_overflow_is_one_on_all_ranks(two: dict[str, list[Any]]) -> None:
    first, second = two["half"]
    assert first == second
    assert first[0][0] < 2.0**30


def ready(folder: Path, name: str, timeout: int) -> ranks.Processes:
    processes = ranks.start(made(folder, [name]), [name], timeout=timeout)
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    return processes


def test_a_rank_that_dies_ends_the_run_with_a_message(tmp_path: Path) -> None:
    processes = ready(tmp_path, "endless", 60)
    time.sleep(0.3)
    os.kill(processes[1].pid, signal.SIGKILL)
    status, _, err = ranks.ended(processes)[0]
    assert status == 1
    assert "SolverError: rank 0 of 2 lost the others at " in err
    assert "--snapshot auto continues the last snapshot" in err


@pytest.mark.slow
def test_a_rank_that_does_not_answer_ends_the_run(tmp_path: Path) -> None:
    status, _, err = ranks.ended(ranks.start(made(tmp_path, ["silent"]), ["silent"], timeout=10))[0]
    assert status == 1
    assert "rank 0 of 2 lost the others at " in err


def test_layer_wise_reduce_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for value in ("true", "false"):
        Run(make_experiment(tmp_path, layer_wise_reduce=value)).solver.step(1)
