"""parse-log and plot-log: our own logs, and the lines of several Caffes."""

from __future__ import annotations

import csv
import json
import math
import sys
from pathlib import Path

import pytest

from caffe_compat.cli import main
from caffe_compat.errors import CaffeCompatError
from caffe_compat.solver.log import Event, GlogPrinter
from caffe_compat.tools.log_plot import plot_logs
from caffe_compat.tools.log_tables import as_csv
from caffe_compat.tools.training_log import parse_log, read_log

EVENTS = Path(__file__).parents[1] / "golden" / "data" / "files" / "train_log" / "events.json"
CAFFE_1 = """\
I1231 23:59:58.500000  4242 solver.cpp:289] Solving LeNet
I1231 23:59:58.600000  4242 solver.cpp:290] Learning Rate Policy: inv
I1231 23:59:58.700000  4242 solver.cpp:347] Iteration 0, Testing net (#0)
I1231 23:59:59.000000  4242 solver.cpp:414]     Test net output #0: accuracy = 0.0843
I1231 23:59:59.000000  4242 solver.cpp:414]     Test net output #1: loss = 2.36 (* 1 = 2.36 loss)
I0101 00:00:00.500000  4242 solver.cpp:239] Iteration 0 (-4.2e-45 iter/s, 0.0312s/100 iters), loss = 2.4
I0101 00:00:00.500000  4242 solver.cpp:258]     Train net output #0: loss = 2.5 (* 1 = 2.5 loss)
I0101 00:00:00.500000  4242 sgd_solver.cpp:112] Iteration 0, lr = 0.01
I0101 00:00:08.500000  4242 solver.cpp:239] Iteration 100 (12.5 iter/s, 8s/100 iters), loss = 0.3
I0101 00:00:08.500000  4242 solver.cpp:258]     Train net output #0: loss = nan (* 1 = nan loss)
I0101 00:00:08.500000  4242 sgd_solver.cpp:112] Iteration 100, lr = 5e-05
I0101 00:00:09.500000  4242 solver.cpp:347] Iteration 150, Testing net (#0)
I0101 00:00:09.600000  4242 solver.cpp:414]     Test net output #0: accuracy = 0.9
I0101 00:00:09.600000  4242 solver.cpp:347] Iteration 150, Testing net (#1)
I0101 00:00:09.700000  4242 solver.cpp:414]     Test net output #0: accuracy = 0.8
I0101 00:00:09.700000  4242 solver.cpp:414]     Test net output #1: accuracy = 0.7
I0101 00:00:09.800000  4242 solver.cpp:332] Optimization Done.
"""
CAFFE_2013 = """\
I1203 solver.cpp:204] Iteration 100, lr = 0.00992565
I1203 solver.cpp:66] Iteration 100, loss = 0.26044
I1203 solver.cpp:84] Testing net
I1203 solver.cpp:111] Test score #0: 0.9897
I1203 solver.cpp:111] Test score #1: 0.0324599
"""
NEW_GLOG = """\
2026-11-24T10:00:00Z worker I20261124 10:00:00.000001 77 solver.cpp:293] Solving net
2026-11-24T10:00:02Z worker I20261124 10:00:02.000001 77 solver.cpp:239] Iteration 20 (10 iter/s, 2s/20 iter), loss = 1
"""


def test_the_lines_of_caffe_1() -> None:
    log = parse_log(CAFFE_1.splitlines())
    assert [(row.iteration, row.rate, row.loss) for row in log.train] == [(0, 0.01, 2.4), (100, 5e-05, 0.3)]
    assert [row.seconds for row in log.train] == [2.0, 10.0], "over the end of a year"
    assert math.isnan(log.train[1].outputs["loss"])
    assert log.test[0].cells() == {
        "NumIters": 0,
        "Seconds": 0.5,
        "LearningRate": 0.01,
        "accuracy": 0.0843,
        "loss": 2.36,
    }
    assert log.test[1].outputs == {"accuracy": 0.9, "net1.accuracy": 0.8, "net1.accuracy.1": 0.7}
    assert log.test[1].rate == 5e-05
    assert log.losses == {"loss"}


