"""Training steps per second: this project's Solver on its LMDB against a torch loop written by hand, on tensors.

``python benchmarks/training.py [--nets lenet,cifar10] [--threads 2] [--device cpu]``

The Solver reads, transforms and prefetches its data base, takes the prototxt's learning rate policy and displays;
the loop has its batches ready in memory, which is in its favour. Both train the same net at the same batch size.
Both run twice: with contiguous memory (NCHW), the default of both, and with channels_last (``train --channels-last``).
Steps are timed in turn. Told are the ratio of the lower quartiles of all times, which leaves out the rounds in which
another program had the processor, and the median of the ratios of neighbours; then the share of the Solver's time in
which it waited for its data.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from caffe_compat import Solver
from caffe_compat.data.convert import convert_cifar, convert_mnist
from caffe_compat.data.staging import StagedSource
from caffe_compat.data.tiny import tiny

PROTOTXT = Path(__file__).parents[1] / "prototxt"
BATCH = 128


def lenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 20, 5), nn.MaxPool2d(2, 2), nn.Conv2d(20, 50, 5), nn.MaxPool2d(2, 2), nn.Flatten(),
        nn.Linear(800, 500), nn.ReLU(inplace=True), nn.Linear(500, 10),
    )  # fmt: skip


def cifar10() -> nn.Module:
    layers: list[nn.Module] = []
    channels = 3
    for unit, (filters, count) in enumerate(((64, 1), (64, 4), (96, 4), (64, 4))):
        for _ in range(count):
            layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.BatchNorm2d(filters), nn.ReLU(inplace=True)]
            channels = filters
        if unit:
            layers.append(nn.MaxPool2d(2, 2))
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(64 * 4 * 4, 256), nn.BatchNorm1d(256), nn.ReLU(inplace=True),
        nn.Linear(256, 10),
    )  # fmt: skip


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], float, int]] = {
    # net by hand, shape of an image, learning rate, steps that are timed at once
    "lenet": (lenet, (1, 28, 28), 0.01, 10),
    "cifar10": (cifar10, (3, 32, 32), 0.1, 1),
}


def by_solver(name: str, folder: Path, device: str, channels_last: bool) -> Solver:
    """The Solver on the tiny data set."""
    convert = convert_mnist if name == "lenet" else convert_cifar
    prefix = folder / name
    convert(tiny("mnist" if name == "lenet" else "cifar10"), prefix, mean=True, overwrite=True)
    net = (PROTOTXT / name / "train_val.prototxt").read_text().replace("batch_size: 64", f"batch_size: {BATCH}")
    net = net.replace("data/mnist", str(prefix)).replace("data/cifar10", str(prefix))
    (folder / f"{name}.prototxt").write_text(net)
    text = (PROTOTXT / name / ("solver.prototxt" if name == "lenet" else "stage1_solver.prototxt")).read_text()
    kept = [line for line in text.splitlines() if not line.startswith(("net:", "snapshot", "test"))]
    kept += [f'net: "{folder / name}.prototxt"', "snapshot: 0", f'snapshot_prefix: "{prefix}"']
    return Solver("\n".join(kept), device=device, log=lambda event: None, channels_last=channels_last)


class Waiting:
    """Seconds that the net's data layers waited for their batches."""

    def __init__(self, solver: Solver) -> None:
        self.seconds = 0.0
        for source in solver.net.sources.values():
            source.next = self.timed(source.next)  # type: ignore[method-assign]
            if isinstance(source, StagedSource):  # on a GPU: the batch is waited for while the GPU computes
                source.stage = self.timed(source.stage)  # type: ignore[method-assign]

    def timed(self, call: Callable[[], Any]) -> Callable[[], Any]:
        def next_batch() -> Any:
            start = time.perf_counter()
            batch = call()
            self.seconds += time.perf_counter() - start
            return batch

        return next_batch


def by_hand(name: str, device: str, memory_format: torch.memory_format) -> Callable[[int], None]:
    """A function that does n steps of a torch loop as one writes it."""
    build, shape, rate, _ = NETS[name]
    net = build().to(device=device, memory_format=memory_format)
    optimizer = torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9, weight_decay=0.0005)
    images = [torch.randn(BATCH, *shape, device=device).to(memory_format=memory_format) for _ in range(8)]
    labels = [torch.randint(10, (BATCH,), device=device) for _ in range(8)]

    def step(count: int) -> None:
        for i in range(count):
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(net(images[i % 8]), labels[i % 8]).backward()
            optimizer.step()

    return step


def seconds(step: Callable[[int], None], count: int, device: str) -> float:
    start = time.perf_counter()
    step(count)
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def compare(name: str, folder: Path, device: str, rounds: int) -> None:
    count = NETS[name][3]
    for kind, memory_format in (("NCHW", torch.contiguous_format), ("channels_last", torch.channels_last)):
        solver = by_solver(name, folder, device, kind == "channels_last")
        hand = by_hand(name, device, memory_format)
        for step in (solver.step, hand):
            seconds(step, count, device)
        waiting = Waiting(solver)
        pairs = [(seconds(solver.step, count, device), seconds(hand, count, device)) for _ in range(rounds)]
        waited = 100 * waiting.seconds / sum(pair[0] for pair in pairs)
        ours, theirs = ([pair[i] for pair in pairs] for i in (0, 1))
        quartiles = statistics.quantiles(theirs, n=4)[0] / statistics.quantiles(ours, n=4)[0]
        median = statistics.median(b / a for a, b in pairs)
        print(f"{name:<8} batch {BATCH}  {kind:<13}  Solver / loop: {quartiles:5.2f}x  (median of pairs {median:.2f}x)"
              f"  waits for data {waited:.2f} %", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", default="lenet,cifar10")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=25)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(f"steps per second as ratios, {args.threads} threads, {args.device}: more than 1 means the Solver is faster")
    with tempfile.TemporaryDirectory() as folder:
        for name in args.nets.split(","):
            compare(name, Path(folder), args.device, args.rounds)


if __name__ == "__main__":
    main()
