"""The net: a torch module that runs Caffe's layers in the order of the prototxt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from caffe_compat.errors import NetError
from caffe_compat.layers.base import Layer, Shape
from caffe_compat.layers.source import Source
from caffe_compat.layers.source_layer import SourceLayer
from caffe_compat.net.build import build_nodes
from caffe_compat.net.feed import checked_device, fed
from caffe_compat.net.fuse import fuse
from caffe_compat.net.given import set_given
from caffe_compat.net.node import Node
from caffe_compat.net.running import run_nodes
from caffe_compat.net.sharing import LearnableParam, bind_shared
from caffe_compat.net.state import NetState
from caffe_compat.net.wiring import net_inputs
from caffe_compat.proto import Document


class Net(nn.Module):
    """A Caffe net as a torch module.

    ``net(data=x)`` or ``net(x)`` (inputs in the order of the prototxt; tensors, or numpy arrays, which become
    float32) returns a dict of the output blobs in Caffe's order. ``net.loss`` is then the total loss: the sum, over
    all tops with a loss weight, of the weight times the sum of the top. With ``keep_blobs = True``, ``net.blobs``
    holds every blob of the last pass.

    Phase TEST is torch's eval mode, TRAIN its train mode. ``state_dict()`` keys read ``conv1.weight`` (a "." in
    a layer's name becomes "_"; the layer's number follows a name that is taken, as in ``forward_3.weight``).

    Args: document: what ``read_net`` returns. phase, level, stages: the state of the net; stages are added to
    those of the file. device: where blobs lie; "meta" builds without memory. seed: of fillers and of data
    layers; None takes torch's generator. Raises NetError or DataError.
    """

    def __init__(
        self,
        document: Document,
        phase: str = "TEST",
        level: int = 0,
        stages: Sequence[str] = (),
        device: str | torch.device = "cpu",
        seed: int | None = None,
    ) -> None:
        super().__init__()
        document.refuse_faults()
        self.name = document.message.name
        self.document = document
        self.state = NetState.of(document.message, phase, level, stages)
        data_seed = int(torch.randint(2**31, ()).item()) if seed is None else seed
        built = build_nodes(document, self.state, data_seed)
        self.nodes: list[Node] = built.nodes
        self.inputs: list[str] = net_inputs(self.nodes)
        self.outputs: list[str] = built.outputs
        self.learnable: list[LearnableParam] = built.learnable
        self.keep_blobs = False
        self.blobs: dict[str, Tensor] = {}
        self.load_report: Any = None
        """What the last ``load_weights`` did with each layer: a ``caffe_compat.weights.LoadReport``."""
        self._loss = torch.zeros(())
        self._shared = built.shared
        self._fused: list[Node] = []
        self._register_layers()
        self._materialize(checked_device(device), seed)
        bind_shared(self._shared)
        self._fused = fuse(self.nodes, self.outputs)
        self.register_load_state_dict_post_hook(_share_again)
        self.train(phase == "TRAIN")

    # ---- looking in

    @property
    def loss(self) -> Tensor:
        """Total weighted loss of the last forward pass, a scalar tensor."""
        return self._loss

    @property
    def phase(self) -> str:
        return self.state.phase

    @property
    def shapes(self) -> dict[str, Shape]:
        """Blob name -> shape, as the prototxt gives the inputs' sizes (in-place blobs: the last)."""
        return {name: shape for node in self.nodes for name, shape in zip(node.tops, node.top_shapes, strict=True)}

    @property
    def sources(self) -> dict[str, Source]:
        """Layer name -> the source of its batches."""
        layers = ((node.name, node.layer) for node in self.nodes)
        return {name: layer.source for name, layer in layers if isinstance(layer, SourceLayer) and layer.source}

    def layer(self, name: str) -> Layer:
        """The layer called ``name`` (the first one of that name). Raises NetError listing the names."""
        for node in self.nodes:
            if node.name == name:
                return node.layer
        raise NetError(f"the net has no layer '{name}'; layers: {', '.join(node.name for node in self.nodes)}")

    def infer_shapes(self, inputs: Mapping[str, Shape], extra: int = 0) -> list[list[Shape]]:
        """Shapes of the tops of every node for other sizes of the inputs (or of a data layer's tops).

        ``extra`` is added to every size that only values tell (``Layer.shape_from_values``).
        """
        shapes: dict[str, Shape] = {}
        result = []
        for node in self.nodes:
            if node.bottoms:
                with node.named():
                    tops = node.layer.top_shapes(*(shapes[name] for name in node.bottoms))
                if node.layer.shape_from_values:
                    tops = [(shape[0] + extra, *shape[1:]) for shape in tops]
            else:
                tops = [inputs.get(name, shape) for name, shape in zip(node.tops, node.top_shapes, strict=True)]
            shapes.update(zip(node.tops, tops, strict=True))
            result.append(tops)
        return result

    # ---- running

    def forward(self, *args: Tensor, **inputs: Tensor) -> dict[str, Tensor]:
        """One forward pass. Raises NetError that names the layer whose bottoms do not fit."""
        blobs = fed(self.nodes, self.inputs, args, inputs)
        loss = run_nodes(self.nodes if self.keep_blobs else self._fused, blobs, self.keep_blobs)
        return self.finish(blobs, loss)

    def halves(self) -> tuple[list[Node], list[Node]]:
        """The layers that make a pass's data, from files or by themselves, and those that compute with it."""
        data = [node for node in self._fused if not node.bottoms and not node.layer.blobs]
        return data, [node for node in self._fused if node.bottoms or node.layer.blobs]

    def finish(self, blobs: dict[str, Tensor], loss: Tensor) -> dict[str, Tensor]:
        """Keep what a pass has made, for ``blobs`` and ``loss``; the outputs."""
        self._loss, self.blobs = loss, blobs
        return {name: blobs[name] for name in self.outputs}

    def train(self, mode: bool = True) -> Net:
        """Switch the phase; a layer whose prototxt fixes its own ``phase`` keeps it."""
        super().train(mode)
        for node in self.nodes:
            if node.param.HasField("phase"):
                node.layer.train(node.phase == "TRAIN")
        return self

    def _apply(self, fn: Any, recurse: bool = True) -> Net:
        """Moving the net moves what shares its blobs, and where data layers put their batches."""
        super()._apply(fn, recurse)
        bind_shared(self._shared)
        device = next((param.tensor.device for param in self.learnable), None)
        for node in self.nodes:
            if isinstance(node.layer, SourceLayer) and device is not None:
                node.layer.device = device
        return self

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles: without the blobs of the last pass, and the graph that they hang on."""
        return {**self.__dict__, "blobs": {}, "_loss": self._loss.detach()}

    # ---- building

    def _register_layers(self) -> None:
        """Make the layers submodules under their Caffe names; the index follows where the Net has such an attribute."""
        for node in self.nodes:
            key = base = node.name.replace(".", "_") or f"layer{node.index}"
            while key in self._modules or hasattr(self, key):
                key = f"{base}_{node.index}"
            self._modules[key] = node.layer

    def _materialize(self, device: torch.device, seed: int | None) -> None:
        if device.type == "meta":
            return
        generator = torch.default_generator if seed is None else torch.Generator().manual_seed(seed)
        for node in self.nodes:
            node.layer.materialize(generator, device)
            set_given(node)
            if isinstance(node.layer, SourceLayer):
                node.layer.device = device


def _share_again(net: Net, keys: Any) -> None:
    """After ``load_state_dict(assign=True)`` the blobs that layers share are one again."""
    bind_shared(net._shared)
