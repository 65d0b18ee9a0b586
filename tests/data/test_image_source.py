"""ImageData: lists, sizes, orders, labels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from caffe_compat.errors import CaffeCompatError, DataError
from caffe_compat.pictures import resize
from tests.data.making import images, layer, open_layer, same, take

PIXELS = images(7, (6, 5, 3))
"""Red first, as Pillow takes them."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """im 0.png ... im 6.png, and list.txt with the labels 10 to 16."""
    for number, pixels in enumerate(PIXELS):
        Image.fromarray(pixels).save(tmp_path / f"im {number}.png")
    write_list(tmp_path, [f"im {number}.png {number + 10}" for number in range(7)])
    return tmp_path


def write_list(folder: Path, lines: Sequence[str]) -> None:
    (folder / "list.txt").write_text("\n".join(lines) + "\n\n")


def image_layer(batch_size: int = 3, image: str = "", transform: str = "", tops: int = 2) -> Any:
    names = " ".join(f'top: "{name}"' for name in ("data", "label")[:tops])
    return layer(
        f'type: "ImageData" {names} image_data_param {{ source: "list.txt" batch_size: {batch_size} {image} }} '
        f"transform_param {{ {transform} }}"
    )


def blue_first(rows: Sequence[int]) -> np.ndarray:
    return PIXELS[list(rows)][..., ::-1].transpose(0, 3, 1, 2)


def labels_of(source: Any, batches: int) -> list[int]:
    return [int(label) for batch in take(source, batches) for label in batch[1]]


def test_batches_go_around(folder: Path) -> None:
    with open_layer(image_layer(), base_dir=folder) as source:
        assert source.top_shapes == [(3, 3, 6, 5), (3,)]
        assert source.size == 7
        for number in range(4):
            rows = [(3 * number + i) % 7 for i in range(3)]
            data, labels = source.next()
            np.testing.assert_array_equal(data, blue_first(rows))
            assert labels.tolist() == [row + 10 for row in rows]


def test_new_size_gray_and_transform(folder: Path) -> None:
    text = "new_height: 9 new_width: 4 is_color: false"
    with open_layer(image_layer(2, text, "scale: 0.5 mean_value: 20", tops=1), base_dir=folder) as source:
        (data,) = source.next()
        red, green, blue = PIXELS[:2].astype(int).transpose(3, 0, 1, 2)
        gray = ((9797 * red + 19234 * green + 3737 * blue) >> 15).astype(np.uint8)
        expected = np.stack([resize(image[:, :, None], 9, 4)[:, :, 0] for image in gray])
        np.testing.assert_array_equal(data[:, 0], (expected.astype(np.float32) - 20) * 0.5)


def test_shuffled_anew_for_every_pass(folder: Path) -> None:
    shuffled = image_layer(7, "shuffle: true")
    orders = [labels_of(open_layer(shuffled, "TRAIN", seed, folder), 3) for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]
    passes = [orders[0][start : start + 7] for start in (0, 7, 14)]
    assert all(sorted(one) == list(range(10, 17)) for one in passes)
    assert passes[0] != passes[1] != passes[2]
    with open_layer(image_layer(3, "shuffle: true"), "TRAIN", 1, folder) as source:
        assert labels_of(source, 7) == orders[0]
        source.seek(4)
        assert labels_of(source, 2) == orders[0][12:18]


@pytest.mark.parametrize("workers", ["1", "3"])
def test_any_number_of_workers_gives_the_same_batches(
    folder: Path, workers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = image_layer(3, "shuffle: true", "crop_size: 3 mirror: true")
    monkeypatch.setenv("CAFFE_COMPAT_WORKERS", "1")
    plain = take(open_layer(text, "TRAIN", 1, folder), 9)
    monkeypatch.setenv("CAFFE_COMPAT_WORKERS", workers)
    with open_layer(text, "TRAIN", 1, folder) as source:
        assert same(take(source, 9), plain)
        source.seek(5)
        assert same(take(source, 2), plain[5:7])


def test_rand_skip(folder: Path) -> None:
    starts = {
        labels_of(open_layer(image_layer(1, "rand_skip: 7"), seed=seed, base_dir=folder), 1)[0] for seed in range(9)
    }
    assert len(starts) > 1
    with pytest.raises(DataError, match=r"rand_skip 1000 skips \d+ images, but .*list.txt names 7"):
        open_layer(image_layer(1, "rand_skip: 1000"), base_dir=folder)


@pytest.mark.parametrize(
    ("root", "names"),
    [
        ("{folder}/", "im {}.png"),
        ("{folder}", "im {}.png"),
        ("{folder}/im ", "{}.png"),
        ("", "{folder}/im {}.png"),
        ("here/", "../im {}.png"),
    ],
)
def test_root_folder(folder: Path, root: str, names: str) -> None:
    (folder / "here").mkdir()
    write_list(folder, [names.replace("{folder}", str(folder)).format(number) + f" {number}" for number in range(7)])
    text = image_layer(7, f'root_folder: "{root.format(folder=folder)}"' if root else "")
    np.testing.assert_array_equal(open_layer(text, base_dir=folder).next()[0], blue_first(range(7)))


def test_the_working_directory_comes_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "other").mkdir()
    Image.fromarray(PIXELS[6]).save(folder / "other" / "im 0.png")
    write_list(folder, ["im 0.png 3"])
    monkeypatch.chdir(folder / "other")
    np.testing.assert_array_equal(open_layer(image_layer(1), base_dir=folder).next()[0], blue_first([6]))


def test_several_labels(folder: Path) -> None:
    write_list(folder, [f"im {number}.png {number} {number / 2} -1e1" for number in range(4)])
    with open_layer(image_layer(2), base_dir=folder) as source:
        assert source.top_shapes[1] == (2, 3)
        assert source.next()[1].tolist() == [[0, 0, -10], [1, 0.5, -10]]
    write_list(folder, ["im 0.png 1 2", "im 1.png 3"])
    with pytest.raises(DataError, match=r'list.txt:2: "im 1.png 3" does not end in 2 labels, as many as the first'):
        open_layer(image_layer(1), base_dir=folder)


def test_a_name_that_ends_in_a_number_has_one_label(folder: Path) -> None:
    os.rename(folder / "im 0.png", folder / "im 5")
    write_list(folder, ["im 5 7"])
    assert open_layer(image_layer(1), base_dir=folder).next()[1].tolist() == [7]


def test_turned_as_the_camera_was_held(folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PIXELS[0]).save(folder / "im 0.png", exif=exif)
    data, _ = open_layer(image_layer(1), base_dir=folder).next()
    np.testing.assert_array_equal(data, np.rot90(blue_first([0]), -1, (2, 3)))


@pytest.mark.parametrize(
    ("lines", "text", "message"),
    [
        (["im 0.png"], "", r'list.txt:1: "im 0.png" does not end in a label, a number'),
        (["im 0.png 1", "7"], "", r'list.txt:2: "7" does not end in a label'),
        ([], "", "names no image"),
        (["no.png 1"], "", "no.png, which .*list.txt names, is not there: correct the list or"),
        (["list.txt 1"], "", "list.txt cannot be decoded as an image"),
        (["im 0.png 1"], "new_height: 3", "has new_height 3 and new_width 0: give both"),
    ],
)
def test_refusals(folder: Path, lines: list[str], text: str, message: str) -> None:
    write_list(folder, lines)
    with pytest.raises(CaffeCompatError, match=message):
        open_layer(image_layer(1, text), base_dir=folder)


def test_images_of_different_sizes(folder: Path) -> None:
    Image.fromarray(PIXELS[1][:4]).save(folder / "im 1.png")
    with pytest.raises(DataError, match="images of one batch have different shapes"):
        open_layer(image_layer(2), base_dir=folder).next()
    one = open_layer(image_layer(1), base_dir=folder)
    assert [tuple(one.next()[0].shape) for _ in range(2)] == [(1, 3, 6, 5), (1, 3, 4, 5)]
