"""Files that are damaged, or something else."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caffe_compat.api import load_net
from caffe_compat.errors import WeightsError
from caffe_compat.proto import pb
from caffe_compat.weights import load_weights
from tests.weights.making import NET, blobs, same, saved


def refusal(net: Any, name: str) -> str | None:
    """Why a file is refused; None where it is loaded."""
    try:
        load_weights(net, name)
    except WeightsError as error:
        return str(error)
    return None


def make(kind: str) -> Path:
    """A file that is no caffemodel."""
    path = Path(f"file.{kind}")
    content = {
        "safetensors": (20).to_bytes(8, "little") + b'{"a":{}}' + bytes(40),
        "prototxt": b'name: "net"\nlayer { name: "a" type: "ReLU" bottom: "x" top: "y" }\n',
        "pkl": b"\x80\x02}q\x00." + bytes(60),
        "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n",
        "html": b"\n<!DOCTYPE html><html>404</html>",
        "empty": b"",
        "solverstate": pb.SolverState(iter=9, learned_net="n", history=[pb.BlobProto(data=[1])]).SerializeToString(),
        "mean": pb.BlobProto(num=1, channels=1, height=1, width=2, data=[1, 2]).SerializeToString(),
    }
    path.write_bytes(content.get(kind, b""))
    if kind == "onnx":
        onnx = pytest.importorskip("onnx")
        graph = onnx.helper.make_graph([], "g", [], [])
        path.write_bytes(onnx.helper.make_model(graph).SerializeToString())
    if kind == "pt":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("data.pkl", b"")
    return path


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("safetensors", "it is a safetensors file"),
        ("prototxt", "it is a text file; weights are binary"),
        ("pkl", "it is a Python pickle"),
        ("pt", "it is a zip archive, as PyTorch"),
        ("lfs", "it is a Git LFS pointer"),
        ("html", "it is a web page"),
        ("empty", r"it is empty \(0 bytes\)"),
        ("solverstate", "it is a solver state; train on from it with --snapshot"),
        ("mean", "it is a mean image"),
        ("onnx", "it is an ONNX model"),
    ],
)
def test_other_files_are_named(kind: str, expected: str) -> None:
    path = make(kind)
    with pytest.raises(
        WeightsError, match=rf"file\.{kind} is no weight file, {expected}.*accepted: a \.caffemodel of Caffe"
    ):
        load_net(NET, weights=path)


def test_missing_file_and_folder() -> None:
    with pytest.raises(WeightsError, match=r"cannot read the weights no\.caffemodel: No such file"):
        load_net(NET, weights="no.caffemodel")
    with pytest.raises(WeightsError, match=r"cannot read the weights .*: Is a directory"):
        load_net(NET, weights=Path.cwd())


def test_a_file_without_weights() -> None:
    Path("bare.caffemodel").write_bytes(pb.NetParameter(name="bare", layer=[{"name": "conv"}]).SerializeToString())
    with pytest.raises(WeightsError, match=r"holds no weights: none of its 1 layer\(s\) has blobs"):
        load_net(NET, weights="bare.caffemodel")


def test_every_truncation_is_told_or_loads_whole_layers() -> None:
    """Cut between two layers a file is a smaller file; cut anywhere else it is refused, with its size."""
    saved()
    whole = Path("net.caffemodel").read_bytes()
    refused = 0
    for length in range(1, len(whole), 3):
        Path("cut.caffemodel").write_bytes(whole[:length])
        net = load_net(NET, seed=5)
        before = blobs(net)
        message = refusal(net, "cut.caffemodel")
        if message:
            refused += 1
            assert same(blobs(net), before)
            assert "cut.caffemodel" in message
    assert refused > len(whole) / 3 - 5


def test_damaged_bytes_never_fail_otherwise() -> None:
    saved()
    whole = bytearray(Path("net.caffemodel").read_bytes())
    random = np.random.default_rng(1)
    net = load_net(NET)
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[random.integers(len(whole))] = random.integers(256)
        Path("damaged.caffemodel").write_bytes(damaged)
        message = refusal(net, "damaged.caffemodel")
        assert message is None or "damaged.caffemodel" in message


def test_damaged_hdf5() -> None:
    saved("net.h5")
    whole = Path("net.h5").read_bytes()
    net = load_net(NET)
    for length in range(8, len(whole), len(whole) // 20):
        Path("cut.h5").write_bytes(whole[:length])
        assert f"cut.h5 ({length} bytes) is damaged, or no file of Caffe" in str(refusal(net, "cut.h5"))
    h5py = pytest.importorskip("h5py")
    with h5py.File("other.h5", "w") as file:
        file["x"] = [1.0]
    assert "it has no group 'data'" in str(refusal(net, "other.h5"))
