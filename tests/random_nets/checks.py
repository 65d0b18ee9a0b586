"""What must hold for every net. Each check raises AssertionError; ``check`` puts the prototxt below it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from caffe_compat.api import load_net
from caffe_compat.errors import CaffeCompatError, ExportError, NetError
from caffe_compat.export import deploy_net
from caffe_compat.export.dims import with_batch
from caffe_compat.export.folding import fold_scales
from caffe_compat.export.lower import lower
from caffe_compat.net import Net
from caffe_compat.proto import print_text, read_net
from caffe_compat.weights import load_weights, save_caffemodel
from tests.onnx_run import OPSETS, run_onnx
from tests.random_nets.case import Case
from tests.random_nets.compare import same, shaken
from tests.random_nets.derivative import Slopes, exempt, finds_the_top
from tests.random_nets.draw import counts

CHECKS: dict[str, Callable[[Case], None]] = {}


def of_all(check: Callable[[Case], None]) -> Callable[[Case], None]:
    CHECKS[check.__name__] = check
    return check


def check(case: Case) -> None:
    """All checks of a case."""
    counts["nets"] += 1
    for name, one in CHECKS.items():
        try:
            one(case)
        except Exception as error:
            raise AssertionError(f"{name}: {type(error).__name__}: {error}\n\n{case}") from error


def run(net: Net, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return net(**{name: value.clone() for name, value in inputs.items()})


def everything(case: Case, net: Net) -> dict[str, Any]:
    """Outputs, loss, gradients of inputs and blobs, and what the pass changed."""
    leaves = {name: value.requires_grad_() for name, value in case.inputs(net).items()}
    torch.manual_seed(0)
    outputs = net(**{name: value.view_as(value) for name, value in leaves.items()})
    objective = net.loss
    if not any(node.is_loss for node in net.nodes):
        weights = {name: torch.arange(top.numel()).view(top.shape).cos() for name, top in outputs.items()}
        objective = sum((top * weights[name]).sum() for name, top in outputs.items())
    found: dict[str, Any] = {**outputs, "loss": net.loss}
    if isinstance(objective, Tensor) and objective.requires_grad:
        objective.backward()
    tensors = {**leaves, **{f"blob {i}": param.tensor for i, param in enumerate(net.learnable)}}
    found |= {f"gradient of {name}": zeros_for_none(tensor) for name, tensor in tensors.items()}
    return found | {f"changed {name}": buffer for name, buffer in net.named_buffers()}


def zeros_for_none(tensor: Tensor) -> Tensor:
    return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad


# ---- torch


@of_all
def keeping_blobs_changes_nothing(case: Case) -> None:
    plain, keeping = case.net(), case.net()
    keeping.keep_blobs = True
    expected = everything(case, keeping)
    if case.rough:
        return
    same("with keep_blobs and without", everything(case, plain), expected, 2e-5)


@of_all
def working_in_place_changes_nothing(case: Case) -> None:
    message = read_net(case.body).message
    names: dict[str, str] = {}
    renamed = False
    for index, layer in enumerate(message.layer):
        bottoms = list(layer.bottom)
        layer.bottom[:] = [names.get(name, name) for name in bottoms]
        for i, top in enumerate(layer.top):
            if top in bottoms:
                names[top] = layer.top[i] = f"{top} made by {index}"
                renamed = True
    if not renamed or case.rough or any(finds_the_top(node) for node in case.net().nodes):
        return
    back = {new: old for old, new in names.items()}
    ours = everything(case, case.net())
    found = everything(case, case.net(text=print_text(message)))
    other = {back.get(name, name): value for name, value in found.items()}
    assert set(ours) == set(other)
    same("in place and not", ours, {name: other[name] for name in ours}, 2e-5)


@of_all
def gradient_is_the_derivative(case: Case) -> None:
    net = case.net()
    net.keep_blobs = True
    run(net, case.inputs(net))
    if exempt(case, net):
        counts["nets without a comparison of gradients"] += 1
        return
    counts["directions compared"] += Slopes(case, case.net()).check()


# ---- files


@of_all
def printing_and_reading_gives_the_same_net(case: Case) -> None:
    first = read_net(case.body)
    again = read_net(print_text(first.message))
    assert first.message.SerializeToString(deterministic=True) == again.message.SerializeToString(deterministic=True)
    assert not again.notes
    one, two = case.net(), case.net(text=print_text(first.message))
    assert [node.top_shapes for node in one.nodes] == [node.top_shapes for node in two.nodes]
    same("from the printed text", run(two, case.inputs(two)), run(one, case.inputs(one)))


@of_all
def weights_come_back(case: Case) -> None:
    net = case.net()
    if not any(node.layer.blobs for node in net.nodes):
        return
    expected = [blob.clone() for node in net.nodes for blob in node.layer.blobs]
    other = load_net(case.body, phase=case.phase, seed=2)
    other.load_state_dict(net.state_dict())
    assert_blobs("state_dict", other, expected)
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".caffemodel", ".caffemodel.h5"):
            path = Path(folder) / f"weights{suffix}"
            try:
                save_caffemodel(net, path)
            except CaffeCompatError:
                if not suffix.endswith("h5"):
                    raise
                counts["nets not saved as HDF5"] += 1
                continue
            other = load_net(case.body, phase=case.phase, seed=2)
            load_weights(other, path)
            assert_blobs(suffix, other, expected)


def assert_blobs(what: str, net: Net, expected: list[Tensor]) -> None:
    found = [blob for node in net.nodes for blob in node.layer.blobs]
    for index, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        assert torch.equal(ours.nan_to_num(), theirs.nan_to_num()), f"{what}: blob {index} is another"


# ---- deployment


@of_all
def onnx_computes_the_same(case: Case) -> None:
    for opset in OPSETS:
        net = case.net()
        try:
            model = lower(net, opset)
        except ExportError as refusal:
            if not any(words in str(refusal) for words in ("layer '", "no output")):
                raise
            counts["nets not lowered"] += 1
            return
        counts["nets lowered"] += 1
        for batch in batches(net, model.inputs, model.batch):
            compare_with_onnx(case, model, batch, f"opset {opset}, batch {batch}")
        if fold_scales(model.model):
            counts["nets folded"] += 1
            compare_with_onnx(case, model, None, f"opset {opset}, folded")


def batches(net: Net, inputs: list[str], batch: Any) -> list[int | None]:
    """The file's batch size, and where the graph takes any, the next one that the net takes."""
    if batch != "N" or not inputs:
        return [None]
    now = next(net.shapes[name][0] for name in inputs if net.shapes[name])
    for other in (now + 1, now + 2, 2 * now):
        try:
            net.infer_shapes(with_batch(net, inputs, other))
            return [None, other]
        except NetError:
            continue
    return [None]


