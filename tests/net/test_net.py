"""The net as a torch module: inputs, types, names, copies, state."""

from __future__ import annotations

import copy
import io
import pickle
import threading
from pathlib import Path

import pytest
import torch
from torch import nn

from caffe_compat import IgnoredFieldWarning, export_onnx, load_net
from caffe_compat.errors import NetError, PrototxtError
from caffe_compat.net import Net
from caffe_compat.weights import load_weights, save_caffemodel
from tests.net.making import FILL, build, fc, layer, random, source
from tests.solver.making import make_experiment

SIZES = (2, 3, 8, 8)
BODY = [
    source("data", SIZES), source("label", (2,)),
    layer("conv", "Convolution", "data", "conv", f"convolution_param {{ num_output: 4 kernel_size: 3 {FILL} }}"),
    layer("bn", "BatchNorm", "conv", "conv"), layer("relu", "ReLU", "conv", "conv"), fc("fc", "conv", 5),
    layer("loss", "SoftmaxWithLoss", "fc label", "loss"),
]  # fmt: skip
DATA, LABELS = random(*SIZES), torch.tensor([1.0, 4.0])


def net(phase: str = "TRAIN", **options: object) -> Net:
    return build(*BODY, phase=phase, **options)


def loss(made: Net) -> float:
    return float(made(DATA.to(made.layer("fc").weight.dtype), LABELS)["loss"].detach())


# ---- inputs

INPUTS = [
    (DATA.to(torch.uint8), LABELS, r"layer 'conv' .*bottom 'data' holds uint8; accepted: floating-point numbers"),
    (DATA.long(), LABELS, "bottom 'data' holds int64"),
    (DATA > 0, LABELS, "bottom 'data' holds bool"),
    (DATA.double(), LABELS, r"holds float64, the layer's blobs are float32; convert one: data.to\(torch.float32\)"),
    (DATA.half(), LABELS, "holds float16, the layer's blobs are float32"),
    (DATA.tolist(), LABELS, "data is a list; accepted: a torch tensor, or a numpy array"),
    (None, LABELS, "data is a NoneType"),
    (DATA[0], LABELS, r"layer 'conv' \(Convolution\), <text>:5:1: the bottom has shape \[3, 8, 8\]; accepted: 4 axes"),
    (random(2, 4, 8, 8), LABELS, "the bottom has shape"),
    (random(2, 3, 5, 5), LABELS, "layer 'fc' .*the weights take 144 inputs per item, the bottom has 36"),
    (DATA, LABELS[:1], "layer 'loss' .*1 labels"),
    (DATA, LABELS + 9, "layer 'loss' .*label 10 .*accepted: 0 to 4"),
    (DATA, LABELS * float("nan"), "layer 'loss' .*label nan"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "label", "expected"), INPUTS)
def test_wrong_inputs(data: torch.Tensor, label: torch.Tensor, expected: str) -> None:
    with pytest.raises(NetError, match=expected):
        net()(data, label)


def test_wrong_names_and_numbers() -> None:
    made = net()
    takes = r"the net takes data \[2, 3, 8, 8\], label \[2\]"
    with pytest.raises(NetError, match=rf"input\(s\) missing: label; {takes}"):
        made(DATA)
    with pytest.raises(NetError, match=rf"unknown input\(s\): labels; {takes}"):
        made(DATA, LABELS, labels=LABELS)
    with pytest.raises(NetError, match=r"the net takes 2 input\(s\) .*found 3"):
        made(DATA, LABELS, LABELS)
    with pytest.raises(NetError, match=r"given twice, by place and by name: data"):
        made(DATA, data=DATA, label=LABELS)


@pytest.mark.parametrize(
    "label", [LABELS.long(), LABELS.byte(), LABELS.double(), LABELS[:, None], LABELS.view(2, 1, 1, 1)]
)
def test_labels_of_any_type(label: torch.Tensor) -> None:
    assert float(net("TEST")(DATA, label)["loss"].detach()) == loss(net("TEST"))


