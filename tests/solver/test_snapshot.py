"""Snapshots: a continued run equals an undisturbed one, and every file that is none says what it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from caffe_compat.errors import SolverError
from caffe_compat.proto import pb, read_binary
from caffe_compat.solver import RULES, Solver
from tests.solver import killed
from tests.solver.making import NET, Run, make_experiment, parameters

MOMENTUM = {"AdaGrad": None, "RMSProp": None}


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", sorted(RULES))
@pytest.mark.parametrize("at", [3, 6])
def test_continued_run_is_bit_equal(tmp_path: Path, kind: str, at: int) -> None:
    """Weights, history, every displayed loss and every test: with augmentation, dropout and a moving average."""
    path = make_experiment(tmp_path, type=f'"{kind}"', momentum=MOMENTUM.get(kind, "0.9"))
    whole = Run(path)
    whole.solver.solve()
    continued = Run(path, snapshot=f"snap_iter_{at}.solverstate")
    assert continued.solver.iter == at
    continued.solver.solve()
    assert parameters(continued.solver) == parameters(whole.solver)
    kinds = ("train_loss", "train_output", "lr", "testing", "test_output", "loss")
    after = [row for row in whole.rows("train_loss", "lr", "testing") if row[1] >= at]
    assert continued.rows(*kinds)[-len(after) :] == whole.rows(*kinds)[-len(after) :]
    assert continued.rows("train_loss", "lr", "testing") == after


def test_a_training_on_the_cpu_leaves_gpus_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for its random generator, a GPU would be occupied; one that is busy or broken would end the training."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for name in ("get_rng_state", "set_rng_state", "_lazy_init"):
        monkeypatch.setattr(torch.cuda, name, None)
    path = make_experiment(tmp_path, max_iter=3)
    Run(path).solver.solve()
    state = read_binary("snap_iter_3.solverstate", "SolverState")
    state.resume.cuda_rng_state = b"of a run on a GPU"
    Path("snap_iter_3.solverstate").write_bytes(state.SerializeToString())
    assert Run(path, snapshot="snap_iter_3.solverstate").solver.iter == 3


def test_hdf5_snapshots_continue_bit_equal_too(tmp_path: Path) -> None:
    path = make_experiment(tmp_path, snapshot_format="HDF5", type='"Adam"')
    whole = Run(path)
    whole.solver.solve()
    assert whole.texts("snapshot_state")[0] == "Snapshotting solver state to HDF5 file snap_iter_3.solverstate.h5"
    continued = Run(path, snapshot="snap_iter_6.solverstate.h5")
    continued.solver.solve()
    assert parameters(continued.solver) == parameters(whole.solver)
    with pytest.raises(SolverError, match=r"is a \.caffemodel: it holds weights only"):
        continued.solver.restore("snap_iter_6.caffemodel.h5")


def test_what_an_lstm_remembers_goes_on(tmp_path: Path) -> None:
    """In the train net and in the test net, whose states differ; without them in the file they are zeros."""
    path = killed.make(tmp_path)
    whole = Run(path)
    whole.solver.step(6)
    before = [remembered(whole.solver, name) for name in ("h", "c")]
    assert before[0][0] != before[0][1]
    whole.solver.solve()
    continued = Run(path, snapshot="snap_iter_6.solverstate")
    assert [remembered(continued.solver, name) for name in ("h", "c")] == before
    continued.solver.solve()
    assert parameters(continued.solver) == parameters(whole.solver)
    state = read_binary("snap_iter_6.solverstate", "SolverState")
    del state.resume.memory[:]
    Path("older.solverstate").write_bytes(state.SerializeToString())
    continued.solver.restore("older.solverstate")
    assert continued.solver.net.layer("lstm").memory == {}


def remembered(solver: Solver, name: str) -> list[list[float]]:
    """A state of the LSTM, in the train net and in the test net."""
    return [net.layer("lstm").memory[name].flatten().tolist() for net in (solver.net, *solver.test_nets)]


def test_drawn_seed_is_restored(tmp_path: Path) -> None:
    """Without random_seed another process draws another seed; its data goes on as in the first all the same."""
    path = make_experiment(tmp_path, random_seed=None)
    whole = Run(path)
    assert "random_seed" in whole.texts("note")[0]
    whole.solver.solve()
    continued = Run(path)
    assert continued.solver.seed != whole.solver.seed
    continued.solver.restore("snap_iter_6.solverstate")
    continued.solver.solve()
    assert parameters(continued.solver) == parameters(whole.solver)
    assert continued.solver.seed == whole.solver.seed


def test_two_runs_are_bit_equal(tmp_path: Path) -> None:
    path = make_experiment(tmp_path)
    results = []
    for seed in (7, 7, 8):
        run = Run(path, seed=seed)
        run.solver.step(5)
        results.append(parameters(run.solver))
    assert results[0] == results[1] != results[2]


def test_a_state_is_what_caffe_reads(tmp_path: Path) -> None:
    """History in the order of the parameters, the statistics of BatchNorm among them (zeros)."""
    run = Run(make_experiment(tmp_path))
    run.solver.step(3)
    state = read_binary("snap_iter_3.solverstate", "SolverState")
    shapes = [tuple(entry.tensor.shape) for entry in run.solver.net.learnable]
    assert [tuple(blob.shape.dim) for blob in state.history] == shapes
    assert (state.iter, state.learned_net, state.current_step) == (3, "snap_iter_3.caffemodel", 0)
    assert [np.any(blob.data) for blob in state.history] == [True, True, False, False, False, True, True, True, True]
    assert len(state.resume.source) == 2


def test_a_state_of_caffe_starts_the_data_anew(tmp_path: Path) -> None:
    path = make_experiment(tmp_path)
    Run(path).solver.step(3)
    state = read_binary("snap_iter_3.solverstate", "SolverState")
    state.ClearField("resume")
    Path("caffe.solverstate").write_bytes(state.SerializeToString())
    run = Run(path, snapshot="caffe.solverstate")
    assert run.solver.iter == 3
    assert run.solver.net.sources["data"].position == 0


def test_weights_of_the_solver_file_and_of_the_caller(tmp_path: Path) -> None:
    """Later files win; a name is relative to the working directory, else to the solver's folder."""
    run = Run(make_experiment(tmp_path, display=0))
    run.solver.step(3)
    path = make_experiment(tmp_path, weights='"snap_iter_3.caffemodel"', random_seed=99)
    expected = run.solver.net.layer("fc").weight
    assert np.array_equal(Run(path).solver.net.layer("fc").weight.detach(), expected.detach())
    started = Run(path, weights="snap_iter_3.caffemodel,snap_iter_3.caffemodel")
    assert len(started.texts("loaded")) == 3
    assert "4 layer(s) loaded" in started.texts("loaded")[0]


