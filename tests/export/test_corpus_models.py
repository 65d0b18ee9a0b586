"""Trained models from public repositories: outputs as the real Caffe computed them, in torch and in onnxruntime.

The models are not part of the project; without ../shared/corpus these tests are skipped.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from caffe_compat.export.lower import lower
from caffe_compat.export.runtime import open_session
from caffe_compat.net import Net
from caffe_compat.proto import Document, pb, read_net
from caffe_compat.weights import load_weights

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
TABLE = CORPUS / "models.tsv"
ROWS = [row for row in csv.DictReader(TABLE.open(), delimiter="\t") if row["prototxt"]] if TABLE.exists() else []
pytestmark = pytest.mark.skipif(not ROWS, reason="needs ../shared/corpus")


def fed(document: Document, shapes: dict[str, list[int]]) -> Document:
    """The net with one Input layer for its data layers."""
    kept = [layer for layer in document.message.layer if layer.bottom]
    net = pb.NetParameter(name=document.message.name)
    net.layer.add(name="input", type="Input", top=list(shapes))
    for shape in shapes.values():
        net.layer[0].input_param.shape.add(dim=shape)
    net.layer.extend(kept)
    return Document(net, document.source)


def inputs(row: dict[str, str]) -> dict[str, np.ndarray]:
    """The inputs that the reference was computed from, drawn anew."""
    random = np.random.RandomState(7)
    drawn = {}
    for name, shape in json.loads(row["inputs"]).items():
        values = random.uniform(-1, 1, shape).astype(np.float32) * np.float32(row["input_scale"])
        drawn[name] = np.arange(shape[0], dtype=np.float32) if name == "label" else values
    return drawn


def loaded(row: dict[str, str]) -> tuple[Net, dict[str, np.ndarray], Any]:
    folder = CORPUS / row["folder"]
    document = read_net(folder / row["prototxt"])
    if json.loads(row["data_layer_replaced_by_input"] or '""'):
        document = fed(document, json.loads(row["inputs"]))
    net = Net(document, "TEST")
    load_weights(net, folder / row["weights"])
    reference = np.load(folder / "reference.npz")
    drawn = inputs(row)
    for name, values in drawn.items():
        np.testing.assert_allclose(values.ravel()[:16], reference[f"in:{name}"])
    return net, drawn, reference


def wanted(reference: Any) -> dict[str, np.ndarray]:
    """The outputs to compare. Where the labels are no class numbers, only the scores before the loss mean something."""
    outputs = {key[4:]: reference[key] for key in reference.files if key.startswith("out:")}
    return {"InnerProduct1": outputs["InnerProduct1"]} if "InnerProduct1" in outputs else outputs


def close(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["folder"].split("/")[-1])
def test_torch(row: dict[str, str]) -> None:
    """Every output, and mean, deviation and largest value of every blob."""
    net, drawn, reference = loaded(row)
    net.keep_blobs = True
    usable = set(wanted(reference))
    if "InnerProduct1" in usable:
        drawn["Data2"] = np.zeros_like(drawn["Data2"])  # the drawn ones are no class numbers
    with torch.no_grad():
        net(**{name: torch.from_numpy(values) for name, values in drawn.items()})
    for name, expected in wanted(reference).items():
        close(net.blobs[name].numpy(), expected)
    facts = json.loads((CORPUS / row["folder"] / "facts.json").read_text())["blobs"]
    label_based = {name for name in facts if name.startswith(("Accuracy", "SoftmaxWithLoss", "Data2", "label"))}
    for name, fact in facts.items():
        if name in net.blobs and name not in label_based:
            blob = net.blobs[name].double()
            largest = max(fact["absmax"], 1e-12)
            assert abs(float(blob.abs().max()) - fact["absmax"]) <= 1e-5 * largest, name
            assert abs(float(blob.mean()) - fact["mean"]) <= 1e-5 * largest, name


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["folder"].split("/")[-1])
def test_onnxruntime(row: dict[str, str]) -> None:
    net, drawn, reference = loaded(row)
    expected = wanted(reference)
    lowered = lower(net, outputs=list(expected))
    session = open_session(lowered.model.SerializeToString(), "cpu", 1)
    names = [lowered.outputs[name] for name in expected]
    found = session.run(names, {name: drawn[name] for name in lowered.inputs})
    for values, name in zip(found, expected, strict=True):
        close(values, expected[name])


@pytest.mark.skipif(not ROWS, reason="needs ../shared/corpus")
def test_opencv_agrees() -> None:
    """The second reference of mtcnn_det1 was computed by OpenCV's own reader of Caffe files."""
    row = next(row for row in ROWS if row["folder"].endswith("mtcnn_det1"))
    net, drawn, _ = loaded(row)
    reference = np.load(CORPUS / row["folder"] / "reference_opencv.npz")
    with torch.no_grad():
        outputs = net(torch.from_numpy(drawn["data"]))
    for key in reference.files:
        if key.startswith("out:"):
            close(outputs[key[4:]].numpy(), reference[key])
