"""Asked of every registered layer: what its class declares, its gradient, its ONNX form."""

from __future__ import annotations

import inspect
import json
from collections import Counter
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from caffe_compat.api import load_net
from caffe_compat.layers import LAYERS
from caffe_compat.layers.base import Layer
from caffe_compat.layers.create import default_fields
from caffe_compat.layers.fillers import Filler
from tests.conftest import DEFAULT_GOLDEN
from tests.golden.compare import difference
from tests.layers.examples import EXAMPLES, Example, different
from tests.onnx_run import OPSETS, lowered, run_onnx

OURS = sorted(name for name, cls in LAYERS.items() if cls.__module__.startswith("caffe_compat."))
AVAILABLE = [example for example in EXAMPLES if example.type in LAYERS]

SOURCES = {"AnnotatedData", "Data", "DummyData", "HDF5Data", "ImageData", "Input", "MemoryData", "WindowData"}
"""Layers without bottoms that bring the data in."""

NO_GOLDEN = {
    **dict.fromkeys(SOURCES, "a data layer: tested with the data bases under golden/files"),
    "HDF5Output": "writes a file: tested in test_hdf5_output with the one that Caffe wrote",
    "Python": "code of the user's own: tested in test_python_layer",
    "SMSoftmaxLoss": "no Caffe has it: tested against float64 and, at margin 0, against SoftmaxWithLoss",
}
NO_GRADIENT = {
    **dict.fromkeys(SOURCES, "a source"),
    "Accuracy": "a score",
    "ArgMax": "an index",
    "HDF5Output": "writes a file",
    "Python": "says its gradient itself: tested in test_python_layer",
    "Parameter": "has no bottom; its blob is the top (golden/layer/Parameter_basic)",
    "Silence": "has no top",
    "Threshold": "a step",
}


@cache
def golden_types() -> Counter[str]:
    """Layer type -> number of golden cases with it."""
    paths = [path for group in ("layer", "fuzz") for path in (DEFAULT_GOLDEN / group).glob("*.npz")]
    return Counter(name for path in paths for name in json.loads(str(np.load(path)["meta"]))["layer_types"])


# ---- what the class declares


@pytest.mark.parametrize("name", OURS)
def test_docstring_tells_formula_bottoms_and_tops(name: str) -> None:
    text = LAYERS[name].__doc__ or ""  # not inspect.getdoc: it would find the one of Layer
    assert text, "the class has no docstring of its own: formula, bottoms, tops, parameters, refusals"
    assert "top" in text.lower()
    assert "bottom" in text.lower() or LAYERS[name].bottoms.most == 0


@pytest.mark.parametrize("name", OURS)
def test_constructor_takes_the_fields_of_the_schema_with_its_defaults(name: str) -> None:
    cls = LAYERS[name]
    fields = {key: value for block in cls.blocks for key, value in default_fields(block).items() if key != "engine"}
    parameters = dict(inspect.signature(cls).parameters)
    assert set(parameters) == set(fields)
    for key, parameter in parameters.items():
        assert is_default(parameter.default, fields[key]), f"{key}={parameter.default!r}, schema: {fields[key]!r}"


def is_default(ours: Any, schema: Any) -> bool:
    """None stands for a field that is not set; the constant filler 0 is what Caffe takes without a filler.

    The schema's floats are float32.
    """
    if schema is None:
        return ours in (None, (), [], Filler(), 0, 0.0, False, "")
    return ours is None or ours == schema or (isinstance(ours, float) and bool(np.float32(ours) == np.float32(schema)))


@pytest.mark.parametrize("name", OURS)
def test_has_golden_cases(name: str) -> None:
    assert golden_types()[name] or name in NO_GOLDEN, (
        "no golden case has this type; if it is none of BVLC Caffe's, add it to NO_GOLDEN with what tests it instead"
    )