def test_solving_what_is_solved(tmp_path: Path) -> None:
    """Nothing but the last look at losses and scores, as in Caffe."""
    path = make_experiment(tmp_path)
    Run(path).solver.solve()
    before = {file.name: file.read_bytes() for file in tmp_path.glob("snap*")}
    again = Run(path, snapshot="snap_iter_12.solverstate")
    again.solver.solve()
    assert again.rows("train_loss", "lr") == []
    assert "iteration 12 is reached and max_iter is 12: nothing is left to train" in again.texts("note")[-1]
    assert [row[:2] for row in again.rows("loss", "testing")] == [["loss", 12], ["testing", 12]]
    assert {file.name: file.read_bytes() for file in tmp_path.glob("snap*")} == before


def test_snapshot_in_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """learned_net is relative to the working directory, as in Caffe; a moved pair is found together."""
    path = make_experiment(tmp_path)
    Run(path).solver.step(3)
    (tmp_path / "moved").mkdir()
    for file in tmp_path.glob("snap_iter_3.*"):
        shutil.move(file, tmp_path / "moved")
    assert Run(path, snapshot="moved/snap_iter_3.solverstate").solver.iter == 3


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("snap_iter_3.caffemodel", r"is a \.caffemodel: it holds weights only, give it with --weights"),
        ("missing.solverstate", "cannot read the snapshot missing.solverstate: No such file"),
        ("cut.solverstate", r"cut\.solverstate \(\d+ bytes\) is truncated, damaged, or no solver state: at byte"),
        ("other.solverstate", "holds 2 history blobs, this solver of type SGD has 9"),
        ("shape.solverstate", r"history blob 0 has shape \[5\]"),
        ("alone.solverstate", "its weights gone.caffemodel are not there"),
        ("h5.solverstate", r"h5\.solverstate \(72 bytes\) is damaged, or no file of Caffe"),
        ("net.prototxt", "it is a text file"),
        ("empty.solverstate", r"it is empty \(0 bytes\)"),
    ],
)
def test_refused_states(tmp_path: Path, name: str, expected: str) -> None:
    run = Run(make_experiment(tmp_path))
    run.solver.step(3)
    before = parameters(run.solver)
    whole = Path("snap_iter_3.solverstate").read_bytes()
    Path("cut.solverstate").write_bytes(whole[: len(whole) * 2 // 3])
    Path("h5.solverstate").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))
    Path("empty.solverstate").write_bytes(b"")
    state = pb.SolverState.FromString(whole)
    state.learned_net = "gone.caffemodel"
    Path("alone.solverstate").write_bytes(state.SerializeToString())
    state.learned_net = "snap_iter_3.caffemodel"
    state.history[0].shape.dim[:] = [5]
    Path("shape.solverstate").write_bytes(state.SerializeToString())
    del state.history[2:]
    Path("other.solverstate").write_bytes(state.SerializeToString())
    with pytest.raises(SolverError, match=expected):
        run.solver.restore(name)
    assert parameters(run.solver) == before
    assert run.solver.iter == 3


