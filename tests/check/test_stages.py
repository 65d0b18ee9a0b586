"""One file through the stages: what applies, what failed, and why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffe_compat import load_net
from caffe_compat.check.stages import STAGES, check_file
from caffe_compat.weights import save_caffemodel
from caffe_compat.weights.mean import write_mean

TRAIN = """
layer { name: "mnist" type: "Data" top: "data" top: "label" data_param { source: "not_here" batch_size: 64 }
  transform_param { crop_size: 12 mean_value: 1 mean_value: 2 mean_value: 3 } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" include { phase: TRAIN } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" include { phase: TEST } }
"""
DEPLOY = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 5 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 3 } }
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def outcomes(name: str, text: str | None = None) -> str:
    """A letter a stage: y for ok, n for failed, - where it does not apply."""
    if text is not None:
        Path(name).write_text(text)
    row = check_file(Path(name))
    for stage in STAGES:
        assert row[stage] is None or set(row[stage]) == {"ok", "message", "seconds"}
    return "".join("-" if row[stage] is None else "yn"[not row[stage]["ok"]] for stage in STAGES)


def message(name: str, stage: str) -> str:
    return str(check_file(Path(name))[stage]["message"])


def test_a_train_net_without_its_data() -> None:
    assert outcomes("net.prototxt", TRAIN) == "yyyyy"
    row = check_file(Path("net.prototxt"))
    assert (row["kind"], row["layer_types"]) == ("net", ["Data", "InnerProduct", "Softmax", "SoftmaxWithLoss"])
    assert row["unsupported"] == []
    assert row["build"]["message"] == "data layers replaced by random inputs: data [2, 3, 12, 12], label [2]"
    assert row["train"]["message"].endswith("2 gradients")


def test_a_deploy_net_does_not_train() -> None:
    assert outcomes("net.prototxt", DEPLOY) == "yy-yy"


def test_a_solver_takes_its_net_along() -> None:
    Path("net.prototxt").write_text(TRAIN)
    solver = 'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 5'
    assert outcomes("solver.prototxt", solver) == "yyyyy"
    Path("net.prototxt").unlink()
    assert outcomes("solver.prototxt") == "y----"
    assert "the net 'net.prototxt' is not here" in message("solver.prototxt", "parse")
    assert outcomes("bad.prototxt", f"net_param {{ {DEPLOY} }} base_lr: 0.1 momentum: -1") == "yn---"


def test_files_of_weights() -> None:
    save_caffemodel(load_net(DEPLOY), "net.caffemodel")
    write_mean("mean.binaryproto", np.zeros((3, 2, 2), np.float32))
    assert outcomes("net.caffemodel") == "y----"
    assert "weights of 1 layers" in message("net.caffemodel", "parse")
    assert message("mean.binaryproto", "parse") == "mean of shape [3, 2, 2]"
    Path("cut.caffemodel").write_bytes(Path("net.caffemodel").read_bytes()[:-7])
    assert outcomes("cut.caffemodel") == "n----"


@pytest.mark.parametrize(
    ("text", "result", "told"),
    [
        (DEPLOY.replace("num_output: 3", "num_output: cls3x"), "yn---", "'num_output' takes an integer"),
        (DEPLOY.replace("num_output: 3", "num_output: 3 num_output: 4"), "yn---", "has one already"),
        (f'{DEPLOY} layers {{ name: "r" type: RELU bottom: "fc" top: "fc" }}', "yn---", "both 'layer'"),
        (f'{DEPLOY} layer {{ name: "r" type: "ReLU" phase: BOTH }}', "yn---", "'BOTH' is no value of 'phase'"),
        (f'{DEPLOY} layer {{ name: "r" type: "NoSuch" bottom: "fc" }}', "yn---", "unknown layer type 'NoSuch'"),
        (DEPLOY.replace("num_output: 3", "num_output: ${N}"), "n----", "takes an integer (uint32), not '$'"),
        (DEPLOY[:-3], "n----", "'}' is missing"),
    ],
)
def test_what_cannot_be_built(text: str, result: str, told: str) -> None:
    """Well-formed text parses, whatever its fields hold; the next stage tells what is wrong, with its place."""
    assert outcomes("net.prototxt", text) == result
    assert told in message("net.prototxt", "build" if result[0] == "y" else "parse")


def test_text_that_is_neither_net_nor_solver() -> None:
    assert outcomes("labelmap.prototxt", 'item { name: "cat" label: 1 }') == "y----"
    row = check_file(Path("labelmap.prototxt"))
    assert row["kind"] == "other"
    assert "it is something else" in row["parse"]["message"]
    assert outcomes("link.prototxt", "models/net.prototxt") == "n----"
    assert outcomes("empty.prototxt", "") == "n----"
    Path("binary.prototxt").write_bytes(b"\0\1\2")
    assert outcomes("binary.prototxt") == "n----"


def test_the_check_writes_no_file() -> None:
    hdf5 = 'type: "HDF5Output" bottom: "data" bottom: "fc" hdf5_output_param { file_name: "out.h5" }'
    text = f'{DEPLOY} layer {{ name: "h" {hdf5} }} layer {{ name: "l" type: "Reduction" bottom: "fc" top: "l" LOSS }}'
    assert outcomes("net.prototxt", text.replace("LOSS", "loss_weight: 1"))[:3] == "yyy"
    assert sorted(path.name for path in Path().iterdir()) == ["net.prototxt"]


def test_python_layers_need_a_word() -> None:
    python = 'type: "Python" bottom: "fc" top: "p" python_param { module: "m" layer: "L" }'
    assert outcomes("net.prototxt", f'{DEPLOY} layer {{ name: "p" {python} }}') == "yn---"
    assert "--allow-python m" in message("net.prototxt", "build")
