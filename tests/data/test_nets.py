"""Data layers in nets: several of them, and different ones for training and testing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from caffe_compat.api import load_net
from tests.data.making import database, images

FIRST, SECOND = images(5, (3, 4, 6), 1), images(3, (3, 4, 6), 2)

DATA = """
layer {{ name: "{name}" type: "Data" top: "{name}" top: "{name}_label" {include}
  data_param {{ source: "{source}" backend: LMDB batch_size: {batch} }} transform_param {{ {transform} }} }}
"""
LIST = """
layer { name: "data" type: "ImageData" top: "data" top: "data_label" include { phase: TEST }
  image_data_param { source: "list.txt" batch_size: 2 } }
"""


def data(name: str, source: Path, batch: int, include: str = "", transform: str = "") -> str:
    return DATA.format(name=name, source=source, batch=batch, include=include, transform=transform)


@pytest.fixture
def databases(tmp_path: Path) -> tuple[Path, Path]:
    return database(tmp_path / "first", FIRST), database(tmp_path / "second", SECOND)


def test_several_data_layers_go_around_each_by_itself(databases: tuple[Path, Path]) -> None:
    net = load_net(data("a", databases[0], 2) + data("b", databases[1], 4), seed=1)
    assert sorted(net.sources) == ["a", "b"]
    for number in range(6):
        tops = net()
        rows = [(2 * number + i) % 5 for i in range(2)]
        np.testing.assert_array_equal(tops["a"], FIRST[rows])
        np.testing.assert_array_equal(tops["a_label"], rows)
        np.testing.assert_array_equal(tops["b"], SECOND[[(4 * number + i) % 3 for i in range(4)]])


def test_two_layers_on_one_data_base(databases: tuple[Path, Path]) -> None:
    """Each reads it from its first record on, as in Caffe; the random crops of both have the net's seed."""
    text = data("a", databases[0], 2) + data("b", databases[0], 3)
    net = load_net(text)
    for number in range(4):
        tops = net()
        np.testing.assert_array_equal(tops["a"], FIRST[[(2 * number + i) % 5 for i in range(2)]])
        np.testing.assert_array_equal(tops["b"], FIRST[[(3 * number + i) % 5 for i in range(3)]])


def test_another_source_in_each_phase(
    databases: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, pixels in enumerate(SECOND):
        Image.fromarray(pixels.transpose(1, 2, 0)[..., ::-1]).save(tmp_path / f"{number}.png")
    (tmp_path / "list.txt").write_text("".join(f"{number}.png {number}\n" for number in range(3)))
    monkeypatch.chdir(tmp_path)
    text = data("data", databases[0], 5, "include { phase: TRAIN }", "scale: 2") + LIST
    train, test = load_net(text, phase="TRAIN"), load_net(text, phase="TEST")
    for number in range(3):
        np.testing.assert_array_equal(train()["data"], 2.0 * FIRST)
        rows = [(2 * number + i) % 3 for i in range(2)]
        tops = test()
        np.testing.assert_array_equal(tops["data"], SECOND[rows])
        np.testing.assert_array_equal(tops["data_label"], rows)


@pytest.mark.parametrize("seed", [1, 2])
def test_epochs_with_random_crops_depend_on_the_seed_alone(databases: tuple[Path, Path], seed: int) -> None:
    """Three passes over the data, the second of which is not the first again."""
    text = data("a", databases[0], 5, "", "crop_size: 3 mirror: true")
    one, other = (load_net(text, phase="TRAIN", seed=seed) for _ in range(2))
    epochs = [one()["a"].numpy() for _ in range(3)]
    for epoch in epochs:
        np.testing.assert_array_equal(other()["a"], epoch)
    assert not np.array_equal(epochs[0], epochs[1])