def test_layouts_in_memory() -> None:
    expected = loss(net("TEST"))
    permuted = DATA.permute(2, 3, 0, 1).contiguous().permute(2, 3, 0, 1)
    for data in (DATA.to(memory_format=torch.channels_last), permuted):
        assert float(net("TEST")(data, LABELS)["loss"].detach()) == pytest.approx(expected)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-5), (torch.bfloat16, 0.1), (torch.float16, 0.02)])
def test_other_types(dtype: torch.dtype, tolerance: float) -> None:
    made = net("TEST").to(dtype)
    assert float(made(DATA.to(dtype), LABELS)["loss"].detach()) == pytest.approx(loss(net("TEST")), rel=tolerance)
    made.loss.backward()
    assert made.layer("fc").weight.grad.dtype == dtype


@pytest.mark.parametrize("device", ["gpu0", "cuda:99"])
def test_a_device_that_is_not_there(device: str) -> None:
    with pytest.raises(NetError, match=f"device '{device}' is not there .*accepted: cpu, cuda, cuda:N, meta"):
        net(device=device)


def test_compiled() -> None:
    made = torch.compile(net("TEST"), backend="eager", fullgraph=True)
    assert float(made(DATA, LABELS)["loss"].detach()) == loss(net("TEST"))


def test_threads() -> None:
    made, expected, found = net("TEST"), loss(net("TEST")), []
    threads = [threading.Thread(target=lambda: found.append(loss(made))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4


# ---- copies and state


def saved(made: Net) -> Net:
    file = io.BytesIO()
    torch.save(made.state_dict(), file)
    file.seek(0)
    other = build(*BODY, phase="TRAIN", seed=2)
    other.load_state_dict(torch.load(file))
    return other


@pytest.mark.parametrize("copier", [copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made)), saved])
def test_copies_after_a_pass(copier) -> None:  # type: ignore[no-untyped-def]
    """Equal, and independent of the original."""
    made = net()
    loss(made)
    other = copier(made)
    assert loss(other) == loss(made)
    other.loss.backward()
    assert made.layer("fc").weight.grad is None
    with torch.no_grad():
        other.layer("fc").weight.zero_()
    assert float(made.layer("fc").weight.abs().sum()) > 0
    assert other.learnable[-2].tensor is other.layer("fc").weight


def test_copies_of_a_net_with_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy reads on from where the original is, on its own."""
    make_experiment(tmp_path)
    monkeypatch.chdir(tmp_path)
    made = load_net(Path("net.prototxt"), seed=1)
    made()
    other, third = copy.deepcopy(made), pickle.loads(pickle.dumps(made))
    assert float(made()["loss"]) == float(other()["loss"]) == float(third()["loss"])
    made.sources["data"].close()
    assert other.sources["data"].position == 2
    other()


def test_meta_then_memory() -> None:
    made = net(device="meta").to_empty(device="cpu")
    made.load_state_dict(net().state_dict())
    assert loss(made) == loss(net())


# ---- names

NAMES = ["loss", "forward", "train", "weight", "nodes", "training", "blobs", "inputs", "outputs", "_modules", "1",
         "a b", "a.b", "a/b", "", "Ördner", "x" * 3000]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name[:10]))
def test_any_layer_name(tmp_path: Path, name: str) -> None:
    layers = [text.replace('"loss" type', '"the_loss" type').replace('"conv" type', f'"{name}" type') for text in BODY]
    made = build(*layers, phase="TRAIN")
    loss(made)
    made.loss.backward()
    keys = [key for key in made.state_dict() if not key.startswith(("bn.", "fc."))]
    assert len(keys) == 2
    assert all(made.get_submodule(key) is module for key, module in made.named_modules() if key)
    copy.deepcopy(made).load_state_dict(made.state_dict())
    save_caffemodel(made, tmp_path / "x.caffemodel")
    other = build(*layers, seed=3)
    load_weights(other, tmp_path / "x.caffemodel")
    assert torch.equal(other.layer(name).weight, made.layer(name).weight)
    assert isinstance(made.blobs, dict)
    assert made.loss.dim() == 0


def test_keys_of_the_state() -> None:
    assert list(net().state_dict()) == [
        "conv.weight", "conv.bias", "bn.mean", "bn.variance", "bn.scale_factor", "fc.weight", "fc.bias",
    ]  # fmt: skip
    assert isinstance(net().get_submodule("conv"), nn.Module)


def test_layers_of_one_name_keep_their_own_weights(tmp_path: Path) -> None:
    """Caffe would put the second layer's weights of a file into the first."""
    layers = [source(sizes=(2, 3)), fc("x", "data", 3), fc("y", "x", 3).replace('name: "y"', 'name: "x"')]
    made, other = build(*layers, seed=1), build(*layers, seed=2)
    assert list(made.state_dict()) == ["x.weight", "x.bias", "x_2.weight", "x_2.bias"]
    save_caffemodel(made, tmp_path / "x.caffemodel")
    load_weights(other, tmp_path / "x.caffemodel")
    assert torch.equal(made(random(2, 3))["y"], other(random(2, 3))["y"])


