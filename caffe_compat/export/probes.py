"""Random inputs to try a net and its graph with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from caffe_compat.export.preprocessing import Preprocessing
from caffe_compat.net import Net


@dataclass(frozen=True)
class Probe:
    """The same inputs for the net and for the graph; they differ where the graph preprocesses."""

    net: dict[str, np.ndarray]
    graph: dict[str, np.ndarray]


def input_shapes(session: Any, batch: int | None) -> dict[str, tuple[int, ...]]:
    """Shapes of the graph's inputs at a batch size."""
    return {
        value.name: tuple(size if isinstance(size, int) else (batch or 1) for size in value.shape)
        for value in session.get_inputs()
    }


def random_inputs(
    net: Net,
    shapes: dict[str, tuple[int, ...]],
    facts: Preprocessing | None,
    random: np.random.Generator,
    spread: float,
) -> Probe:
    """Pictures where ``facts`` describe them, 0 or 1 for labels, else normal numbers of deviation ``spread``."""
    labels = _labels(net)
    ours: dict[str, np.ndarray] = {}
    theirs: dict[str, np.ndarray] = {}
    for name, shape in shapes.items():
        if facts is not None and facts.channel_order and name == facts.input_name:
            pixels = random.integers(0, 256, shape).astype(np.float32)
            ours[name] = facts.apply(pixels)
            theirs[name] = pixels if facts.in_graph else ours[name]
        elif name in labels:
            ours[name] = theirs[name] = random.integers(0, 2, shape).astype(np.float32)
        else:
            ours[name] = theirs[name] = (random.standard_normal(shape) * spread).astype(np.float32)
    return Probe(ours, theirs)


def _labels(net: Net) -> set[str]:
    """Blobs that a layer takes without a gradient: labels and the like."""
    return {
        node.bottoms[index % len(node.bottoms)]
        for node in net.nodes
        for index in node.layer.constant_bottoms
        if -len(node.bottoms) <= index < len(node.bottoms)
    }
