"""Python: pycaffe's classes run, forward and backward, and only where they are allowed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from caffe_compat.api import load_net
from caffe_compat.errors import ExportError, NetError
from caffe_compat.export.lower import lower
from caffe_compat.layers import python_layer
from caffe_compat.layers.python_layer import allow_python

CODE = """
import caffe
import numpy as np

class EuclideanLoss(caffe.Layer):
    def setup(self, bottom, top):
        if len(bottom) != 2:
            raise Exception("Need two inputs")
    def reshape(self, bottom, top):
        self.diff = np.zeros_like(bottom[0].data)
        top[0].reshape(1)
    def forward(self, bottom, top):
        self.diff[...] = bottom[0].data - bottom[1].data
        top[0].data[...] = np.sum(self.diff ** 2) / bottom[0].num / 2.
    def backward(self, top, propagate_down, bottom):
        self.seen = (list(propagate_down), float(np.ravel(top[0].diff)[0]))
        for i, sign in enumerate((1, -1)):
            if propagate_down[i]:
                bottom[i].diff[...] = sign * self.diff / bottom[i].num * np.ravel(top[0].diff)[0]

class Scaled(object):
    def setup(self, bottom, top):
        self.factor = float(self.param_str)
        self.blobs.add_blob(bottom[0].channels)
        self.blobs[0].data[...] = 2
        self.phase_at_setup = self.phase
    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)
        top[1].reshape(bottom[0].num, 1)
    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data * self.blobs[0].data * self.factor
        top[1].data[...] = self.phase
    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = top[0].diff * self.blobs[0].data * self.factor
        self.blobs[0].diff[...] += (top[0].diff * bottom[0].data).sum(0) * self.factor

class Counter(caffe.Layer):
    def setup(self, bottom, top):
        self.count = 0
    def reshape(self, bottom, top):
        top[0].reshape(2 + self.count, 3)
    def forward(self, bottom, top):
        self.count += 1
        top[0].reshape(1 + self.count, 3)
        top[0].data[...] = self.count
        assert caffe.TEST == 1 and caffe.TRAIN == 0
    def backward(self, top, propagate_down, bottom):
        pass

class NoForward(caffe.Layer):
    pass

class NoBackward(Counter):
    backward = None
    def reshape(self, bottom, top):
        top[0].reshape(2, 3)
    def forward(self, bottom, top):
        pass

class Broken(caffe.Layer):
    def reshape(self, bottom, top):
        top[0].reshape(-1)
    def forward(self, bottom, top):
        pass

NOT_A_CLASS = 3
"""


@pytest.fixture(autouse=True)
def user_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module of this test's own; the allow list and the modules are as before afterwards."""
    (tmp_path / "my_python_layers.py").write_text(CODE)
    (tmp_path / "my_broken_module.py").write_text("import no_such_library_at_all")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(python_layer, "_ALLOWED", set())
    yield "my_python_layers"
    for name in ("my_python_layers", "my_broken_module"):
        sys.modules.pop(name, None)


def prototxt(
    layer: str, inputs: dict[str, str], tops: int = 1, param: str = "", more: str = "", module: str = "my_python_layers"
) -> str:
    """A net of inputs and the layer ``py`` with tops t0, t1, ...; ``param``: further fields of python_param."""
    lines = [
        f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}'
        for name, dims in inputs.items()
    ]
    wires = " ".join([f'bottom: "{name}"' for name in inputs] + [f'top: "t{i}"' for i in range(tops)])
    python_param = f'python_param {{ module: "{module}" layer: "{layer}" {param} }}'
    return "\n".join(
        ["force_backward: true", *lines, f'layer {{ name: "py" type: "Python" {wires} {python_param} {more} }}']
    )


def net_of(
    layer: str, inputs: dict[str, str], tops: int = 1, param: str = "", phase: str = "TRAIN", more: str = ""
) -> Any:
    allow_python("my_python_layers")
    return load_net(prototxt(layer, inputs, tops, param, more), phase=phase)


PAIR = {"a": "dim: 4 dim: 3", "b": "dim: 4 dim: 3"}


def test_a_loss_in_pycaffes_manner() -> None:
    net = net_of("EuclideanLoss", PAIR, more="loss_weight: 3")
    a, b = torch.randn(4, 3, requires_grad=True), torch.randn(4, 3, requires_grad=True)
    assert net.shapes["t0"] == (1,)
    net(a=a, b=b)
    net.loss.backward()
    expected = (a - b).square().sum() / 8
    torch.testing.assert_close(net.loss, 3 * expected)
    torch.testing.assert_close(a.grad, 3 * (a - b).detach() / 4)
    torch.testing.assert_close(b.grad, -3 * (a - b).detach() / 4)
    assert net.layer("py").user.seen == ([True, True], 3.0)


def test_a_bottom_without_gradient_is_not_asked_for() -> None:
    net = net_of("EuclideanLoss", PAIR, more="loss_weight: 1 propagate_down: true propagate_down: false")
    a = torch.randn(4, 3, requires_grad=True)
    net(a=a, b=torch.randn(4, 3))
    net.loss.backward()
    assert net.layer("py").user.seen == ([True, False], 1.0)


