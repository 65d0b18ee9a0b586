"""Files that Caffe and its tools wrote: weights, solver states, data bases, upgraded texts, training logs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from caffe_compat.api import load_net
from caffe_compat.layers.source import source_types
from caffe_compat.proto import parse_text, read_net, read_solver
from tests.golden.build import param, skip_missing, types_of
from tests.golden.cases import Case
from tests.golden.compare import PRINTED, TOLERANCE, Comparison
from tests.golden.training import Recorder, make_solver, skip_missing_solver


@pytest.fixture(autouse=True)
def copied(request: pytest.FixtureRequest, working_directory: Path) -> None:
    """The case's folder, copied into the working directory."""
    if "case" in request.fixturenames:
        case = request.getfixturevalue("case")
        shutil.copytree(case.path, working_directory, dirs_exist_ok=True)


# ---- snapshots


@pytest.mark.golden("snapshots")
def test_snapshot(case: Case) -> None:
    """Caffe's weights as they are read; training on from its state: with its data going on, and restarted.

    The first five iterations began from random weights that the files do not hold.
    """
    skip_missing_data(types_of(Path("net.prototxt")))
    skip_missing_solver(Path("solver.prototxt"))
    with Comparison(case, PRINTED) as compare:
        compare_weights(compare, "iter5", load_net("net.prototxt", weights=one_file("snap_iter_5.caffemodel*")))
        compare_weights(compare, "iter10", load_net("net.prototxt", weights=one_file("snap_iter_10.caffemodel*")))
        going_on = resumed(skip_batches=5)
        compare_weights(compare, "iter10", going_on.solver.net)
        compare("losses", going_on.losses, case.arrays["losses"][5:])
        compare("lr", going_on.rates, case.arrays["lr"][5:])
        restarted = resumed(skip_batches=0)
        compare_weights(compare, "resumed10", restarted.solver.net)
        compare("resumed_losses", restarted.losses)


def resumed(skip_batches: int) -> Recorder:
    """Five iterations from Caffe's state of iteration 5."""
    solver = make_solver(Path("solver.prototxt"))
    solver.restore(one_file("snap_iter_5.solverstate*"))
    assert solver.iter == 5
    for source in solver.net.sources.values():
        source.seek(skip_batches)
    recorder = Recorder(solver)
    recorder.step(5)
    return recorder


def one_file(pattern: str) -> Path:
    (path,) = Path().glob(pattern)
    return path


def compare_weights(compare: Comparison, prefix: str, net: Any) -> None:
    for key in compare.case.part(f"{prefix}.param"):
        compare(f"{prefix}.param.{key}", param(net, key))


# ---- weights


@pytest.mark.golden("weights")
def test_weights(case: Case) -> None:
    skip_missing(types_of(Path("net.prototxt")))
    name = case.entry["file"]
    net = load_net("net.prototxt", weights=name)
    keys = expected_keys(case, name)
    assert keys
    with Comparison(case, 0.0) as compare:
        for key, expected in keys.items():
            compare(f"{name}:param.{key}", param(net, key), expected)


def expected_keys(case: Case, name: str) -> dict[str, Any]:
    """``saved_by_caffe`` holds what Caffe had loaded from the other files: all the same values."""
    values: dict[str, Any] = {}
    for key, value in case.arrays.items():
        file, _, blob = key.partition(":param.")
        if file == name or (name.startswith("saved_by_caffe") and blob not in values):
            values[blob] = value
    return values


# ---- data layers


@pytest.mark.golden("data_layers")
def test_data_layer(case: Case) -> None:
    """Consecutive passes of a net with one data layer. Decoded and resized pixels depend on the libraries."""
    entry = case.entry
    skip_missing_data(types_of(entry["prototxt"]))
    net = load_net(entry["prototxt"], phase=entry["phase"])
    with Comparison(case) as compare:
        for number in range(entry["forwards"]):
            for blob, values in net().items():
                key = f"{entry['name']}:{number}:{blob}"
                compare(key, values)


def skip_missing_data(types: set[str]) -> None:
    """A data layer is there when something opens its source."""
    data = {name for name in types if name.endswith("Data") and name != "DummyData"}
    skip_missing(types - data)
    skip_missing(data, source_types())


# ---- upgrades


@pytest.mark.golden("upgrades")
def test_upgrade(case: Case) -> None:
    """An old text reads as what Caffe's own tool makes of it."""
    is_solver = case.entry["old"].startswith("solver")
    read, message = (read_solver, "SolverParameter") if is_solver else (read_net, "NetParameter")
    ours = read(Path(case.entry["old"])).message
    caffes = parse_text(Path(case.entry["new"]).read_text(), message).message
    assert str(ours) == str(caffes)
