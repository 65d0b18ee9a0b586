"""What a continuation needs, beyond Caffe's state, to be equal bit for bit: our part of a .solverstate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from caffe_compat.layers.recurrent import Recurrent
from caffe_compat.layers.source import open_source
from caffe_compat.layers.source_layer import SourceLayer
from caffe_compat.net import Net
from caffe_compat.proto import is_repeated, pb
from caffe_compat.solver.distributed import Ranks
from caffe_compat.solver.feeding import prepare_sources


def resume_message(nets: Mapping[str, Net], seed: int, recent_loss: list[float], ranks: Ranks) -> Any:
    """A ResumeState: random generators, how many batches each data layer of each net has handed out, what layers
    remember, and so on.

    All ranks make it together.
    """
    message = pb.ResumeState(random_seed=seed)
    first, *others = map(pb.RankState.FromString, ranks.collect(_own_state(nets).SerializeToString()))
    for field, value in first.ListFields():
        if is_repeated(field):
            getattr(message, field.name).extend(value)
        else:
            setattr(message, field.name, value)
    message.rank.extend(others)
    message.recent_loss.extend(recent_loss)
    for name, net in nets.items():
        for layer, source in net.sources.items():
            message.source.add(net=name, layer=layer, batches=source.position)
    return message


def resume(message: Any, nets: Mapping[str, Net], seed: int, ranks: Ranks, device: torch.device) -> None:
    """Put all that ``resume_message`` found back where it was; ``seed``: what the nets were built with."""
    if message.random_seed != seed:
        for index, (name, net) in enumerate(nets.items()):
            reseed_sources(net, net_seed(message.random_seed, index))
            if name == "train":
                prepare_sources(net, ranks, device)
    positions = {(entry.net, entry.layer): entry.batches for entry in message.source}
    for name, net in nets.items():
        for layer, source in net.sources.items():
            if (name, layer) in positions:
                source.seek(positions[name, layer])
    if ranks.index > len(message.rank):  # a rank that the run before did not have keeps its own
        return
    mine = message if ranks.first else message.rank[ranks.index - 1]
    _remember(mine.memory, nets)
    torch.set_rng_state(_generator_state(mine.rng_state))
    if mine.cuda_rng_state and torch.cuda.is_initialized():
        torch.cuda.set_rng_state(_generator_state(mine.cuda_rng_state))


def net_seed(seed: int, index: int) -> int:
    """The seed of a solver's net: the train net is 0, the test nets follow."""
    return seed + 1_000_003 * index


def reseed_sources(net: Net, seed: int) -> None:
    """Open the sources of a net again, as if it had been built with ``seed``; arrays that the user gave stay."""
    folder = Path(net.document.source).parent
    for node in net.nodes:
        layer = node.layer
        if isinstance(layer, SourceLayer) and layer.source and not hasattr(layer.source, "set_input_arrays"):
            layer.source.close()
            layer.source = open_source(node.type, node.param, node.phase, len(node.tops), seed + node.index, folder)


def _own_state(nets: Mapping[str, Net]) -> Any:
    """What each rank has of its own, as a RankState: random generators, and what layers remember."""
    message = pb.RankState(rng_state=torch.get_rng_state().numpy().tobytes())
    if torch.cuda.is_initialized():  # else nothing was drawn there, and asking would occupy a GPU
        message.cuda_rng_state = torch.cuda.get_rng_state().numpy().tobytes()
    for (net, layer), recurrent in _remembering(nets).items():
        for name, state in recurrent.memory.items():
            values = state.float().cpu()
            entry = message.memory.add(net=net, layer=layer, name=name)
            entry.blob.shape.dim.extend(values.shape)
            entry.blob.data.extend(values.flatten().tolist())
    return message


def _remember(memory: Iterable[Any], nets: Mapping[str, Net]) -> None:
    """Give layers what they remembered; one of which nothing is stored begins anew."""
    stored: dict[tuple[str, str], dict[str, torch.Tensor]] = {}
    for entry in memory:
        values = torch.tensor(entry.blob.data, dtype=torch.float32).view(*entry.blob.shape.dim)
        stored.setdefault((entry.net, entry.layer), {})[entry.name] = values
    for place, layer in _remembering(nets).items():
        layer.remember(stored.get(place, {}))


def _remembering(nets: Mapping[str, Net]) -> dict[tuple[str, str], Recurrent]:
    """The layers with a memory, by the names of net and layer."""
    nodes = ((name, node) for name, net in nets.items() for node in net.nodes)
    return {(name, node.name): node.layer for name, node in nodes if isinstance(node.layer, Recurrent)}


def _generator_state(state: bytes) -> torch.Tensor:
    return torch.from_numpy(np.frombuffer(state, np.uint8).copy())
