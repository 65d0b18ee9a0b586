"""convert: weights stay the same, bit for bit, in every direction."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from caffe_compat.api import load_net
from caffe_compat.cli import main
from caffe_compat.errors import WeightsError
from caffe_compat.net import Net
from caffe_compat.tools.converting import convert, load_into
from caffe_compat.tools.weight_files import read_arrays
from caffe_compat.weights import load_weights, save_caffemodel

GOLDEN = Path(__file__).parents[1] / "golden" / "data" / "files" / "weights_legacy"
NET = """
layer { name: "data" type: "Data" top: "data" data_param { source: "not there" batch_size: 2 }
  transform_param { crop_size: 8 force_gray: true } }
layer { name: "conv.1" type: "Convolution" bottom: "data" top: "conv" param { name: "shared" } param { name: "b" }
  convolution_param { num_output: 1 kernel_size: 3 pad: 1 weight_filler { type: "gaussian" } } }
layer { name: "conv2" type: "Convolution" bottom: "conv" top: "conv2" param { name: "shared" } param { name: "b" }
  convolution_param { num_output: 1 kernel_size: 3 pad: 1 } }
layer { name: "bn" type: "BatchNorm" bottom: "conv2" top: "conv2" }
layer { name: "fc" type: "InnerProduct" bottom: "conv2" top: "fc"
  inner_product_param { num_output: 4 weight_filler { type: "gaussian" } bias_filler { type: "gaussian" } } }
"""
INPUT = NET.replace('type: "Data"', 'type: "Input" input_param { shape { dim: 2 dim: 1 dim: 8 dim: 8 } }', 1)
SUFFIXES = (".caffemodel", ".caffemodel.h5", ".safetensors", ".npz")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("safetensors")
    pytest.importorskip("h5py")
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(NET)


def build(seed: int) -> Net:
    return load_net(INPUT, seed=seed)


def same(left: Net, right: Net) -> bool:
    pairs = zip(left.state_dict().items(), right.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


@pytest.mark.parametrize(("old", "new"), list(itertools.permutations(SUFFIXES, 2)))
def test_every_direction(old: str, new: str, capsys: pytest.CaptureFixture[str]) -> None:
    original, found = build(1), build(2)
    save_caffemodel(original, "first.caffemodel")
    convert("first.caffemodel", f"a{old}", build(3))
    assert main(["convert", f"a{old}", f"b{new}", "--model", "net.prototxt"]) == 0
    assert "converted" in capsys.readouterr().out
    load_into(found, f"b{new}")
    assert same(original, found)


@pytest.mark.parametrize(("old", "new"), [SUFFIXES[:2], SUFFIXES[1::-1]])
def test_between_caffes_formats_no_net_is_needed(old: str, new: str) -> None:
    original, found = build(1), build(2)
    save_caffemodel(original, f"a{old}")
    assert "converted" in convert(f"a{old}", f"b{new}")
    load_weights(found, f"b{new}")
    assert same(original, found)


def test_names_and_what_other_programs_read() -> None:
    from safetensors.torch import load_file

    convert_from(build(1), "a.safetensors")
    state = load_file("a.safetensors")
    assert {"conv_1.weight", "conv2.weight", "fc.bias"} <= set(state)
    other = build(2)
    other.load_state_dict(state)
    assert same(other, build(1))
    convert_from(build(1), "a.npz")
    with np.load("a.npz") as content:
        assert set(content) == set(state)


def convert_from(net: Net, out: str) -> None:
    save_caffemodel(net, "first.caffemodel")
    convert("first.caffemodel", out, build(9))


@pytest.mark.parametrize("name", ["v1_legacy4d", "v2_double", "v2_modern"])
def test_caffes_own_files(name: str) -> None:
    net = load_net(GOLDEN / "net.prototxt")
    convert(GOLDEN / f"{name}.caffemodel", "x.npz", net)
    with np.load(GOLDEN / "expected.npz") as expected:
        found = read_arrays("x.npz")
        keys = [key for key in expected if key.startswith(f"{name}.caffemodel:param.")]
        assert keys
        for key in keys:
            layer, _, index = key.split(":param.")[1].rpartition(".")
            assert np.array_equal(found[f"{layer}.{net.layer(layer).blob_names[int(index)]}"], expected[key])


def test_refusals_leave_the_old_file() -> None:
    Path("out.npz").write_text("old")
    net = build(1)
    save_caffemodel(net, "a.caffemodel")
    with pytest.raises(WeightsError, match="name its prototxt with --model"):
        convert("a.caffemodel", "out.npz")
    with pytest.raises(WeightsError, match=r"accepted: \.caffemodel, \.caffemodel\.h5, \.safetensors, \.npz"):
        convert("a.caffemodel", "a.onnx", net)
    with pytest.raises(WeightsError, match="old form that says four sizes of every blob"):
        convert(GOLDEN / "v2_legacy4d.caffemodel", "x.caffemodel.h5")
    other = load_net(INPUT.replace('"fc"', '"head"'))
    with pytest.raises(WeightsError, match="lacks layers of the net: head"):
        convert("a.caffemodel", "out.npz", other)
    convert("a.caffemodel", "a.npz", net)
    with pytest.raises(WeightsError, match=r"'head\.weight' is missing.*'fc\.weight' is no blob of the net"):
        convert("a.npz", "out.npz", other)
    with pytest.raises(WeightsError, match=r"'fc\.weight' has shape \[4, 64\], in the net \[5, 64\]"):
        convert("a.npz", "out.npz", load_net(INPUT.replace("num_output: 4", "num_output: 5")))
    Path("bad.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0nonsense")
    with pytest.raises(WeightsError, match=r"is no \.safetensors, or damaged"):
        convert("bad.safetensors", "out.npz", net)
    assert Path("out.npz").read_text() == "old"


def test_without_the_package_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    save_caffemodel(build(1), "a.caffemodel")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(WeightsError, match=r"pip install 'caffe-compat\[safetensors\]'"):
        convert("a.caffemodel", "a.safetensors", build(2))
