"""The transformer against its definition, written out for one pixel at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caffe_compat.data.transform import Transformer
from caffe_compat.errors import CaffeCompatError, DataError, NetError
from caffe_compat.proto import pb
from caffe_compat.weights.mean import write_mean
from tests.data.making import images

SHAPE = (3, 7, 6)


def transformer(phase: str = "TEST", **fields: Any) -> Transformer:
    return Transformer(pb.TransformationParameter(**fields), phase, Path())


def generator(seed: int = 3) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture
def mean(tmp_path: Path) -> tuple[str, np.ndarray]:
    values = np.random.default_rng(1).uniform(0, 255, SHAPE).astype(np.float32)
    write_mean(tmp_path / "mean.binaryproto", values)
    return str(tmp_path / "mean.binaryproto"), values


def test_plain_is_float32() -> None:
    x = images(4, SHAPE)
    y = transformer()(x, generator())
    assert y.dtype == np.float32
    assert y.flags.c_contiguous
    assert y.flags.writeable
    np.testing.assert_array_equal(y, x)


def test_the_mean_comes_off_before_scaling() -> None:
    x = images(4, SHAPE)
    y = transformer(scale=0.017, mean_value=[104.0, 117.0, 123.0])(x, generator())
    mean = np.array([104, 117, 123], np.float32).reshape(3, 1, 1)
    np.testing.assert_array_equal(y, (x.astype(np.float32) - mean) * np.float32(0.017))


@pytest.mark.parametrize("crop", [3, 4, 6])
def test_centred_crop(crop: int, mean: tuple[str, np.ndarray]) -> None:
    x = images(2, SHAPE)
    y = transformer(crop_size=crop, mean_file=mean[0])(x, generator())
    top, left = (7 - crop) // 2, (6 - crop) // 2
    window = np.s_[..., top : top + crop, left : left + crop]
    np.testing.assert_array_equal(y, x[window].astype(np.float32) - mean[1][window])


def test_random_crop_and_mirror(mean: tuple[str, np.ndarray]) -> None:
    """Every image is one of the possible windows, mirrored or not; all windows and both mirrors occur."""
    x = images(1, SHAPE).repeat(400, axis=0)
    y = transformer("TRAIN", crop_size=5, mirror=True, mean_file=mean[0], scale=2)(x, generator())
    whole = (x[0].astype(np.float32) - mean[1]) * np.float32(2)
    windows = {}
    for top in range(3):
        for left in range(2):
            window = whole[:, top : top + 5, left : left + 5]
            windows[window.tobytes()] = (top, left, False)
            windows[window[..., ::-1].tobytes()] = (top, left, True)
    found = [windows[image.tobytes()] for image in y]
    counts = [found.count(window) for window in windows.values()]
    assert len(counts) == 12
    assert min(counts) > 400 / 12 / 2


def test_mirror_is_random_in_test_too() -> None:
    x = images(100, SHAPE)
    y = transformer("TEST", mirror=True)(x, generator())
    mirrored = [np.array_equal(b, a[..., ::-1]) for a, b in zip(x, y, strict=True)]
    assert all(m or np.array_equal(b, a) for a, b, m in zip(x, y, mirrored, strict=True))
    assert 30 < sum(mirrored) < 70


def test_a_list_of_images_gets_the_same_crops() -> None:
    x = images(20, SHAPE)
    cut = transformer("TRAIN", crop_size=4, mirror=True)
    np.testing.assert_array_equal(cut(x, generator()), cut(list(x), generator()))


def test_images_of_different_sizes_can_be_cropped() -> None:
    x = [images(1, (3, 7, 6))[0], images(1, (3, 5, 9))[0]]
    y = transformer(crop_size=4)(x, generator())
    np.testing.assert_array_equal(y[1], x[1][:, 0:4, 2:6])
    with pytest.raises(DataError, match="different shapes"):
        transformer()(x, generator())


def test_float_images() -> None:
    x = generator().normal(size=(2, *SHAPE)).astype(np.float32)
    np.testing.assert_array_equal(transformer(scale=3)(x, generator()), x * np.float32(3))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mean_file": "a", "mean_value": [1.0]}, "both mean_file and mean_value"),
        ({"mean_value": [1.0, 2.0]}, "2 mean_values, but an image has 3 channels"),
        ({"crop_size": 7}, "crop_size is 7, but an image is 7 x 6"),
        ({"mean_file": "nothing.binaryproto"}, "is not there"),
    ],
)
def test_refusals(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(CaffeCompatError, match=message):
        transformer(**fields)(images(1, SHAPE), generator())


def test_a_mean_of_another_shape_is_refused(mean: tuple[str, np.ndarray]) -> None:
    with pytest.raises(DataError, match=r"the shape \(3, 7, 6\), but an image has \(3, 6, 7\)"):
        transformer(mean_file=mean[0])(images(1, (3, 6, 7)), generator())
    with pytest.raises(NetError):
        transformer(mean_file=mean[0], crop_size=9)(images(1, SHAPE), generator())
