"""Nets and solvers: is accepted what Caffe accepts, and does a refusal say where?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from caffe_compat.api import load_net
from caffe_compat.errors import CaffeCompatError
from caffe_compat.proto import read_net
from tests.golden.build import skip_missing, types_of
from tests.golden.cases import Case
from tests.golden.training import Recorder, skip_missing_solver

WE_DO_MORE = {
    "reject/pool_stochastic:forward": "Caffe has stochastic pooling on the GPU only; we have it everywhere",
}
"""Refused by Caffe on the CPU, and computed here: case -> why."""


@pytest.mark.golden("reject")
def test_verdict(case: Case) -> None:
    verdict = case.entry
    if verdict.get("branch_only"):
        pytest.skip("about what one branch of Caffe does not know")
    skip_missing(wanted_types(case))
    stage = run_solver if verdict["kind"] == "solver" else run_net
    if verdict["accepted"] or str(case) in WE_DO_MORE:
        if verdict["kind"] == "solver":
            skip_missing_solver(verdict["solver"])
        stage(case)
        return
    with pytest.raises(CaffeCompatError) as refusal:
        stage(case)
    text = str(refusal.value)
    names_place = "prototxt" in text or "<text>" in text or any(f"'{name}'" in text for name in layer_names(case))
    assert names_place, f"does not say where: {text!r}; Caffe: {verdict['message']}"


def wanted_types(case: Case) -> set[str]:
    """The layer types that the verdict is about; an unknown type must stay unknown where Caffe says so."""
    if "Unknown layer type" in case.entry.get("message", ""):
        return set()
    return types_of(case.entry.get("prototxt") or case.entry["net"])


def layer_names(case: Case) -> list[str]:
    try:
        net = read_net(case.entry.get("prototxt") or case.entry["net"])
    except CaffeCompatError:
        return []
    return [layer.name for layer in net.message.layer]


def run_net(case: Case) -> None:
    """Build the net and, where the verdict is about that, run one pass. Caffe refuses unknown fields."""
    verdict = case.entry
    state = {"phase": verdict["phase"], "level": verdict.get("level", 0), "stages": verdict["stages"]}
    net = load_net(verdict["prototxt"], **state, strict=True)
    if verdict["stage"] == "forward":
        fill = float(verdict.get("fill", 0))
        net(**{name: torch.full(net.shapes[name], fill) for name in net.inputs})
    if verdict["accepted"]:
        compare_structure(net, verdict)


def compare_structure(net: Any, verdict: Any) -> None:
    """Names and shapes of all that the net holds. An automatic top is no blob that others see."""
    ours = {
        "layers": [node.name for node in net.nodes],
        "inputs": net.inputs,
        "outputs": net.outputs,
        "blobs": {name: list(shape) for name, shape in net.shapes.items()},
        "params": {
            f"{node.name}.{i}": list(blob.shape) for node in net.nodes for i, blob in enumerate(node.layer.blobs)
        },
    }
    caffes = {key: verdict[key] for key in ours if key in verdict}
    assert {key: ours[key] for key in caffes} == caffes


def run_solver(case: Case) -> None:
    """Two iterations with inputs of zeros."""
    Path("net.prototxt").write_text(case.entry["net"])
    recorder = Recorder(case.entry["solver"])
    net = recorder.solver.net
    recorder.feed = lambda: {name: torch.zeros(net.shapes[name]) for name in net.inputs}
    recorder.step(2)
