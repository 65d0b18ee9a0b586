"""SIGINT and SIGHUP: the iteration is finished, then a snapshot, then perhaps the end."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from caffe_compat.errors import SolverError
from caffe_compat.solver.signals import Signals
from tests.solver.making import Run, make_experiment

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def killed_at(run: Run, number: int, iteration: int, kind: str = "lr", net: int | None = None) -> None:
    """Send a signal when the rate of an iteration is told, or the test of a net."""
    awaited = [kind, iteration] if net is None else [kind, iteration, net]
    listener = run.solver.log.listener

    def listen(event: object) -> None:
        listener(event)  # type: ignore[arg-type]
        if getattr(event, "row", None)[: len(awaited)] == awaited:  # type: ignore[index]
            os.kill(os.getpid(), number)

    run.solver.log.listener = listen


def test_sigint_stops_after_the_iteration_with_a_snapshot(tmp_path: Path) -> None:
    run = Run(make_experiment(tmp_path, snapshot=None))
    killed_at(run, signal.SIGINT, 4)
    run.solver.solve()
    assert run.solver.stopped
    assert run.solver.iter == 5
    assert (tmp_path / "snap_iter_5.solverstate").exists()
    assert run.events[-1].text == "Optimization stopped early."


def test_sighup_makes_a_snapshot_and_goes_on(tmp_path: Path) -> None:
    run = Run(make_experiment(tmp_path, snapshot=None))
    killed_at(run, signal.SIGHUP, 4)
    run.solver.solve()
    assert not run.solver.stopped
    assert run.solver.iter == 12
    assert sorted(path.name for path in tmp_path.glob("*.solverstate")) == [
        "snap_iter_12.solverstate", "snap_iter_5.solverstate",
    ]  # fmt: skip


def test_effects_can_be_chosen(tmp_path: Path) -> None:
    run = Run(make_experiment(tmp_path, snapshot=None, snapshot_after_train="false"))
    killed_at(run, signal.SIGHUP, 4)
    run.solver.solve(sighup_effect="none")
    assert run.solver.iter == 12
    assert not list(tmp_path.glob("*.solverstate"))
    with pytest.raises(SolverError, match="sigint_effect is 'halt'; accepted: stop, snapshot, none"):
        run.solver.solve(sigint_effect="halt")


@pytest.mark.parametrize(("number", "iteration"), [(signal.SIGINT, 4), (signal.SIGHUP, 4), (signal.SIGHUP, 12)])
def test_a_snapshot_during_a_test_goes_on_at_its_beginning(tmp_path: Path, number: int, iteration: int) -> None:
    """The first of two test nets has read on; the continued run tests both again, with the same batches."""
    changes = {"test_iter": "2\ntest_iter: 3", "snapshot": None, "snapshot_prefix": '"whole"', "max_iter": 16}
    whole = Run(make_experiment(tmp_path, **changes))
    whole.solver.solve()
    run = Run(make_experiment(tmp_path, **{**changes, "snapshot_prefix": None, "max_iter": max(iteration, 8)}))
    killed_at(run, number, iteration, "testing", 1)
    run.solver.solve()
    assert run.solver.stopped == (number == signal.SIGINT)
    path = make_experiment(tmp_path, **changes)
    continued = Run(path, snapshot=f"solver_iter_{iteration}.solverstate")
    continued.solver.solve()
    kinds = ("testing", "test_output", "train_loss", "train_output", "loss")
    assert continued.rows(*kinds) == whole.rows(*kinds)[-len(continued.rows(*kinds)) :]
    assert continued.rows("testing")[0] == ["testing", iteration, 0]


def test_an_action_that_always_asks_ends_too(tmp_path: Path) -> None:
    """It is asked once a pass: in the first test, before the first iteration."""
    run = Run(make_experiment(tmp_path, snapshot=None))
    run.solver.action = lambda: "stop"
    run.solver.step(5)
    assert (run.solver.iter, run.solver.stopped) == (0, True)
    run = Run(make_experiment(tmp_path, snapshot=None, test_initialization="false"))
    run.solver.action = lambda: "snapshot"
    run.solver.step(5)
    assert len(list(tmp_path.glob("snap_iter_*.solverstate"))) == 5
    run.solver.action = lambda: "halt"
    with pytest.raises(SolverError, match="action asks for 'halt'; accepted: None, 'snapshot', 'stop'"):
        run.solver.step(1)


def test_a_stop_during_a_test_of_a_callback_counts(tmp_path: Path) -> None:
    run = Run(make_experiment(tmp_path, snapshot=None, snapshot_after_train="false"))
    killed_at(run, signal.SIGINT, 4, "testing", 0)
    run.solver.callbacks.append(lambda solver: solver.iter == 4 and solver.test_all())
    run.solver.solve()
    assert (run.solver.iter, run.solver.stopped) == (4, True)


def test_handlers_are_restored_and_a_second_sigint_interrupts() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        assert signals.request() == "stop"
        assert signals.request() is None
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_install_nothing(tmp_path: Path) -> None:
    run = Run(make_experiment(tmp_path, max_iter=2, snapshot=None, snapshot_after_train="false"))
    thread = threading.Thread(target=run.solver.solve)
    thread.start()
    thread.join()
    assert run.solver.iter == 2
