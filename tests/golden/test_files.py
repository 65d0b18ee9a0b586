"""Files that Caffe and its tools wrote: weights, solver states, data bases, upgraded texts, training logs."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from caffe_compat.api import load_net
from caffe_compat.errors import CaffeCompatError
from caffe_compat.proto import parse_text, print_text, upgrade_net, upgrade_solver
from tests.golden.build import param, skip_missing_in
from tests.golden.cases import Case
from tests.golden.compare import PRINTED, Comparison, rounding_noise
from tests.golden.training import Recorder, skip_missing_solver

NUMBER = r"-?\d+\.?\d*(?:e[-+]?\d+)?"


@pytest.fixture(autouse=True)
def copied(request: pytest.FixtureRequest, working_directory: Path) -> None:
    """The case's folder, copied into the working directory."""
    if "case" in request.fixturenames:
        case = request.getfixturevalue("case")
        shutil.copytree(case.path, working_directory, dirs_exist_ok=True)


@contextmanager
def may_be_missing(file_format: str) -> Iterator[None]:
    """A case counts as missing while the error says that we do not read or write this file format."""
    try:
        yield
    except CaffeCompatError as error:
        if file_format not in str(error):
            raise
        pytest.skip(f"missing: {file_format} files")


# ---- snapshots


@pytest.mark.golden("snapshots")
def test_snapshot(case: Case) -> None:
    """Caffe's weights as they are read; training on from its state: with its data going on, and restarted.

    The first five iterations began from random weights that the files do not hold.
    """
    skip_missing_in(Path("net.prototxt"))
    skip_missing_solver(Path("solver.prototxt"))
    with may_be_missing("HDF5"):
        compare_snapshot(case)


def compare_snapshot(case: Case) -> None:
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
    recorder = Recorder(Path("solver.prototxt"))
    recorder.solver.restore(one_file("snap_iter_5.solverstate*"))
    assert recorder.solver.iter == 5
    for source in recorder.solver.net.sources.values():
        source.seek(skip_batches)
    recorder.step(5)
    return recorder


def one_file(pattern: str) -> Path:
    (path,) = Path().glob(pattern)
    return path


def compare_weights(compare: Comparison, prefix: str, net: Any) -> None:
    expected = compare.case.part(f"{prefix}.param")
    noise = rounding_noise(expected)
    for key in expected:
        compare(f"{prefix}.param.{key}", param(net, key), noise=noise[key])


# ---- weights


@pytest.mark.golden("weights")
def test_weights(case: Case) -> None:
    skip_missing_in(Path("net.prototxt"))
    name = case.entry["file"]
    with may_be_missing("HDF5"):
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
    skip_missing_in(entry["prototxt"])
    with may_be_missing("LevelDB"):
        net = load_net(entry["prototxt"], phase=entry["phase"])
    with Comparison(case) as compare:
        for number in range(entry["forwards"]):
            for blob, values in net().items():
                key = f"{entry['name']}:{number}:{blob}"
                compare(key, values)


# ---- upgrades


@pytest.mark.golden("upgrades")
def test_upgrade(case: Case) -> None:
    """An old text reads as what Caffe's own tool makes of it."""
    is_solver = case.entry["old"].startswith("solver")
    upgrade, message = (upgrade_solver, "SolverParameter") if is_solver else (upgrade_net, "NetParameter")
    ours = parse_text(Path(case.entry["old"]).read_text(), message)
    upgrade(ours)
    assert print_text(ours.message) == Path(case.entry["new"]).read_text()


# ---- training logs


@pytest.mark.golden("train_log")
def test_train_log(case: Case) -> None:
    """All that Caffe prints while it trains and tests, in its order. The net's fillers are constants."""
    expected = json.loads(Path("events.json").read_text())
    skip_missing_in(Path("net.prototxt"))
    kinds = {row[0] for row in expected} | {"test_loss"}
    recorder = Recorder(Path("solver.prototxt"))
    recorder.solver.solve()
    ours = [row for row in recorder.rows() if row[0] in kinds]
    assert [without_numbers(row) for row in ours] == [without_numbers(row) for row in expected]
    for row, caffes in zip(ours, expected, strict=True):
        assert numbers(row) == pytest.approx(numbers(caffes), rel=1e-4, abs=1e-6), f"{row}, Caffe: {caffes}"


def numbers(row: list[Any]) -> list[float]:
    """The floats of an event, those in "(* 1 = 1.09861 loss)" too."""
    texts = [str(value) for value in row[1:] if not isinstance(value, int)]
    return [float(number) for text in texts for number in re.findall(NUMBER, text)]


def without_numbers(row: list[Any]) -> list[Any]:
    """Kind, iteration, index and names of an event."""
    return [re.sub(NUMBER, "#", str(value)) if not isinstance(value, int) else value for value in row]
