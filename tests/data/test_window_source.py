"""WindowData: the window file, what is drawn, where a window comes to lie in its crop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from caffe_compat.data.window_crop import Place, cut_window, place_window
from caffe_compat.errors import CaffeCompatError, DataError, NetError
from caffe_compat.pictures import resize
from caffe_compat.weights.mean import write_mean
from tests.data.making import images, layer, open_layer, same, take

PIXELS = [images(1, (20, 24, 3), seed)[0] for seed in range(2)]
TEXT = """# 0
a b.png
3
20
24
3
5 0.9 2 3 11 12
4 0.5 0 0 9 9
0 0.1 5 5 8 16
# 1
b.png
3
20
24
1
0 0.0 1 2 3 4
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for pixels, name in zip(PIXELS, ("a b.png", "b.png"), strict=True):
        Image.fromarray(pixels).save(tmp_path / name)
    (tmp_path / "windows.txt").write_text(TEXT)
    return tmp_path


def window_layer(batch_size: int = 8, window: str = "", transform: str = "crop_size: 6") -> Any:
    return layer(
        'type: "WindowData" top: "data" top: "label" window_data_param { source: "windows.txt" '
        f"batch_size: {batch_size} {window} }} transform_param {{ {transform} }}"
    )


def bgr(number: int) -> np.ndarray:
    return PIXELS[number][..., ::-1]


def warped(number: int, x1: int, y1: int, x2: int, y2: int, size: int) -> np.ndarray:
    return resize(bgr(number)[y1 : y2 + 1, x1 : x2 + 1], size, size).transpose(2, 0, 1)


CROPS = {5: warped(0, 2, 3, 11, 12, 6), 4: warped(0, 0, 0, 9, 9, 6)}
BACKGROUND = [warped(0, 5, 5, 8, 16, 6), warped(1, 1, 2, 3, 4, 6)]


def test_background_first_then_foreground(folder: Path) -> None:
    with open_layer(window_layer(8, "fg_fraction: 0.4"), base_dir=folder) as source:
        assert source.top_shapes == [(8, 3, 6, 6), (8,)]
        assert source.size is None
        seen: set[int] = set()
        for _ in range(6):
            data, labels = (top.numpy() for top in source.next())
            assert (labels[:5] == 0).all()
            assert (labels[5:] > 0).all()
            for crop, label in zip(data, labels.astype(int), strict=True):
                if label:
                    np.testing.assert_array_equal(crop, CROPS[label])
                else:
                    assert any(np.array_equal(crop, other) for other in BACKGROUND)
            seen |= set(labels.astype(int))
        assert seen == {0, 4, 5}


