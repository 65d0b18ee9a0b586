"""Weights by layer name: what fits, what is refused and how, old forms, damaged files."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from caffe_compat.api import load_net
from caffe_compat.errors import WeightsError
from caffe_compat.proto import pb
from caffe_compat.weights import load_weights, read_caffemodel, save_caffemodel
from caffe_compat.weights.wire import fields

NET = """
name: "tiny"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 dim: 5 dim: 5 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 3 kernel_size: 3 weight_filler { type: "gaussian" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
  inner_product_param { num_output: 4 weight_filler { type: "gaussian" } bias_filler { type: "uniform" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "fc" bottom: "fc" }
"""
SIZES = {"conv": 54, "bn": 3, "fc": 108}


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


SUFFIXES = ["", ".h5"]


def blobs(net: Any) -> dict[str, np.ndarray]:
    return {
        f"{node.name}.{index}": blob.detach().numpy().copy()
        for node in net.nodes
        for index, blob in enumerate(node.layer.blobs)
    }


def same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> bool:
    return all(np.array_equal(first[key], second[key]) for key in first)


def saved(name: str = "net.caffemodel") -> Any:
    net = load_net(NET, seed=1)
    save_caffemodel(net, name)
    return net


def edited(name: str, **fields: Any) -> Path:
    """The saved file with its first blob of ``fc`` changed."""
    message = read_caffemodel("net.caffemodel")
    blob = next(layer for layer in message.layer if layer.name == "fc").blobs[0]
    for field, value in fields.items():
        if field == "dim":
            blob.shape.dim[:] = value
        else:
            blob.ClearField(field)
            getattr(blob, field).extend(value)
    Path(name).write_bytes(message.SerializeToString())
    return Path(name)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_round_trip(suffix: str) -> None:
    net = saved("net.caffemodel" + suffix)
    other = load_net(NET, weights="net.caffemodel" + suffix, seed=2)
    assert same(blobs(net), blobs(other))


SHARED = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" param { name: "w" } param { }
  inner_product_param { num_output: 3 weight_filler { type: "gaussian" } bias_filler { type: "gaussian" } } }
layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" param { name: "w" } param { }
  inner_product_param { num_output: 3 bias_filler { type: "gaussian" } } }
"""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_shared_blobs(suffix: str) -> None:
    """HDF5 holds a shared blob once; in a net that does not share it, it is missing."""
    net = load_net(SHARED, seed=1)
    save_caffemodel(net, "shared" + suffix)
    assert same(blobs(net), blobs(load_net(SHARED, weights="shared" + suffix, seed=2)))
    apart = SHARED.replace('param { name: "w" }', "param { }")
    if not suffix:
        assert same(blobs(net), blobs(load_net(apart, weights="shared")))
        return
    with pytest.raises(WeightsError, match=r"layer 'b' has 1 blob\(s\) in the file, 2 in the net"):
        load_net(apart, weights="shared.h5")


def test_hdf5_is_refused_where_caffe_refuses_it() -> None:
    with pytest.raises(WeightsError, match=r"layer 'fc/1' .*: HDF5 cannot store a layer of this name"):
        save_caffemodel(load_net(NET.replace('name: "fc"', 'name: "fc/1"')), "net.h5")
    assert not Path("net.h5").exists()
    saved("net.h5")
    with pytest.raises(WeightsError, match=r"layer 'fc' has shape \[4, 27\] in the file, \[6, 27\] in the net"):
        load_net(NET.replace("num_output: 4", "num_output: 6"), weights="net.h5")


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


def test_saved_file_is_as_caffes() -> None:
    """Phase, loss weight and the statistics' lr_mult are filled in; layers without blobs are there."""
    saved()
    message = pb.NetParameter.FromString(Path("net.caffemodel").read_bytes())
    assert message.name == "tiny"
    assert [layer.name for layer in message.layer] == ["data", "conv", "bn", "fc", "loss"]
    assert {layer.phase for layer in message.layer} == {1}
    assert list(message.layer[-1].loss_weight) == [1]
    assert [spec.lr_mult for spec in message.layer[2].param] == [0, 0, 0]
    assert [tuple(blob.shape.dim) for blob in message.layer[3].blobs] == [(4, 27), (4,)]


def test_saved_file_equals_caffes_own(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A net with data layer, loss and statistics, loaded from Caffe's file and saved again: the same message."""
    monkeypatch.chdir(shared / "golden" / "files" / "snapshot_sgd_binaryproto")
    source = Path("snap_iter_5.caffemodel").resolve()
    net = load_net("net.prototxt", phase="TRAIN", weights=source)
    out = tmp_path / "again.caffemodel"
    save_caffemodel(net, out)
    ours, caffes = (pb.NetParameter.FromString(path.read_bytes()) for path in (out, source))
    assert ours == caffes


def test_golden_old_forms(shared: Path) -> None:
    folder = shared / "golden" / "files" / "weights_legacy"
    expected = np.load(folder / "expected.npz")
    for key in expected.files:
        name, _, blob = key.partition(":param.")
        net = load_net(folder / "net.prototxt", weights=folder / name)
        assert np.array_equal(blobs(net)[blob], expected[key]), key


def test_report() -> None:
    saved()
    net = load_net(NET.replace('"fc" type', '"fc_new" type').replace('name: "loss"', 'name: "l"'))
    before = blobs(net)
    report = load_weights(net, "net.caffemodel")
    assert (report.loaded, report.ignored, report.untouched) == (["conv", "bn"], ["fc"], ["fc_new"])
    assert "ignored (the net has no such layer): 'fc'" in str(report)
    assert np.array_equal(blobs(net)["fc_new.0"], before["fc_new.0"])


def cut_between_layers(source: str, out: str, missing: str) -> None:
    """The first bytes of a file, up to the layer ``missing``: a whole file of fewer layers."""
    data = Path(source).read_bytes()
    end = 0
    for field in fields(memoryview(data)):
        if field.number == 100 and pb.LayerParameter.FromString(bytes(field.content)).name == missing:
            break
        end += len(field.whole)
    Path(out).write_bytes(data[:end])


def test_a_file_cut_between_two_layers_is_told() -> None:
    """It looks whole, but a net to be used lacks a layer. In TRAIN a new layer is what fine-tuning means."""
    saved()
    cut_between_layers("net.caffemodel", "cut.caffemodel", "fc")
    with pytest.warns(UserWarning, match=r"cut.caffemodel: 2 layer\(s\) loaded; left as they are .*'fc'"):
        net = load_net(NET, weights="cut.caffemodel")
    assert net.load_report.untouched == ["fc"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_net(NET, phase="TRAIN", weights="cut.caffemodel").load_report.untouched == ["fc"]
        assert load_net(NET, weights="net.caffemodel").load_report.loaded == ["conv", "bn", "fc"]
        assert load_net(NET).load_report is None


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_layer_that_shares_all_its_blobs_is_not_told_of(suffix: str) -> None:
    """HDF5 stores them with their owner."""
    second = 'layer { name: "fc2" type: "InnerProduct" bottom: "conv" param { name: "w" } param { name: "b" } top: "x"'
    text = NET.replace('top: "fc"', 'top: "fc" param { name: "w" } param { name: "b" }')
    text += f"{second} inner_product_param {{ num_output: 4 }} }}"
    save_caffemodel(load_net(text, seed=1), f"net.caffemodel{suffix}")
    assert load_weights(load_net(text), f"net.caffemodel{suffix}").untouched == []
    owner = load_net(NET)
    save_caffemodel(owner, f"owner.caffemodel{suffix}")
    assert load_weights(load_net(text), f"owner.caffemodel{suffix}").untouched == []


def test_several_files_the_last_wins() -> None:
    for seed in (1, 2):
        save_caffemodel(load_net(NET, seed=seed), f"{seed}.caffemodel")
    expected = blobs(load_net(NET, seed=2))
    assert same(blobs(load_net(NET, weights="1.caffemodel,2.caffemodel")), expected)
    assert same(blobs(load_net(NET, weights=["1.caffemodel", Path("2.caffemodel")])), expected)


def test_of_two_layers_with_one_name_the_first_is_loaded() -> None:
    saved()
    twice = NET.replace('top: "fc"', 'top: "f1"') + NET[NET.index('layer { name: "fc"') :]
    net = load_net(twice.replace('bottom: "fc" bottom: "fc" }\nlayer', 'bottom: "f1" bottom: "f1" }\nlayer', 1), seed=3)
    first, second = (node.layer for node in net.nodes if node.name == "fc")
    load_weights(net, "net.caffemodel")
    expected = blobs(load_net(NET, weights="net.caffemodel"))["fc.0"]
    assert np.array_equal(first.weight.detach().numpy(), expected)
    assert not np.array_equal(second.weight.detach().numpy(), expected)


def test_other_shape_is_refused_and_changes_nothing() -> None:
    saved()
    net = load_net(NET.replace("num_output: 4", "num_output: 6"), seed=2)
    before = blobs(net)
    with pytest.raises(
        WeightsError, match=r"'weight' of layer 'fc' has shape \[4, 27\] in the file, \[6, 27\] in the net"
    ):
        load_weights(net, "net.caffemodel")
    assert same(blobs(net), before)


def test_other_number_of_blobs_is_refused() -> None:
    saved()
    with pytest.raises(
        WeightsError, match=r"layer 'fc' has 2 blob\(s\) in the file, 1 in the net \(weight\).*another name"
    ):
        load_net(NET.replace("num_output: 4", "num_output: 4 bias_term: false"), weights="net.caffemodel")


def test_nothing_in_common_is_refused() -> None:
    saved()
    net = NET.replace('"conv" type', '"a" type').replace('"bn" type', '"b" type').replace('"fc" type', '"c" type')
    with pytest.raises(
        WeightsError, match=r"no layer of the file has the name of a layer of the net.*'conv', 'bn', 'fc'"
    ):
        load_net(net, weights="net.caffemodel")


def test_count_and_shape_must_agree() -> None:
    saved()
    with pytest.raises(WeightsError, match=r"shape \[4, 27\], but the file holds 2 values"):
        load_net(NET, weights=edited("short.caffemodel", data=[1, 2]))


@pytest.mark.parametrize(("dim", "fits"), [((4, 27), True), ((1, 1, 4, 27), False), ((27, 4), False), ((108,), False)])
def test_a_modern_shape_must_be_equal(dim: tuple[int, ...], fits: bool) -> None:
    saved()
    path = edited("shape.caffemodel", dim=dim)
    if fits:
        load_net(NET, weights=path)
    else:
        with pytest.raises(WeightsError, match="in the file"):
            load_net(NET, weights=path)


def test_doubles_win_over_floats() -> None:
    saved()
    net = load_net(NET, weights=edited("double.caffemodel", double_data=[0.5] * 108))
    assert np.all(blobs(net)["fc.0"] == 0.5)


def test_a_loaded_net_trains_and_its_parameters_are_its_own() -> None:
    saved()
    net = load_net(NET, weights="net.caffemodel")
    Path("net.caffemodel").unlink()
    with torch.no_grad():
        net.layer("fc").weight.add_(1)
    assert net.layer("fc").weight.requires_grad


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


def test_layers_of_two_forms_in_one_file_are_refused() -> None:
    saved()
    message = pb.NetParameter.FromString(Path("net.caffemodel").read_bytes())
    message.layers.add(name="conv").blobs.add(data=[1.0])
    Path("both.caffemodel").write_bytes(message.SerializeToString())
    with pytest.raises(WeightsError, match="layers of the old form and of the current one"):
        load_net(NET, weights="both.caffemodel")


def test_whole_numbers_in_hdf5_are_read() -> None:
    """As Caffe reads them."""
    h5py = pytest.importorskip("h5py")
    saved("net.caffemodel.h5")
    with h5py.File("net.caffemodel.h5", "r+") as content:
        del content["data/fc/1"]
        content["data/fc/1"] = np.arange(4, dtype="i8")
    assert blobs(load_net(NET, weights="net.caffemodel.h5"))["fc.1"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["nodir/x.caffemodel", "nodir/x.caffemodel.h5", "."])
def test_where_no_weights_can_be_written_is_a_weights_error(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    net = load_net('layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }')
    with pytest.raises(WeightsError, match="cannot write"):
        save_caffemodel(net, name)