def compare_with_onnx(case: Case, model: Any, batch: int | None, what: str) -> None:
    inputs = case.inputs(case.net(), batch, model.inputs)
    net = case.net()
    with torch.no_grad():
        try:
            expected = {name: top for name, top in run(net, inputs).items() if name in model.outputs}
        except NetError:
            assert batch is not None
            counts["batches refused at run time"] += 1
            return
    found = run_onnx(model, inputs)
    if case.rough:
        return
    try:
        same(what, found, {name: expected[name] for name in found}, 2e-5)
    except AssertionError:
        if not stable(case, inputs, expected):
            counts["onnx comparisons that rounding decides"] += 1
            return
        raise


def stable(case: Case, inputs: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    """Whether the outputs hold when each layer rounds a little otherwise."""
    for seed in range(3):
        try:
            other = shaken(case.net(), inputs, seed)
            same("shaken", {name: other[name] for name in expected}, expected, 5e-6)
        except (AssertionError, CaffeCompatError):
            return False
    return True


@of_all
def the_deploy_form_computes_the_same(case: Case) -> None:
    """Input layers become DummyData layers, which the deploy form replaces by Input layers."""
    document = read_net(case.body)
    for layer in document.message.layer:
        if layer.type == "Input":
            layer.type = "DummyData"
            layer.dummy_data_param.shape.extend(layer.input_param.shape)
            layer.ClearField("input_param")
    if any(not value.numel() for value in case.inputs(case.net()).values()):
        return  # a DummyData layer has no top without elements
    if len({layer.name for layer in document.message.layer}) < len(document.message.layer):
        return  # which layer's blobs are whose?
    try:
        train = case.net(phase="TEST")
        inputs = case.inputs(train)
        dummies = [node for node in train.nodes if node.type == "DummyData"]
        inputs |= {top: value for node in dummies for top, value in zip(node.tops, node.layer(), strict=True)}
        train.keep_blobs = True
        run(train, {name: inputs[name] for name in train.inputs})
    except CaffeCompatError:
        return  # the net is one of the other phase
    try:
        deployed = deploy_net(read_net(print_text(document.message)))
    except ExportError:
        counts["nets without a deploy form"] += 1
        return
    counts["nets deployed"] += 1
    net = load_net(deployed.text, phase="TEST")
    copy_blobs(train, net)
    outputs = run(net, {name: inputs[name] for name in net.inputs})
    blobs = train.blobs
    if case.rough:
        return
    for node in net.nodes:
        for top in node.tops:
            if top in outputs and top in blobs and node.type != "Input" and is_last(train, node, top):
                same(f"deployed, {top}", {top: outputs[top]}, {top: blobs[top]}, 2e-5)
            elif top in outputs and node.name.startswith("prob") and node.bottoms[0] in blobs:
                with torch.no_grad():
                    expected = node.layer(blobs[node.bottoms[0]])
                same(f"deployed, {top}", {top: outputs[top]}, {top: expected}, 2e-5)


def is_last(train: Net, node: Any, top: str) -> bool:
    """Whether the deployed layer is the last of the net that writes this blob."""
    makers = [other.name for other in train.nodes if top in other.tops]
    return bool(makers) and makers[-1] == node.name


def copy_blobs(train: Net, net: Net) -> None:
    """Values for the deployed net's blobs, by the layers' names."""
    with torch.no_grad():
        for node in net.nodes:
            if not node.layer.blobs:
                continue
            for ours, theirs in zip(node.layer.blobs, train.layer(node.name).blobs, strict=True):
                ours.copy_(theirs)
