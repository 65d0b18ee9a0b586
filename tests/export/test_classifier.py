"""Classifying pictures with an exported file."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from caffe_compat import Classifier, DataError, ExportError, export_onnx, load_net
from caffe_compat.export import lower_net
from caffe_compat.export.pictures import read_picture
from tests.export.nets import DEPLOY, from_input

MEAN = (104.0, 117.0, 123.0)
COLOUR = from_input(
    'layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 4 kernel_size: 3 '
    'weight_filler { type: "xavier" } } }\n'
    'layer { name: "ip" type: "InnerProduct" bottom: "c" top: "ip" inner_product_param { num_output: 5 '
    'weight_filler { type: "xavier" } } }\n'
    'layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }\n',
    2, 3, 12, 10,
)  # fmt: skip


@pytest.fixture(scope="module")
def net():
    return load_net(COLOUR, seed=2)


@pytest.fixture(scope="module")
def path(net, tmp_path_factory):
    path = tmp_path_factory.mktemp("classifier") / "colour.onnx"
    export_onnx(net, path, mean_values=MEAN, scale=0.02, labels=["a", "b", "c"], resize=(16, 14))
    return path


@pytest.fixture(scope="module")
def pixels():
    """A picture, red, green, blue, of the size before the crop."""
    return np.random.default_rng(1).integers(0, 256, (16, 14, 3), dtype=np.uint8)


def by_hand(net, pixels):
    """Centre crop, blue first, minus the mean, scaled, and through torch."""
    crop = pixels[2:14, 2:12, ::-1].astype(np.float32)
    planes = ((crop - np.float32(MEAN)) * np.float32(0.02)).transpose(2, 0, 1)
    with torch.no_grad():
        return net(torch.from_numpy(planes[None].copy()))["prob"][0].numpy()


def test_classes_as_computed_by_hand(net, path, pixels):
    expected = by_hand(net, pixels)
    guesses = Classifier(path, "cpu").classify([pixels])[0]
    assert [guess.index for guess in guesses] == np.argsort(-expected).tolist()
    np.testing.assert_allclose([g.probability for g in guesses], np.sort(expected)[::-1], rtol=1e-5)
    assert {guess.label for guess in guesses} == {"a", "b", "c", "class 3", "class 4"}
    assert guesses[0] == (guesses[0].label, guesses[0].probability, guesses[0].index)


def test_all_kinds_of_pictures_are_the_same(path, pixels, tmp_path):
    Image.fromarray(pixels).save(tmp_path / "x.png")
    classifier = Classifier(path, "cpu")
    kinds = [tmp_path / "x.png", str(tmp_path / "x.png"), Image.fromarray(pixels), pixels]
    assert len({tuple(guesses) for guesses in classifier.classify(kinds, top_k=2)}) == 1
    assert classifier.classify(pixels) == classifier.classify([pixels])


def test_many_pictures_go_in_batches(path, pixels):
    assert len(Classifier(path, "cpu").classify([pixels] * 70, top_k=1)) == 70
    assert Classifier(path, "cpu").classify([]) == []


def test_a_fixed_batch_is_filled_up(net, path, pixels, tmp_path):
    export_onnx(net, tmp_path / "two.onnx", mean_values=MEAN, scale=0.02, batch=2, resize=(16, 14))
    fixed = Classifier(tmp_path / "two.onnx", "cpu").classify([pixels] * 3, top_k=1)
    free = Classifier(path, "cpu").classify([pixels] * 3, top_k=1)
    assert [row[0].index for row in fixed] == [row[0].index for row in free]


def test_preprocessing_in_the_graph_gives_the_same(net, path, pixels, tmp_path):
    inside = tmp_path / "inside.onnx"
    export_onnx(net, inside, mean_values=MEAN, scale=0.02, resize=(16, 14), preprocess_in_graph=True)
    a, b = (Classifier(p, "cpu").classify([pixels])[0] for p in (path, inside))
    np.testing.assert_allclose([g.probability for g in a], [g.probability for g in b], rtol=1e-5)


def test_gray_and_rgb(tmp_path):
    export_onnx(DEPLOY, tmp_path / "gray.onnx", scale=1 / 256)
    classifier = Classifier(tmp_path / "gray.onnx", "cpu")
    colour = np.full((28, 28, 3), (255, 0, 0), np.uint8)
    assert classifier.preprocess(colour)[0, 0, 0] == 76 / 256  # 0.299 * 255, rounded
    export_onnx(COLOUR, tmp_path / "rgb.onnx", channel_order="rgb")
    assert Classifier(tmp_path / "rgb.onnx", "cpu").preprocess(colour)[:, 0, 0].tolist() == [255, 0, 0]


def test_scores_without_a_softmax(tmp_path):
    text = COLOUR.replace('layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }', "")
    export_onnx(text, tmp_path / "x.onnx")
    assert len(Classifier(tmp_path / "x.onnx", "cpu").classify([np.zeros((12, 10, 3), np.uint8)])[0]) == 5


def test_torch_is_not_imported(path, pixels, tmp_path):
    Image.fromarray(pixels).save(tmp_path / "x.png")
    code = (
        "import sys, caffe_compat\n"
        f"caffe_compat.Classifier({str(path)!r}, 'cpu').classify([{str(tmp_path / 'x.png')!r}])\n"
        "assert not {'torch', 'onnx', 'google.protobuf'} & set(sys.modules), 'torch, onnx or protobuf was imported'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        ("nowhere.png", "does not exist"),
        (__file__, "cannot be read as a picture"),
        (3, "a picture is a path, a PIL image or a uint8 array, not int"),
        (np.zeros((4, 4, 3)), "an array float64 of shape"),
        (np.zeros((4, 4, 2), np.uint8), "is no picture"),
    ],
)
def test_what_is_no_picture(path, picture, message):
    with pytest.raises(DataError, match=message):
        Classifier(path, "cpu").classify([picture])


def test_a_cut_off_picture(path, pixels, tmp_path):
    Image.fromarray(np.tile(pixels, (9, 9, 1))).save(tmp_path / "x.jpg")
    (tmp_path / "x.jpg").write_bytes((tmp_path / "x.jpg").read_bytes()[:2000])
    with pytest.raises(DataError, match=r"x\.jpg cannot be read as a picture"):
        Classifier(path, "cpu").classify([tmp_path / "x.jpg"])


def test_files_that_are_no_classifiers(net, tmp_path):
    (tmp_path / "foreign.onnx").write_bytes(lower_net(net).SerializeToString())
    with pytest.raises(ExportError, match="was not exported by caffe_compat"):
        Classifier(tmp_path / "foreign.onnx")
    export_onnx(from_input('layer { name: "r" type: "ReLU" bottom: "data" top: "r" }\n', 2, 3), tmp_path / "flat.onnx")
    with pytest.raises(ExportError, match="is no classifier of pictures"):
        Classifier(tmp_path / "flat.onnx")


def test_wrong_batches_and_numbers(path):
    with pytest.raises(ExportError, match=r"does not fit the input \(N, 3, 12, 10\)"):
        Classifier(path, "cpu").predict(np.zeros((1, 3, 12, 11)))
    with pytest.raises(ExportError, match="top_k is 0"):
        Classifier(path, "cpu").classify([], top_k=0)


def test_palettes_and_transparency(tmp_path, pixels):
    Image.fromarray(pixels).convert("P").save(tmp_path / "p.png")
    Image.fromarray(pixels).convert("RGBA").save(tmp_path / "a.png")
    assert read_picture(tmp_path / "p.png", "BGR").shape == (16, 14, 3)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png", "RGB"), pixels)