@pytest.mark.parametrize("name", OURS)
def test_export_verdict(name: str) -> None:
    cls = LAYERS[name]
    assert cls.lower is not Layer.lower or cls.export_note or name in SOURCES, "neither lower() nor an export_note"


@pytest.mark.parametrize("name", OURS)
def test_has_an_example(name: str) -> None:
    rows = {example.type for example in EXAMPLES}
    assert name in rows or name in NO_GRADIENT, "add a row to tests/layers/examples.py"


@pytest.mark.parametrize("name", sorted({example.type for example in EXAMPLES}))
def test_an_example_is_of_a_registered_type(name: str) -> None:
    assert name in LAYERS, "tests/layers/examples.py has a row, but no class has @register_layer of this type"


# ---- gradients


@pytest.mark.parametrize("example", [example for example in AVAILABLE if example.checked], ids=str)
def test_gradient_is_the_derivative(example: Example) -> None:
    """Central differences in float64 along random directions, for every bottom and blob alone."""
    net = net_of(example).double()
    inputs = {name: value.double() for name, value in example.inputs().items()}
    varied = {name: inputs[name] for name, b in zip(inputs, example.bottoms, strict=True) if b.differentiable}
    varied |= {param.layer + str(param.index): param.tensor for param in learning(net)}
    value_of(net, inputs, example, grad_of=varied)
    for name, tensor in varied.items():
        gradient = torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
        check_directions(name, tensor, gradient, lambda: value_of(net, inputs, example))


def net_of(example: Example, batch: int | None = None, phase: str | None = None) -> Any:
    """The net of an example; its blobs get values that are all different, statistics positive ones."""
    net = load_net(example.prototxt(batch), phase=phase or example.phase, seed=1)
    with torch.no_grad():
        for name, blob in zip(net.layer("l").blob_names, net.layer("l").blobs, strict=True):
            values = different(tuple(blob.shape))
            blob.copy_(values if name in dict(net.layer("l").named_parameters()) else values.abs() + 0.3)
    return net


def learning(net: Any) -> list[Any]:
    return [param for param in net.learnable if param.tensor.requires_grad]


def value_of(net: Any, inputs: dict[str, torch.Tensor], example: Example, grad_of: Any = None) -> float:
    """A weighted sum of the tops, and, when asked, its gradient at the tensors ``grad_of``."""
    for tensor in (grad_of or {}).values():
        tensor.requires_grad_()
    tops = net(**inputs)
    total = sum((tops[f"t{i}"] * different(tuple(tops[f"t{i}"].shape)).double()).sum() for i in example.checked)
    if grad_of is not None:
        total.backward()
    return float(total.detach())


def check_directions(name: str, tensor: torch.Tensor, gradient: torch.Tensor, value: Any) -> None:
    step = 1e-5
    for seed in range(3):
        direction = torch.randn(tensor.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        with torch.no_grad():
            tensor.add_(direction, alpha=step)
            above = value()
            tensor.sub_(direction, alpha=2 * step)
            below = value()
            tensor.add_(direction, alpha=step)
        slope, ours = (above - below) / (2 * step), float((gradient * direction).sum())
        allowed = 1e-6 * max(abs(slope), float(gradient.norm())) + 1e-8
        assert abs(slope - ours) <= allowed, f"{name}: gradient gives {ours}, central difference {slope}"


# ---- deployment


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("example", AVAILABLE, ids=str)
def test_onnx_computes_the_same_at_any_batch_size(example: Example, opset: int) -> None:
    """One model with a symbolic batch, run with other batch sizes than the prototxt's."""
    net = net_of(example, phase="TEST")
    model = lowered(net, opset)
    assert model.batch == "N"
    for batch in (None, 1, 3):
        inputs = example.inputs(batch)
        expected = net(**inputs)
        for name, values in run_onnx(model, inputs).items():
            problem = difference(values, expected[name].detach().numpy(), 1e-5)
            assert problem is None, f"batch {batch}, {name}: {problem}"
