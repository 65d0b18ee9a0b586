"""Where a solver's nets get their batches from: the caller's feeds, and the sources of data layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from caffe_compat.data.staging import StagedSource
from caffe_compat.errors import SolverError
from caffe_compat.layers.source import SharedSource, Source
from caffe_compat.layers.source_layer import SourceLayer
from caffe_compat.net import Net
from caffe_compat.net.feed import from_array
from caffe_compat.solver.distributed import Ranks

Feed = Callable[[], "Mapping[str, Tensor | np.ndarray]"]


def fed_inputs(net: Net, feed: Feed | None, device: torch.device) -> dict[str, Tensor]:
    """What the net's Input layers are fed with, on the device. Raises SolverError where nobody feeds them."""
    if not net.inputs:
        return {}
    check_feed(net, feed)
    assert feed is not None
    if not callable(feed):
        raise SolverError(f"solver.feed is a {type(feed).__name__}; accepted: a function that returns a dict")
    batch = feed()
    if not isinstance(batch, Mapping):
        raise SolverError(
            f"solver.feed returned a {type(batch).__name__}; accepted: a dict of tensors, or numpy arrays, for the "
            f"inputs {', '.join(net.inputs)}"
        )
    return {name: _sent(name, blob, device) for name, blob in batch.items()}


def check_feed(net: Net, feed: Feed | None) -> None:
    """Raise SolverError where nobody feeds the net's Input layers."""
    if net.inputs and feed is None:
        node = next(node for node in net.nodes if net.inputs[0] in node.tops)
        raise SolverError(
            f"{node.where}: the {net.phase} net has Input layers ({', '.join(net.inputs)}), and nobody feeds them; "
            "give it data layers instead, or in Python set solver.feed (for test net i solver.test_feeds[i]) to a "
            "function that returns a dict of tensors"
        )


def _sent(name: str, blob: Tensor | np.ndarray, device: torch.device) -> Tensor:
    """``blob`` on the device. On the way to a GPU it is pinned, without which the host waits for the copy."""
    blob = blob if isinstance(blob, Tensor) else from_array(name, blob)
    if device.type == "cuda" and blob.device.type == "cpu":
        blob = blob.pin_memory()
    return blob.to(device, non_blocking=True)


def prepared(source: Source, ranks: Ranks, device: torch.device) -> Source:
    """The source of a train net: this rank's share of it, copied to the GPU ahead of time."""
    if isinstance(source, SharedSource | StagedSource):
        return source
    if ranks.count > 1:
        source = source.share(ranks.index, ranks.count)
    return StagedSource(source, device) if device.type == "cuda" else source


def prepare_sources(net: Net, ranks: Ranks, device: torch.device) -> None:
    """``prepared`` for all data layers of a train net."""
    for node in net.nodes:
        if isinstance(node.layer, SourceLayer) and node.layer.source is not None:
            node.layer.source = prepared(node.layer.source, ranks, device)


def stage_next(net: Net) -> None:
    """Begin to copy the next batch of every source that can do so, while the device computes."""
    for source in net.sources.values():
        if isinstance(source, StagedSource):
            source.stage()