def test_backward_sees_the_values_of_its_own_pass() -> None:
    net = net_of("Scaled", {"a": "dim: 2 dim: 3"}, 2, 'param_str: "0.5"')
    first, second = torch.ones(2, 3), torch.full((5, 3), 7.0)
    top = net(a=first)["t0"]
    assert net(a=second)["t0"].shape == (5, 3)
    top.sum().backward()
    assert net.layer("py").blobs[0].grad.tolist() == [1, 1, 1]


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_parameter_blobs_param_str_and_phase(phase: str) -> None:
    net = net_of("Scaled", {"a": "dim: 2 dim: 3"}, 2, 'param_str: "0.5"', phase)
    layer = net.layer("py")
    assert layer.user.phase_at_setup == {"TRAIN": 0, "TEST": 1}[phase]
    assert [tuple(blob.shape) for blob in layer.blobs] == [(3,)]
    assert layer.blobs[0].tolist() == [2, 2, 2]
    assert list(net.state_dict()) == ["py.blob0"]
    x = torch.randn(2, 3, requires_grad=True)
    with torch.no_grad():
        layer.blobs[0].copy_(torch.tensor([1.0, 2.0, 3.0]))
    tops = net(a=x)
    torch.testing.assert_close(tops["t0"], x * layer.blobs[0] * 0.5)
    assert tops["t1"].unique().tolist() == [{"TRAIN": 0, "TEST": 1}[phase]]
    tops["t0"].sum().backward()
    torch.testing.assert_close(x.grad, layer.blobs[0].detach().expand(2, 3) * 0.5)
    torch.testing.assert_close(layer.blobs[0].grad, x.detach().sum(0) * 0.5)


def test_the_gradient_in_float64() -> None:
    net = net_of("Scaled", {"a": "dim: 2 dim: 3"}, 2, 'param_str: "0.5"').double()
    x = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: net(a=x)["t0"], x)


def test_a_data_layer_without_bottoms_may_change_its_shape() -> None:
    net = net_of("Counter", {})
    assert net.shapes["t0"] == (2, 3)
    assert [net()["t0"].shape[0] for _ in range(3)] == [2, 3, 4]
    assert net()["t0"].dtype == torch.float32


def test_the_stand_in_for_caffe_is_gone_afterwards() -> None:
    had = "caffe" in sys.modules
    net_of("Counter", {})
    assert ("caffe" in sys.modules) == had


def test_other_shapes_are_inferred_without_a_pass() -> None:
    layer = net_of("Scaled", {"a": "dim: 2 dim: 3"}, 2, 'param_str: "1"').layer("py")
    assert layer.top_shapes((6, 3)) == [(6, 3), (6, 1)]
    assert [tuple(top.shape) for top in layer(torch.empty(5, 3, device="meta"))] == [(5, 3), (5, 1)]


def test_nothing_is_imported_before_it_is_allowed() -> None:
    with pytest.raises(NetError, match=r"'Counter' of the Python module 'my_python_layers', which is not allowed"):
        load_net(prototxt("Counter", {}))
    with pytest.raises(NetError, match=r'allow_python\("my_python_layers"\) first, .*--allow-python my_python_layers'):
        load_net(prototxt("Counter", {}))
    assert "my_python_layers" not in sys.modules
    allow_python("my_python_layers.more", "another")
    with pytest.raises(NetError, match="not allowed"):
        load_net(prototxt("Counter", {}))


@pytest.mark.parametrize(
    ("layer", "module", "message"),
    [
        ("X", "no_such_module_here", r"module 'no_such_module_here' is not found; put its folder into PYTHONPATH"),
        ("X", "my_broken_module", r"importing the Python module 'my_broken_module' raised ModuleNotFoundError"),
        ("Nothing", "my_python_layers", r"has no class 'Nothing'; its classes: EuclideanLoss, Scaled, Counter"),
        ("NOT_A_CLASS", "my_python_layers", "has no class 'NOT_A_CLASS'"),
        ("NoForward", "my_python_layers", r"'NoForward' of 'my_python_layers' lacks forward\(self, bottom, top\)"),
        ("EuclideanLoss", "my_python_layers", r"setup raised Exception: Need two inputs \(.*_layers.py:8"),
        ("Broken", "my_python_layers", r"reshape\(-1,\): a size is negative"),
        ("", "my_python_layers", r"python_param needs the class to run"),
    ],
)  # fmt: skip
def test_refusals(layer: str, module: str, message: str) -> None:
    allow_python("my_python_layers", "my_broken_module", "no_such_module_here")
    with pytest.raises(NetError, match=message):
        load_net(prototxt(layer, {}, module=module))


def test_a_missing_backward_is_told_when_it_is_needed() -> None:
    net = net_of("NoBackward", {"a": "dim: 2 dim: 3"})
    x = torch.ones(2, 3, requires_grad=True)
    with pytest.raises(NetError, match="lacks backward, which this net needs"):
        net(a=x)["t0"].sum().backward()


def test_export_is_refused_with_advice() -> None:
    net = net_of("Scaled", {"a": "dim: 2 dim: 3"}, 2, 'param_str: "1"')
    with pytest.raises(ExportError, match=r"my_python_layers.Scaled is Python code of your own; leave it out"):
        lower(net)


def test_blobs_have_pycaffes_properties() -> None:
    blob = python_layer.PythonBlob((2, 3))
    assert (blob.num, blob.channels, blob.height, blob.width, blob.count) == (2, 3, 1, 1, 6)
    blob.data[...] = np.arange(6).reshape(2, 3)
    blob.reshape(np.int64(3), 2)
    assert blob.data.tolist() == [[0, 1], [2, 3], [4, 5]]
    blob.reshape(4)
    assert blob.data.tolist() == [0, 0, 0, 0]
    blob.reshape(1, 1, 1, 1, 1)
    with pytest.raises(NetError, match="at most 4 axes"):
        _ = blob.num
