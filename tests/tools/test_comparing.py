"""compare: where two runs part."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from caffe_compat.cli import main
from caffe_compat.errors import CaffeCompatError
from caffe_compat.tools.comparing import compare, snapshots

LOG = """\
I1124 08:00:00.0 1 solver.cpp:293] Solving net
I1124 08:00:01.0 1 solver.cpp:351] Iteration 0, Testing net (#0)
I1124 08:00:01.0 1 solver.cpp:418]     Test net output #0: accuracy = 0.1
I1124 08:00:02.0 1 solver.cpp:239] Iteration 0 (1 iter/s, 1s/5 iters), loss = 2.5
I1124 08:00:02.0 1 sgd_solver.cpp:112] Iteration 0, lr = 0.01
I1124 08:00:03.0 1 solver.cpp:239] Iteration 5 (1 iter/s, 1s/5 iters), loss = 2
I1124 08:00:03.0 1 sgd_solver.cpp:112] Iteration 5, lr = 0.01
I1124 08:00:04.0 1 solver.cpp:239] Iteration 10 (1 iter/s, 1s/5 iters), loss = 1
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def logs(change: tuple[str, str]) -> tuple[str, str]:
    Path("a.log").write_text(LOG)
    Path("b.log").write_text(LOG.replace(*change))
    return "a.log", "b.log"


def test_logs_part_at_the_first_iteration_beyond_the_tolerance(capsys: pytest.CaptureFixture[str]) -> None:
    paths = logs(("loss = 2\n", "loss = 2.0002\n"))
    found = compare(*paths, 1e-5)
    assert (found.parted, found.iteration) == (True, 5)
    rows = {row.name: row for row in found.rows}
    assert rows["smoothed loss"].values == (2.0, 2.0002)
    assert rows["smoothed loss"].error == pytest.approx(1e-4, rel=1e-3)
    assert rows["learning rate"].error == rows["test accuracy"].error == 0
    assert main(["compare", *paths]) == 1
    assert "they part at iteration 5" in capsys.readouterr().out
    assert main(["compare", *paths, "--tolerance", "1e-3"]) == 0
    assert "they agree" in capsys.readouterr().out


def test_equal_logs_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *logs(("", "")), "--tolerance", "0"]) == 0
    assert "they are equal (3 quantities at 3 iterations (0 to 10))" in capsys.readouterr().out
    assert main(["compare", *logs(("loss = 1\n", "loss = nan\n")), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["iteration"], found["kind"]) == (10, "logs")
    assert {row["name"]: row["error"] for row in found["rows"]}["smoothed loss"] is None


def test_times_and_missing_iterations_do_not_count() -> None:
    found = compare(*logs(("08:00:04", "09:00:04")), 0)
    assert not found.parted
    Path("b.log").write_text("".join(LOG.splitlines(keepends=True)[:5]))
    assert not compare("a.log", "b.log", 0).parted, "a shorter run agrees as far as it goes"


def arrays(path: str, **change: float) -> None:
    weights = np.arange(6, dtype=np.float32).reshape(2, 3)
    blobs = {"conv.weight": weights + change.get("conv", 0), "fc.bias": np.ones(2, np.float32) * change.get("fc", 1)}
    np.savez(path, **blobs)


def test_weights_blob_by_blob(capsys: pytest.CaptureFixture[str]) -> None:
    arrays("a.npz")
    arrays("b.npz", fc=1.25)
    found = {row.name: row.error for row in compare("a.npz", "b.npz", 1e-5).rows}
    assert found == {"conv.weight": 0.0, "fc.bias": pytest.approx(0.2)}
    assert main(["compare", "a.npz", "b.npz"]) == 1
    out = capsys.readouterr().out
    assert "equal" in out
    assert "they differ: 1 of 2 blobs beyond the tolerance" in out
    np.savez("c.npz", **{"fc.bias": np.ones(3, np.float32), "new": np.ones(1, np.float32)})
    found_too = compare("a.npz", "c.npz", 1)
    assert found_too.parted
    assert found_too.only == (["conv.weight"], ["new"])


def series(prefix: str, values: dict[int, float]) -> None:
    from caffe_compat.api import load_net
    from caffe_compat.weights import save_caffemodel

    net = load_net('layer { name: "p" type: "Parameter" top: "p" parameter_param { shape { dim: 3 } } }\n')
    for iteration, value in values.items():
        net.layer("p").blobs[0].data.fill_(value)
        save_caffemodel(net, f"{prefix}_iter_{iteration}.caffemodel")


def test_snapshots_part(capsys: pytest.CaptureFixture[str]) -> None:
    series("a", {9: 1, 10: 2, 20: 3, 30: 4})
    Path("other").mkdir()
    series("other/b", {10: 2, 20: 3.3, 30: 5})
    assert list(snapshots("a")) == [9, 10, 20, 30]
    assert main(["compare", "a", "other"]) == 1
    assert "they part at iteration 20 (1 blobs at 3 iterations (10 to 30)" in capsys.readouterr().out
    assert not compare("a", "other/b", 0.3).parted


def test_refusals() -> None:
    logs(("", ""))
    arrays("a.npz")
    with pytest.raises(CaffeCompatError, match=r"a\.log is a log, and a\.npz weights; compare two of one kind"):
        compare("a.log", "a.npz", 0)
    with pytest.raises(CaffeCompatError, match="there is neither a file zzz, nor a snapshot"):
        compare("zzz", "a.npz", 0)
    np.savez("b.npz", other=np.ones(2, np.float32))
    with pytest.raises(CaffeCompatError, match="nothing in common"):
        compare("a.npz", "b.npz", 0)
    series("a", {1: 1})
    series("b", {1: 1})
    with pytest.raises(CaffeCompatError, match=r"holds snapshots of several runs: a, b; name one"):
        compare(".", "a", 0)
    Path("a_iter_1.solverstate").touch()
    with pytest.raises(CaffeCompatError, match="is a solver state"):
        compare("a_iter_1.solverstate", "a", 0)
