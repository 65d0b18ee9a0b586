"""The net's own values in torch, for given inputs; the net is left as it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from caffe_compat.layers.source import Source
from caffe_compat.layers.source_layer import SourceLayer
from caffe_compat.net import Net


class _Given(Source):
    """A source that hands out one batch."""

    def __init__(self, tops: tuple[Tensor, ...]) -> None:
        self.top_shapes = [tuple(top.shape) for top in tops]
        self._tops = tops

    def next(self) -> tuple[Tensor, ...]:
        return self._tops

    @property
    def position(self) -> int:
        return 0

    def seek(self, batches: int) -> None:
        """One batch is all there is."""

    def close(self) -> None:
        """Nothing is open."""


def run_net(net: Net, inputs: Mapping[str, np.ndarray], blobs: Sequence[str]) -> dict[str, np.ndarray]:
    """The values of ``blobs`` after a forward pass; data layers hand out what ``inputs`` has for their tops."""
    with _undisturbed(net, inputs) as feed:
        net(**feed)
        return {name: _array(net.blobs[name]) for name in blobs}


def run_layers(net: Net, inputs: Mapping[str, np.ndarray]) -> list[tuple[np.ndarray, ...]]:
    """The tops of every node, as the layer made them, before anything was written over them."""
    made: dict[int, tuple[np.ndarray, ...]] = {}

    def keep(index: int) -> Any:
        def hook(module: Any, bottoms: Any, tops: Any) -> None:
            made[index] = tuple(_array(top) for top in (tops if isinstance(tops, tuple) else (tops,)))

        return hook

    handles = [node.layer.register_forward_hook(keep(node.index)) for node in net.nodes]
    try:
        run_net(net, inputs, [])
    finally:
        for handle in handles:
            handle.remove()
    return [made.get(node.index, ()) for node in net.nodes]


@contextmanager
def _undisturbed(net: Net, inputs: Mapping[str, np.ndarray]) -> Iterator[dict[str, Tensor]]:
    """Gives the inputs to call the net with; afterwards statistics, sources and settings are what they were."""
    device = next((param.tensor.device for param in net.learnable), torch.device("cpu"))
    tensors = {name: torch.from_numpy(np.array(value)).to(device) for name, value in inputs.items()}
    buffers = [
        (module, name, value, _copy(value)) for module in net.modules() for name, value in module._buffers.items()
    ]
    layers = [(node, node.layer) for node in net.nodes if isinstance(node.layer, SourceLayer)]
    sources = [layer.source for _, layer in layers]
    keep_blobs, net.keep_blobs = net.keep_blobs, True
    try:
        for node, layer in layers:
            zeros = zip(node.tops, node.top_shapes, strict=True)
            layer.source = _Given(tuple(tensors.get(n, torch.zeros(shape)) for n, shape in zeros))
        for node in net.nodes:
            reset = getattr(node.layer, "reset", None)
            if callable(reset):  # recurrent layers: a graph begins without memory
                reset()
        given = net.inputs
        shapes = net.shapes
        with torch.no_grad():
            yield {name: tensors.get(name, torch.zeros(shapes[name], device=device)) for name in given}
    finally:
        net.keep_blobs, net.blobs = keep_blobs, {}
        for (_, layer), source in zip(layers, sources, strict=True):
            layer.source = source
        _restore(buffers)


def _copy(value: Tensor | None) -> Tensor | None:
    return None if value is None else value.clone()


def _restore(buffers: list[tuple[torch.nn.Module, str, Tensor | None, Tensor | None]]) -> None:
    """Put back the tensors that were there, with the values that they had."""
    for module, name, value, saved in buffers:
        module._buffers[name] = value
        if value is not None and saved is not None:
            value.copy_(saved)


def _array(tensor: Tensor) -> np.ndarray:
    """As float32; float64 stays what it is."""
    value = tensor.detach().cpu()
    return (value if value.dtype == torch.float64 else value.float()).numpy().copy()
