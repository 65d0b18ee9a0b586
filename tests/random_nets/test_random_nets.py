"""A short run of the drawn nets, always the same ones, and the tools that draw and compare them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings

from caffe_compat.layers import LAYERS
from tests.random_nets.case import Case
from tests.random_nets.checks import CHECKS, check
from tests.random_nets.draw import SOURCES, nets
from tests.random_nets.proposals import PROPOSALS

SHORT = settings(
    max_examples=75, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


@SHORT
@given(nets())
def test_drawn_nets(case: Case) -> None:
    check(case)


def test_every_layer_type_is_drawn() -> None:
    """Python's fields name code: it is tested in tests/layers/test_python_layer.py."""
    ours = {name for name, cls in LAYERS.items() if cls.__module__.startswith("caffe_compat.")}
    assert ours <= set(PROPOSALS) | set(SOURCES) | {"Python"}


SMALL = """# phase: TRAIN
# blobs: ties
# b1: labels 3
layer { name: "b0" type: "Input" top: "b0" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "b1" type: "Input" top: "b1" input_param { shape { dim: 2 } } }
layer { name: "l0" type: "InnerProduct" bottom: "b0" top: "t0" inner_product_param { num_output: 3 } }
layer { name: "l1" type: "SoftmaxWithLoss" bottom: "t0" bottom: "b1" top: "t1" }
"""


def test_a_case_is_read_from_its_own_text() -> None:
    case = Case.read(SMALL)
    assert (case.phase, case.blobs, case.values) == ("TRAIN", "ties", {"b1": "labels 3"})
    assert Case.read(str(case)) == case
    check(case)


def test_a_wrong_gradient_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx: object, x: torch.Tensor) -> torch.Tensor:
            return x.tanh()

        @staticmethod
        def backward(ctx: object, grad: torch.Tensor) -> torch.Tensor:
            return grad

    monkeypatch.setattr(LAYERS["TanH"], "forward", lambda self, x: Wrong.apply(x))
    case = Case.read(SMALL.replace('"InnerProduct"', '"TanH"').replace("inner_product_param { num_output: 3 }", ""))
    with pytest.raises(AssertionError, match="gradient of b0"):
        CHECKS["gradient_is_the_derivative"](case)


def test_a_wrong_onnx_form_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LAYERS["InnerProduct"], "lower", lambda self, g, x: g.op("MatMul", x, g.param(self.weight)))
    with pytest.raises(AssertionError, match="opset 13, batch None"):
        CHECKS["onnx_computes_the_same"](Case.read(SMALL))
