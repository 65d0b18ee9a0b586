"""Weights by layer name: what fits, what is refused and how, old forms."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from caffe_compat.api import load_net
from caffe_compat.errors import WeightsError
from caffe_compat.proto import pb
from caffe_compat.weights import load_weights, save_caffemodel
from caffe_compat.weights.wire import fields
from tests.weights.making import NET, SUFFIXES, blobs, edited, same, saved


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
