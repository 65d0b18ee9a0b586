"""Data bases that Caffe wrote, and what its data layers made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format

from caffe_compat.data.database import open_database
from caffe_compat.data.datum import decode_records
from caffe_compat.data.mean import compute_mean
from caffe_compat.proto import pb
from caffe_compat.weights.mean import read_mean
from tests.data.making import open_layer


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    folder = metafunc.config.getoption("--golden") / "files" / "databases"
    listed = folder / "tests.json"
    if "case" in metafunc.fixturenames:
        cases = json.loads(listed.read_text()) if listed.exists() else []
        metafunc.parametrize("case", [pytest.param(case, id=case["name"]) for case in cases])
    if "stored" in metafunc.fixturenames:
        names = sorted(path.name.removesuffix("_db") for path in folder.glob("*_db"))
        metafunc.parametrize("stored", names)


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> Path:
    return Path(request.config.getoption("--golden")) / "files" / "databases"


@pytest.fixture
def expected(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "expected.npz") as arrays:
        return dict(arrays)


def test_tops(case: dict[str, Any], folder: Path, expected: dict[str, np.ndarray]) -> None:
    net = pb.NetParameter()
    text_format.Parse(case["prototxt"], net)
    layer = net.layer[0]
    with open_layer(layer, case["phase"], base_dir=folder) as source:
        for number in range(case["forwards"]):
            for top, shape, value in zip(layer.top, source.top_shapes, source.next(), strict=True):
                wanted = expected[f"{case['name']}:{number}:{top}"]
                assert tuple(value.shape) == shape == wanted.shape
                np.testing.assert_array_equal(value.numpy(), wanted)


def test_records(stored: str, folder: Path, expected: dict[str, np.ndarray]) -> None:
    if f"{stored}:keys" not in expected:
        pytest.skip("no records of this one are given")
    database = open_database(folder / f"{stored}_db")
    records = database.records(0, database.size)
    assert [key.decode() for key, _ in records] == list(expected[f"{stored}:keys"])
    datums = [pb.Datum.FromString(value) for _, value in records]
    fields = [(d.channels, d.height, d.width, d.label, d.encoded, len(d.data)) for d in datums]
    np.testing.assert_array_equal(fields, expected[f"{stored}:fields"])
    decoded = decode_records(records, folder)
    for (key, _), image in zip(records, decoded.images, strict=True):
        wanted = expected.get(f"{stored}:datum:{key.decode()}")
        assert wanted is None or np.array_equal(image, wanted)
    database.close()


def test_mean(stored: str, folder: Path, expected: dict[str, np.ndarray]) -> None:
    if f"{stored}:mean" not in expected:
        pytest.skip("no mean of this one is given")
    wanted = expected[f"{stored}:mean"][0].astype(np.float32)
    np.testing.assert_array_equal(read_mean(folder / f"{stored}_mean.binaryproto"), wanted)
    np.testing.assert_array_equal(compute_mean(folder / f"{stored}_db"), wanted)
