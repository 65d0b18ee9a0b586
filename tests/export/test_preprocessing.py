"""The facts that an exported file carries."""

from __future__ import annotations

import json

import numpy as np
import pytest

from caffe_compat import ExportError
from caffe_compat.export.preprocessing import PREFIX, Preprocessing, from_metadata, to_metadata

FULL = Preprocessing(
    input_name="image", mean_values=(104.0, 117.5, 0.1), scale=0.00390625, channel_order="RGB", resize=(256, 300),
    in_graph=True, labels=("cat, tabby", "dog", "Ωμέγα"), outputs={"prob": "probabilities"},
    source="a.prototxt", net="N",
)  # fmt: skip


def test_round_trip():
    assert from_metadata(to_metadata(FULL, 17), "x.onnx") == FULL
    assert from_metadata(to_metadata(Preprocessing(), 17), "x.onnx") == Preprocessing()


def test_round_trip_of_a_mean_image():
    image = np.random.default_rng(0).normal(100, 30, (3, 5, 7)).astype(np.float32)
    back = from_metadata(to_metadata(Preprocessing(mean_image=image), 17), "x.onnx")
    assert back.mean_image is not None
    np.testing.assert_array_equal(back.mean_image, image)


def test_a_mean_image_is_cropped_in_the_middle_like_the_pictures():
    image = np.arange(2 * 6 * 7, dtype=np.float32).reshape(2, 6, 7)
    fitted = Preprocessing(mean_image=image).fitted((1, 2, 3, 4))
    np.testing.assert_array_equal(fitted.mean_image, image[:, 1:4, 1:5])


def test_means_that_do_not_fit_are_refused():
    with pytest.raises(ExportError, match=r"shape \(2, 6, 7\), the input \(3, 3, 4\)"):
        Preprocessing(mean_image=np.zeros((2, 6, 7), np.float32)).fitted((1, 3, 3, 4))
    with pytest.raises(ExportError, match="2 mean values are given for 3 channels"):
        Preprocessing(mean_values=(1, 2)).fitted((1, 3, 3, 4))
    with pytest.raises(ExportError, match="one of the two"):
        Preprocessing(mean_values=(1,), mean_image=np.zeros((1, 1, 1), np.float32))


def test_the_mean_is_subtracted_before_scaling():
    facts = Preprocessing(mean_values=(1, 2), scale=0.5)
    images = np.array([10, 20], np.uint8).reshape(1, 2, 1, 1)
    assert facts.apply(images).ravel().tolist() == [4.5, 9]
    assert facts.apply(images).dtype == np.float32


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": None}, "was not exported by caffe_compat"),
        ({"format": "99"}, "format 99"),
        ({"labels": "["}, "damaged metadata"),
        ({"scale": None}, "damaged metadata"),
        ({"mean_image": "!!", "mean_shape": "[1, 1, 1]"}, "damaged metadata"),
        ({"mean_image": "AAAA", "mean_shape": "[1, 1, 1]"}, "damaged metadata"),
    ],
)
def test_damaged_metadata_are_told(change, message):
    metadata = to_metadata(FULL, 17)
    for key, value in change.items():
        if value is None:
            del metadata[PREFIX + key]
        else:
            metadata[PREFIX + key] = value
    with pytest.raises(ExportError, match=message):
        from_metadata(metadata, "x.onnx")


def test_labels_are_readable_by_anyone():
    assert json.loads(to_metadata(FULL, 17)[PREFIX + "labels"])[1] == "dog"


def test_unknown_channel_order():
    with pytest.raises(ExportError, match="accepted: BGR, RGB, GRAY"):
        Preprocessing(channel_order="GBR")