def test_the_lines_of_2013() -> None:
    log = parse_log(CAFFE_2013.splitlines())
    assert [(row.iteration, row.rate, row.loss) for row in log.train] == [(100, 0.00992565, 0.26044)]
    assert [(row.iteration, row.outputs) for row in log.test] == [(100, {"score0": 0.9897, "score1": 0.0324599})]
    assert math.isnan(log.train[0].seconds)
    assert as_csv(log.train) == "NumIters,Seconds,LearningRate,loss\n100.0,nan,0.00992565,0.26044\n"


def test_a_year_in_the_prefix_and_words_before_it() -> None:
    assert [(row.iteration, row.seconds) for row in parse_log(NEW_GLOG.splitlines()).train] == [(20, 2.0)]


def test_a_run_that_goes_on_after_a_kill_repeats_iterations() -> None:
    log = parse_log((CAFFE_1 + CAFFE_1.replace("lr = 0.01", "lr = 0.02")).splitlines())
    assert [(row.iteration, row.rate) for row in log.train] == [(0, 0.01), (100, 5e-05), (0, 0.02), (100, 5e-05)]


def events() -> list[Event]:
    """Caffe's own events, with the lines that we print for them (tests/solver/test_log.py holds these to Caffe's)."""
    texts = {
        "testing": "Iteration {0}, Testing net (#{1})",
        "train_loss": "Iteration {0} (7 iter/s, 1s/2 iters), loss = {1}",
        "lr": "Iteration {0}, lr = {1}",
        "test_output": "    Test net output #{0}: {1} = {2} {3}",
        "train_output": "    Train net output #{0}: {1} = {2} {3}",
        "loss": "Iteration {0}, loss = {1}",
    }
    rows = json.loads(EVENTS.read_text())
    return [Event(kind, tuple(values), texts[kind].format(*values).rstrip(), "solver.cpp:1") for kind, *values in rows]


def test_caffes_events_become_caffes_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open(tmp_path / "run.log", "w") as file:
        printer = GlogPrinter(file)
        for event in events():
            printer(event)
    assert main(["parse_log.py", str(tmp_path / "run.log"), str(tmp_path)]) == 0
    assert "run.log.train: 5 rows" in capsys.readouterr().out
    with open(tmp_path / "run.log.train") as file:
        train = list(csv.DictReader(file))
    assert list(train[0]) == ["NumIters", "Seconds", "LearningRate", "loss"]
    assert [float(row["NumIters"]) for row in train] == [0, 2, 4, 6, 8]
    assert [float(row["LearningRate"]) for row in train] == [0.3, 0.261659, 0.233091, 0.210878, 0.193049]
    assert float(train[4]["loss"]) == 1.34071
    assert (tmp_path / "run.log.test").read_text().splitlines()[0] == "NumIters,Seconds,LearningRate,acc,loss"


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.log").write_text(CAFFE_1)
    assert main(["parse-log", str(tmp_path / "a.log"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["train"][1] == {"NumIters": 100, "Seconds": 10.0, "LearningRate": 5e-05, "loss": None, "Loss": 0.3}
    assert not (tmp_path / "a.log.train").exists()


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("hello")
    with pytest.raises(CaffeCompatError, match="is no log of a training: no line says 'Iteration N, loss = X'"):
        read_log(tmp_path / "x")
    with pytest.raises(CaffeCompatError, match="cannot read the log"):
        read_log(tmp_path / "y")


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_plot(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib")
    (tmp_path / "a.log").write_text(CAFFE_1)
    out = tmp_path / f"curves.{suffix}"
    assert main(["plot_training_log.py", str(tmp_path / "a.log"), str(tmp_path / "a.log"), "-o", str(out)]) == 0
    assert out.stat().st_size > 5000


def test_plot_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(CaffeCompatError, match=r"need matplotlib.*pip install 'caffe-compat\[plot\]'"):
        plot_logs([parse_log(CAFFE_1.splitlines())], tmp_path / "a.png")
    with pytest.raises(CaffeCompatError, match=r"accepted: \.png, \.svg"):
        plot_logs([parse_log(CAFFE_1.splitlines())], tmp_path / "a.gif")


def test_plot_with_the_arguments_of_caffes_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    Path("a.log").write_text(CAFFE_1)
    assert main(["plot_training_log.py", "6", "loss.png", "a.log"]) == 0
    assert capsys.readouterr().out == "loss.png\n"
    assert Path("loss.png").read_bytes().startswith(b"\x89PNG")
    assert main(["plot-log", "a.log"]) == 0
    assert Path("a.log.png").exists()