def test_a_state_of_another_solver_type(tmp_path: Path) -> None:
    """Its history would have the right shapes, and another meaning: AdaGrad takes roots of what SGD has negative."""
    Run(make_experiment(tmp_path)).solver.step(3)
    run = Run(make_experiment(tmp_path, type='"AdaGrad"', momentum=None))
    before = parameters(run.solver)
    with pytest.raises(
        SolverError, match=r'by a solver of type SGD, this one is AdaGrad.* resume with type: "SGD", or'
    ):
        run.solver.restore("snap_iter_3.solverstate")
    assert parameters(run.solver) == before
    run = Run(make_experiment(tmp_path, type='"Nesterov"'), snapshot="snap_iter_3.solverstate")
    assert (
        "written by a solver of type SGD, this one is Nesterov: it goes on with SGD's history" in run.texts("note")[-1]
    )
    assert run.solver.iter == 3


def test_a_state_with_the_weights_of_another_net(tmp_path: Path) -> None:
    run = Run(make_experiment(tmp_path))
    run.solver.step(3)
    other = Run(make_experiment(tmp_path, NET.replace('"fc" type', '"ip" type')), snapshot="snap_iter_3.solverstate")
    assert "ignored (the net has no such layer): 'fc'" in other.texts("note")[-1]
    assert "left as they are (no file has such a layer): 'ip'" in other.texts("note")[-1]
    path = make_experiment(tmp_path, NET.replace("num_output: 4", "num_output: 5"))
    with pytest.raises(SolverError, match=r"history blob 0 has shape \[4, 1, 3, 3\] .* shape \[5, 1, 3, 3\]"):
        Run(path, snapshot="snap_iter_3.solverstate")


def test_every_truncation_is_told(tmp_path: Path) -> None:
    """Cut anywhere, a state is refused or (cut between two fields) lacks history: never read half."""
    run = Run(make_experiment(tmp_path))
    run.solver.step(3)
    whole = Path("snap_iter_3.solverstate").read_bytes()
    for length in range(0, len(whole), 37):
        Path("cut.solverstate").write_bytes(whole[:length])
        with pytest.raises(SolverError):
            run.solver.restore("cut.solverstate")


def test_missing_folder_is_told_before_the_training(tmp_path: Path) -> None:
    path = make_experiment(tmp_path, snapshot_prefix='"not/there/snap"')
    with pytest.raises(SolverError, match="there is no folder not/there; create it"):
        Run(path)
    path = make_experiment(tmp_path, snapshot_prefix='"not/there/snap"', snapshot=None)
    run = Run(path)
    with pytest.raises(SolverError, match="there is no folder not/there; create it"):
        run.solver.solve()
    assert run.solver.iter == 0
    path = make_experiment(tmp_path, snapshot_prefix='"net.prototxt/snap"')
    with pytest.raises(SolverError, match=r"net\.prototxt is a file, no folder; correct the prefix"):
        Run(path)


def test_prefix_that_is_a_folder_and_no_prefix(tmp_path: Path) -> None:
    """As in Caffe the solver's file gives the name."""
    (tmp_path / "out").mkdir()
    Run(make_experiment(tmp_path, snapshot_prefix='"out/"')).solver.step(3)
    assert (tmp_path / "out" / "solver_iter_3.solverstate").exists()
    Run(make_experiment(tmp_path, snapshot_prefix=None)).solver.step(3)
    assert (tmp_path / "solver_iter_3.caffemodel").exists()


def test_text_without_prefix_is_refused(tmp_path: Path) -> None:
    text = make_experiment(tmp_path, snapshot_prefix=None).read_text()
    with pytest.raises(SolverError, match="snapshot is given but not snapshot_prefix"):
        Run(text)