@pytest.mark.parametrize("workers", ["1", "3"])
@pytest.mark.parametrize("cache", ["true", "false"])
def test_a_batch_depends_on_seed_and_number_alone(
    folder: Path, workers: str, cache: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = take(open_layer(window_layer(transform="crop_size: 6 mirror: true"), base_dir=folder), 6)
    assert not same(plain[:3], plain[3:])
    monkeypatch.setenv("CAFFE_COMPAT_WORKERS", workers)
    message = window_layer(window=f"cache_images: {cache}", transform="crop_size: 6 mirror: true")
    with open_layer(message, base_dir=folder) as source:
        assert same(take(source, 6), plain)
        source.seek(2)
        assert same(take(source, 1), plain[2:3])


def test_thresholds(folder: Path) -> None:
    message = window_layer(4, "fg_threshold: 0.8 bg_threshold: 0.05 fg_fraction: 0.5")
    labels = np.concatenate([labels for _, labels in take(open_layer(message, base_dir=folder), 9)])
    assert set(labels) == {0, 5}
    data, _ = take(open_layer(message, base_dir=folder), 1)[0]
    np.testing.assert_array_equal(data[:2], [BACKGROUND[1]] * 2)


def test_mirror_mean_and_scale(folder: Path) -> None:
    text = "crop_size: 6 mirror: true scale: 0.5 mean_value: 7"
    message = window_layer(1, "fg_fraction: 1 fg_threshold: 0.8", text)
    expected = (CROPS[5].astype(np.float32) - 7) * 0.5
    found = [data[0] for data, _ in take(open_layer(message, base_dir=folder), 20)]
    flipped = [np.array_equal(crop, expected[..., ::-1]) for crop in found]
    assert all(flip or np.array_equal(crop, expected) for crop, flip in zip(found, flipped, strict=True))
    assert 0 < sum(flipped) < 20


def test_what_lies_outside_is_zero_after_the_mean(folder: Path) -> None:
    """Box 0..9 in a crop of 16 with context 3: it grows by 1.6 to -3..13, 17 pixels, of which 3 lie outside."""
    mean = np.random.default_rng(0).uniform(0, 255, (3, 18, 20)).astype(np.float32)
    write_mean(folder / "mean.binaryproto", mean)
    (folder / "windows.txt").write_text(TEXT.replace("5 0.9", "5 0.4"))
    text = f'crop_size: 16 mean_file: "{folder}/mean.binaryproto"'
    message = window_layer(1, "context_pad: 3 fg_fraction: 1", text)
    data, labels = take(open_layer(message, base_dir=folder), 1)[0]
    assert labels == [4]
    assert not data[0, :, :3].any()
    assert not data[0, :, :, :3].any()
    part = resize(bgr(0)[0:14, 0:14], 13, 13).transpose(2, 0, 1)
    with pytest.raises(AssertionError):  # the offset 2 of the mean's width counts for its height, too
        np.testing.assert_array_equal(data[0, :, 3:, 3:], part - mean[:, 1 + 3 : 17, 2 + 3 : 18])
    np.testing.assert_array_equal(data[0, :, 3:, 3:], part - mean[:, 2 + 3 : 18, 2 + 3 : 18])


@pytest.mark.parametrize(
    ("box", "crop", "context", "square", "place"),
    [
        ((2, 3, 11, 12), 6, 0, False, Place(2, 3, 11, 12, 6, 6, 0, 0, 0)),
        ((5, 5, 14, 14), 16, 3, False, Place(2, 2, 18, 18, 16, 16, 0, 0, 0)),
        ((0, 0, 9, 9), 16, 3, False, Place(0, 0, 13, 13, 13, 13, 3, 3, 0)),
        ((14, 10, 23, 19), 16, 3, False, Place(11, 7, 23, 19, 12, 12, 0, 0, 4)),
        ((5, 5, 8, 16), 8, 0, True, Place(1, 5, 13, 17, 8, 8, 0, 0, 0)),
        ((0, 0, 3, 19), 8, 0, True, Place(0, 0, 12, 19, 8, 5, 0, 3, 0)),
    ],
)
def test_places(box: Any, crop: int, context: int, square: bool, place: Place) -> None:
    """In an image of 20 x 24 (height x width)."""
    found = place_window(box, (20, 24), crop, context, square)
    assert found == place
    for mirror in (False, True):
        pixels, area = cut_window(bgr(0), found, crop, mirror)
        assert np.zeros((crop, crop, 3))[area].shape == pixels.shape


@pytest.mark.parametrize(
    ("box", "context", "message"),
    [
        ((5, 5, 24, 9), 0, "reaches beyond the image of 20 x 24"),
        ((60, 5, 70, 9), 2, "has no pixel in the image"),
        ((5, 5, 3, 9), 0, "has no pixel in the image"),
    ],
)
def test_windows_that_do_not_fit(box: Any, context: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        place_window(box, (20, 24), 8, context, False)


@pytest.mark.parametrize(
    ("old", "new", "text", "message"),
    [
        ("# 0", "0", "", r'windows.txt:1: "0" stands where the head of an image'),
        ("\n24\n3\n", "\nx\n3\n", "", r'windows.txt:5: "x" stands where a whole number is expected'),
        ("5 0.9 2 3 11 12", "5 0.9 2 3 11", "", r'windows.txt:7: "5 0.9 2 3 11" stands where a window'),
        ("0 0.0 1 2 3 4\n", "", "", r"windows.txt:16: the end of the file stands where a window"),
        ("5 0.9", "0 0.9", "", "a window with class 0 or less"),
        ("\nb.png\n3", "\nb.png\n1", "", "have 1 channels: accepted are 3"),
        ("", "", "fg_threshold: 0.95", "no window with an overlap from fg_threshold on, but a batch takes 2"),
        ("", "", "bg_threshold: 0", "no window with an overlap below bg_threshold, but a batch takes 6"),
        ("", "", "context_pad: 3", "context_pad 3 fills the whole crop_size 6"),
        ("a b.png", "c.png", "", r"the image .*png of the window file cannot be read"),
        ("5 0.9 2 3 11 12", "5 0.9 2 3 40 12", "", r"a b.png: the window \(2, 3, 40, 12\) reaches beyond"),
    ],
)
def test_refusals(folder: Path, old: str, new: str, text: str, message: str) -> None:
    (folder / "windows.txt").write_text(TEXT.replace(old, new, 1))
    with pytest.raises(CaffeCompatError, match=message), open_layer(window_layer(8, text), base_dir=folder) as source:
        take(source, 8)


def test_mean_values(folder: Path) -> None:
    """One for all channels, or one for each."""
    plain, one, three = (
        open_layer(window_layer(transform=f"crop_size: 6 {mean}"), base_dir=folder).next()[0]
        for mean in ("", "mean_value: 3", "mean_value: 1 mean_value: 2 mean_value: 3")
    )
    np.testing.assert_array_equal(one, plain - 3)
    np.testing.assert_array_equal(three, plain - np.array([1, 2, 3]).reshape(3, 1, 1))
    with pytest.raises(NetError, match="2 mean_values, but an image has 3 channels"):
        open_layer(window_layer(transform="crop_size: 6 mean_value: 1 mean_value: 2"), base_dir=folder)
