"""Draws a net, layer by layer: each proposal is added to the prototxt and built; what is refused is left out again.

A refusal has to be a CaffeCompatError that names the layer and its place; anything else ends the drawing with an
AssertionError that holds the prototxt.
"""

from __future__ import annotations

import re
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from hypothesis import assume
from hypothesis import strategies as st

from caffe_compat.api import load_net
from caffe_compat.errors import CaffeCompatError
from caffe_compat.layers import LAYERS
from caffe_compat.net import Net
from tests.random_nets.case import Case, Shape
from tests.random_nets.dice import Dice
from tests.random_nets.proposals import PROPOSALS, Proposal, Sketch
from tests.random_nets.wild import wild_block

ELEMENTS = 4000
"""Blobs beyond this are not run."""
LARGEST = 300.0
"""Values beyond this make the case a rough one, and its last layer the last."""
SECONDS = 20
"""What one layer may take to build and run."""
NAMES = ("l{}", "l{}", "l{}", "a/l{}", "l.{}", "forward", "same")
SOURCES = ("Input", "Data", "HDF5Data", "ImageData", "MemoryData", "WindowData", "HDF5Output")
FAVOURED = {"Convolution": "BatchNorm", "BatchNorm": "Scale", "InnerProduct": "ReLU", "Scale": "ReLU"}
"""What often follows a layer: these are fused, folded, or work in place."""

counts: Counter[str] = Counter()
"""What was drawn, for the summary of a long run."""


@st.composite
def nets(draw: Any, wild: int = 4, layers: int = 9) -> Case:
    """A case that builds and runs. ``wild``: percent of layers with wild fields."""
    d = Dice(draw)
    case = Case("", d.of(["TRAIN", "TEST"]), {}, d.of(["smooth", "smooth", "smooth", "ties"]))
    if d.chance(20):
        case.body = "force_backward: true\n"
    blobs: dict[str, Shape] = {}
    previous = ""
    for index in range(d.number(1, layers)):
        grown = add_layer(d, case, dict(blobs), index, d.chance(wild), previous)
        if grown is not None:
            case, net = grown
            previous = net.nodes[-1].type
            blobs = dict(net.shapes)
            if case.rough or any(np.prod(shape) > ELEMENTS for shape in blobs.values()):
                break
    assume(blobs)
    return case


def add_layer(
    d: Dice, case: Case, blobs: dict[str, Shape], index: int, wild: bool, previous: str = ""
) -> tuple[Case, Net] | None:
    """The case with one layer more; None where that is refused."""
    kind = FAVOURED[previous] if previous in FAVOURED and d.chance(60) else d.any_of(sorted(PROPOSALS))
    if wild and d.chance(20):
        kind = d.of(SOURCES)
    sketch = Sketch(d, blobs)
    proposal = PROPOSALS[kind](d, sketch, kind) if kind in PROPOSALS else Proposal([])
    if wild:
        proposal.text = wild_block(d, kind) if d.chance(70) else f"{proposal.text} {wild_block(d, kind)}"
    values = dict(case.values)
    lines = []
    for name, shape, values_kind in sketch.asked:
        values[name] = "ties" if values_kind == "smooth" and case.blobs == "ties" and d.chance(70) else values_kind
        dims = " ".join(f"dim: {size}" for size in shape)
        lines.append(f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}')
    name = d.of(NAMES).format(index)
    lines.append(layer_text(d, case, kind, name, proposal, index))
    grown = replace(case, body=case.body + "\n".join(lines) + "\n", values=values)
    counts["layers proposed"] += 1
    counts[kind] += 1
    net = checked_build(grown, name)
    if net is None:
        return None
    grown.rough |= is_rough(grown, net)
    return grown, net


def layer_text(d: Dice, case: Case, kind: str, name: str, proposal: Proposal, index: int) -> str:
    tops = [f"t{index}" + (f"_{i}" if i else "") for i in range(proposal.tops)]
    if tops and proposal.bottoms and LAYERS[kind].allows_inplace and not LAYERS[kind].is_loss and d.chance(25):
        tops[0] = proposal.bottoms[0]
    wires = [f'bottom: "{bottom}"' for bottom in proposal.bottoms] + [f'top: "{top}"' for top in tops]
    weights = proposal.loss_weights or ([d.of(["1", "0.5", "2", "0", "-1"]) for _ in tops] if d.chance(12) else [])
    extras = [f"loss_weight: {weight}" for weight in weights]
    if d.chance(8):
        extras += [f"propagate_down: {d.of(['false', 'true'])}" for _ in proposal.bottoms]
    if d.chance(20) and "lr_mult" not in proposal.text:
        extras += [param_spec(d) for _ in range(d.number(1, 2))]
    if d.chance(6):
        extras.append(d.of([f"include {{ phase: {case.phase} }}", f"phase: {d.of(['TRAIN', 'TEST'])}"]))
    return f'layer {{ name: "{name}" type: "{kind}" {" ".join([*wires, *extras, proposal.text])} }}'


def param_spec(d: Dice) -> str:
    fields = d.some('name: "w"', f"lr_mult: {d.of([0, 1, 2])}", "decay_mult: 0", percent=40)
    if "name" in fields and d.chance(50):
        fields += " share_mode: PERMISSIVE"
    return f"param {{ {fields} }}"


def checked_build(case: Case, name: str) -> Net | None:
    """The net after one pass; None where it is refused as it should be, or too large to run."""
    try:
        with time_limit():
            meta = load_net(case.body, phase=case.phase, device="meta")
            if any(np.prod(shape, dtype=float) > 20 * ELEMENTS for shape in sizes(meta)):
                return None
            net = case.net()
            torch.manual_seed(0)
            net(**case.inputs(net))
    except CaffeCompatError as error:
        counts["layers refused"] += 1
        text = str(error)
        assert re.search(rf"layer '{re.escape(name)}' \(\w+\), <text>:\d+:\d+: .|^<text>:\d+:\d+: .", text), (
            f"a refusal that does not name the layer {name} and its place:\n{text}\n\n{case}"
        )
        assert "\n" not in text.split("\nnote:")[0], f"a refusal of several lines:\n{text}\n\n{case}"
        return None
    except Exception as error:
        raise AssertionError(f"building or running: {type(error).__name__}: {error}\n\n{case}") from error
    return net


def sizes(net: Net) -> list[tuple[int, ...]]:
    blobs = [tuple(blob.shape) for node in net.nodes for blob in node.layer.blobs]
    return [*blobs, *(shape for node in net.nodes for shape in node.top_shapes)]


def is_rough(case: Case, net: Net) -> bool:
    net.keep_blobs = True
    torch.manual_seed(0)
    net(**case.inputs(net))
    fits = all(bool((blob.abs() < LARGEST).all()) for blob in net.blobs.values())
    return not fits or re.search(r": -?(inf|nan|1e30|3e38|1e39|1e-30)\b", case.body) is not None


@contextmanager
def time_limit() -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise TimeoutError(f"takes more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
