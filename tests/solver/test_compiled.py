"""--compile and --cuda-graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from caffe_compat.errors import SolverError
from tests.solver.making import NET, Run, make_experiment, parameters

QUIET = {"test_interval": None, "test_iter": None, "snapshot": None, "snapshot_after_train": "false"}
SURE = NET.replace('layer { name: "drop" type: "Dropout" bottom: "conv" top: "conv" }', "")
RECURRENT = """
layer { name: "x" type: "DummyData" top: "x" top: "cont" dummy_data_param {
  shape { dim: 2 dim: 3 dim: 4 } shape { dim: 2 dim: 3 } data_filler { type: "gaussian" } data_filler { value: 1 } } }
layer { name: "rnn" type: "RNN" bottom: "x" bottom: "cont" top: "y"
  recurrent_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "Power" bottom: "y" top: "loss" loss_weight: 1 power_param { power: 2 } }
"""


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """torch.compile traces as always, but leaves the code as it is: the C++ compiler takes a minute."""
    original, used = torch.compile, ["aot_eager"]

    def compiled(function: Any, **options: Any) -> Any:
        return original(function, backend=used[0], **options)

    monkeypatch.setattr(torch, "compile", compiled)
    torch._dynamo.reset()
    return used


def close(a: Run, b: Run) -> None:
    for mine, theirs in zip(a.solver.updater.params, b.solver.updater.params, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("iter_size", [1, 2])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_compiled_training_is_the_same(backend: list[str], iter_size: int, precision: str) -> None:
    path = make_experiment(Path(), SURE, iter_size=iter_size, **QUIET)
    plain, compiled = Run(path, precision=precision), Run(path, precision=precision, compile=True)
    for run in (plain, compiled):
        run.solver.step(6)
    assert compiled.texts("note") == plain.texts("note")
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] >= 1
    assert not torch._dynamo.utils.counters["graph_break"]
    losses = [[row[2] for row in run.rows("train_loss")] for run in (compiled, plain)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5 if precision == "fp32" else 0.02)
    if precision == "fp32":
        close(compiled, plain)
        assert [b.tolist() for b in compiled.solver.net.layer("bn").blobs] == [
            pytest.approx(b.tolist(), rel=1e-5) for b in plain.solver.net.layer("bn").blobs
        ]


def test_a_compiled_training_resumes_and_tests(backend: list[str]) -> None:
    whole = Run(make_experiment(Path(), SURE), compile=True)
    whole.solver.solve()
    resumed = Run("solver.prototxt", compile=True, snapshot="snap_iter_6.solverstate")
    resumed.solver.solve()
    assert parameters(resumed.solver) == parameters(whole.solver)
    assert whole.rows("test_output")


def test_a_layer_on_the_host_runs_uncompiled_with_one_note(backend: list[str]) -> None:
    path = make_experiment(Path(), RECURRENT, display=0, **QUIET)
    run = Run(path, compile=True)
    run.solver.step(2)
    assert run.texts("note") == [
        "the net runs without torch.compile: layer 'rnn' (RNN) carries its state from pass to pass"
    ]


def test_a_compiler_that_fails_is_told_once(backend: list[str]) -> None:
    """As where there is no C++ compiler; the iteration is done all the same."""

    def broken(graph: Any, inputs: Any) -> Any:
        raise OSError("no compiler here")

    torch._dynamo.register_backend(broken, "broken")
    backend[0] = "broken"
    path = make_experiment(Path(), SURE, **QUIET)
    plain, run = Run(path), Run(path, compile=True)
    for each in (plain, run):
        each.solver.step(3)
    (note,) = run.texts("note")
    assert note.startswith("the net runs without torch.compile, which failed: ")
    assert "no compiler here" in note
    close(run, plain)


def test_a_compiled_net_is_fed_and_looked_at(backend: list[str]) -> None:
    text = """
    layer { name: "x" type: "Input" top: "x" top: "y" input_param { shape { dim: 2 dim: 3 } shape { dim: 2 } } }
    layer { name: "fc" type: "InnerProduct" bottom: "x" top: "fc" inner_product_param { num_output: 3 } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "y" top: "loss" }"""
    run = Run(make_experiment(Path(), text, **QUIET), compile=True)
    run.solver.feed = lambda: {"x": torch.ones(2, 3), "y": torch.zeros(2)}
    run.solver.step(1)
    assert run.solver.net.blobs["loss"].shape == ()
    assert float(run.solver.net.loss.detach()) > 0


@pytest.mark.slow
def test_with_the_real_compiler() -> None:
    path = make_experiment(Path(), SURE, **QUIET)
    plain, compiled = Run(path), Run(path, compile=True)
    for run in (plain, compiled):
        run.solver.step(6)
    assert compiled.texts("note") == plain.texts("note")
    close(compiled, plain)


# ---- CUDA graphs


def test_cuda_graphs_need_a_gpu_and_layers_without_host_work() -> None:
    with pytest.raises(SolverError, match="no CUDA graph can be made of this net: the net is on the device cpu"):
        Run(make_experiment(Path(), SURE, **QUIET), cuda_graphs=True)
    with pytest.raises(SolverError, match=r"layer 'rnn' \(RNN\) carries its state"):
        Run(make_experiment(Path(), RECURRENT, **QUIET), cuda_graphs=True)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("iter_size", [1, 2])
def test_a_replayed_training_is_the_same(precision: str, iter_size: int) -> None:
    path = make_experiment(Path(), SURE, iter_size=iter_size, **QUIET)
    plain = Run(path, device="cuda", precision=precision)
    replayed = Run(path, device="cuda", precision=precision, cuda_graphs=True)
    for run in (plain, replayed):
        run.solver.step(8)
    losses = [[row[2] for row in run.rows("train_loss")] for run in (replayed, plain)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3 if precision == "fp32" else 0.05)


@pytest.mark.gpu
def test_a_compiled_net_in_a_graph_with_dropout() -> None:
    run = Run(make_experiment(Path(), **QUIET), device="cuda", precision="bf16", compile=True, cuda_graphs=True)
    run.solver.step(8)
    assert all(row[2] < 3 for row in run.rows("train_loss"))