def test_an_unknown_layer() -> None:
    with pytest.raises(NetError, match="the net has no layer 'con'; layers: data, label, conv"):
        net().layer("con")


# ---- reading


def test_a_long_line_of_text_is_no_file_name() -> None:
    text = "".join(BODY).replace("\n", " ")
    assert len(text) > 255
    assert load_net(text).outputs == ["loss"]


def test_an_error_tells_the_notes_of_the_file() -> None:
    with pytest.raises(NetError, match=r"kernel_size is not given(?s:.*)note: .*unknown field 'kernal_size'"):
        build(*[text.replace("kernel_size", "kernal_size") for text in BODY])


@pytest.mark.parametrize("content", ["", " \n", "# nothing\n"])
def test_an_empty_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.prototxt").write_text(content)
    with pytest.raises(PrototxtError, match=r"x\.prototxt is empty"):
        load_net(tmp_path / "x.prototxt")


def test_a_net_without_layers() -> None:
    made = load_net('name: "x"\nforce_backward: false')
    assert made() == {}
    assert float(made.loss) == 0


def test_numpy_arrays_are_taken_as_float32() -> None:
    made = net()
    expected = made(data=DATA, label=LABELS)
    found = made(data=DATA.double().numpy(), label=LABELS.numpy().astype("int64"))
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_an_empty_batch_passes_where_the_prototxt_has_a_row() -> None:
    """As in Caffe, whose blobs keep the memory that they once had."""
    text = 'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: ROWS dim: 3 } } }\n'
    text += 'layer { name: "relu" type: "ReLU" bottom: "x" top: "y" }'
    assert load_net(text.replace("ROWS", "2"))(torch.zeros(0, 3))["y"].shape == (0, 3)
    made = load_net(text.replace("ROWS", "0"))
    assert made(torch.ones(1, 3))["y"].shape == (1, 3)
    with pytest.raises(NetError, match=r"layer 'in' \(Input\), <text>:1:1: .* 'x' the shape \[0, 3\].* sizes of 1 or"):
        made(torch.zeros(0, 3))


def test_an_unknown_field_is_never_ignored_silently(tmp_path: Path) -> None:
    text = 'input: "x" input_shape { dim: 1 dim: 3 }\n'
    text += 'layer { name: "a" type: "ReLU" bottom: "x" top: "y" relu_param { negative_slop: 0.1 } }'
    with pytest.warns(IgnoredFieldWarning, match=r"<text>:2:.* unknown field 'negative_slop' .*did you mean") as told:
        load_net(text)
    assert told[0].filename == __file__
    with pytest.warns(IgnoredFieldWarning, match="negative_slop"):
        export_onnx(text, tmp_path / "net.onnx")
    with pytest.raises(PrototxtError, match="negative_slop"):
        load_net(text, strict=True)
