"""What a training prints: Caffe's lines, which existing log parsers read."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from caffe_compat.solver import GlogPrinter, Solver
from caffe_compat.solver.log import Event, number
from tests.solver.making import NET, Run, make_experiment


def test_lines_and_their_order(tmp_path: Path) -> None:
    run = Run(make_experiment(tmp_path, max_iter=4, snapshot=None, snapshot_after_train="false"))
    run.solver.solve()
    expected = [
        r"Solving small",
        r"Learning Rate Policy: step",
        r"Iteration 0, Testing net \(#0\)",
        r"    Test net output #0: accuracy = [\d.]+",
        r"    Test net output #1: loss = [\d.]+ \(\* 1 = [\d.]+ loss\)",
        r"Iteration 0 \(0 iter/s, [\d.e-]+s/2 iters\), loss = [\d.]+",
        r"    Train net output #0: loss = [\d.]+ \(\* 1 = [\d.]+ loss\)",
        r"Iteration 0, lr = 0.05",
        r"Iteration 2 \([\d.]+ iter/s, [\d.e-]+s/2 iters\), loss = [\d.]+",
        r"    Train net output #0: loss = [\d.]+ \(\* 1 = [\d.]+ loss\)",
        r"Iteration 2, lr = 0.05",
        r"Iteration 4, loss = [\d.]+",
        r"Iteration 4, Testing net \(#0\)",
        r"    Test net output #0: accuracy = [\d.]+",
        r"    Test net output #1: loss = [\d.]+ \(\* 1 = [\d.]+ loss\)",
        r"Optimization Done.",
    ]
    texts = [event.text for event in run.events]
    assert len(texts) == len(expected)
    for text, pattern in zip(texts, expected, strict=True):
        assert re.fullmatch(pattern, text), text


def test_snapshot_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = Run(make_experiment(tmp_path))
    run.solver.step(3)
    assert run.texts("snapshot_model") == ["Snapshotting to binary proto file snap_iter_3.caffemodel"]
    assert run.texts("snapshot_state") == ["Snapshotting solver state to binary proto file snap_iter_3.solverstate"]
    run.solver.restore("snap_iter_3.solverstate")
    assert run.texts("restoring") == ["Restoring previous solver status from snap_iter_3.solverstate"]


def test_glog_form() -> None:
    stream = io.StringIO()
    GlogPrinter(stream)(Event("lr", (100, 0.01), "Iteration 100, lr = 0.01", "sgd_solver.cpp:112"))
    line = r"I\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ sgd_solver\.cpp:112\] Iteration 100, lr = 0\.01\n"
    assert re.fullmatch(line, stream.getvalue())


def test_stderr_is_the_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Solver(make_experiment(tmp_path, snapshot=None)).step(1)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert all(re.match(r"[IW]\d{4} ", line) for line in printed.err.splitlines())
    assert "Iteration 0, lr = 0.05" in printed.err


@pytest.mark.parametrize(
    ("value", "text"), [(0.05, "0.05"), (1e-05, "1e-05"), (123456789.0, "1.23457e+08"), (2.0, "2"), (1 / 3, "0.333333")]
)
def test_numbers_as_a_stream_prints_them(value: float, text: str) -> None:
    assert number(value) == text


def test_multistep_clip_and_test_loss(tmp_path: Path) -> None:
    policy = {"lr_policy": '"multistep"', "stepvalue": 2}
    run = Run(make_experiment(tmp_path, **policy, clip_gradients=0.01, test_compute_loss="true", snapshot=None))
    run.solver.step(3)
    assert run.texts("multistep") == ["MultiStep Status: Iteration 2, step = 1"]
    clipped = r"Gradient clipping: scaling down gradients \(L2 norm [\d.]+ > 0.01\) by scale factor [\d.e-]+"
    assert re.fullmatch(clipped, run.texts("clip")[0])
    assert re.fullmatch(r"Test loss: [\d.]+", run.texts("test_loss")[0])


def test_a_loss_that_is_not_finite_is_told_once_and_the_training_goes_on(tmp_path: Path) -> None:
    run = Run(make_experiment(tmp_path, base_lr="1e30", max_iter=9, snapshot=None, snapshot_after_train="false"))
    run.solver.solve()
    notes = [text for text in run.texts("note") if "the loss is" in text]
    assert len(notes) == 1
    assert "lower base_lr" in notes[0]
    assert run.solver.iter == 9


def test_unknown_fields_are_told(tmp_path: Path) -> None:
    run = Run(make_experiment(tmp_path, NET.replace("kernel_size: 3", "kernel_size: 3 dilution: 2"), weight_decy=0.1))
    told = " ".join(run.texts("note"))
    assert "dilution" in told
    assert "weight_decy" in told


def test_test_nets_continue_where_they_stopped(tmp_path: Path) -> None:
    """Two test nets, of which each reads on from test to test; test_initialization: false."""
    changes = {"test_iter": "2\ntest_iter: 3", "test_initialization": "false", "snapshot": None}
    run = Run(make_experiment(tmp_path, **changes))
    run.solver.step(9)
    assert run.rows("testing") == [["testing", 4, 0], ["testing", 4, 1], ["testing", 8, 0], ["testing", 8, 1]]
    assert [net.sources["data"].position for net in run.solver.test_nets] == [4, 6]


def test_test_nets_use_the_blobs_of_the_train_net(tmp_path: Path) -> None:
    run = Run(make_experiment(tmp_path, snapshot=None))
    train, (test,) = run.solver.net, run.solver.test_nets
    for node in train.nodes:
        for mine, theirs in zip(node.layer.blobs, test.layer(node.name).blobs, strict=True):
            assert mine.data_ptr() == theirs.data_ptr()
    scores = run.solver.test_all()
    assert sorted(scores[0]) == ["accuracy", "loss"]
