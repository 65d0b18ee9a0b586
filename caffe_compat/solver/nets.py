"""The nets of a solver, as its plans say."""

from __future__ import annotations

import torch

from caffe_compat.net import Net
from caffe_compat.net.gradients import check_backward
from caffe_compat.solver.config import NetPlan
from caffe_compat.solver.distributed import Ranks
from caffe_compat.solver.feeding import prepare_sources
from caffe_compat.solver.resume import net_seed
from caffe_compat.solver.sharing import share_trained_layers


def current_device(name: str | torch.device) -> torch.device:
    """The device; a GPU with a number becomes torch's current one, whose streams and random generator are used."""
    device = torch.device(name)
    if device.type == "cuda" and device.index is not None and device.index < torch.cuda.device_count():
        torch.cuda.set_device(device)
    return device


def build_nets(
    plans: list[NetPlan], seed: int, device: torch.device, channels_last: bool, ranks: Ranks
) -> tuple[Net, list[Net]]:
    """The train net, with this rank's share of the data, and the test nets on its blobs, which the first rank has.

    Raises NetError where Caffe's backward pass would end the program.
    """
    train, *tests = [
        Net(plan.document, plan.phase, plan.level, plan.stages, device, net_seed(seed, index))
        for index, plan in enumerate(plans if ranks.first else plans[:1])
    ]
    check_backward(train.nodes, train.document.message.force_backward)
    prepare_sources(train, ranks, device)
    if channels_last:
        train.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for test in tests:
        share_trained_layers(train, test)
    return train, tests
