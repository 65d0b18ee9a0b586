"""CPU seconds of a forward and backward pass beside what Caffe itself took.

``python benchmarks/caffe.py [--nets lenet,cifar10] [--passes 20]``

LeNet and the paper's CIFAR10 net, batch 128, phase TRAIN, one thread, with images and labels from memory. What is
counted is the processor's time of the process (user and system), not the clock on the wall, so that other programs
matter less; told is the median. Caffe: BVLC Caffe 1.0 with OpenBLAS, one thread, on a processor with AVX-512; not
measured here, so the ratio also compares two machines.
"""

from __future__ import annotations

import argparse
import resource
import statistics
from pathlib import Path

import torch

from caffe_compat import load_net
from caffe_compat.net import Net

PROTOTXT = Path(__file__).parents[1] / "prototxt"
BATCH = 128
CAFFE = {"lenet": 0.056, "cifar10": 3.9}
"""CPU seconds of Caffe's forward and backward pass."""
SHAPES = {"lenet": (1, 28, 28), "cifar10": (3, 32, 32)}


def made(name: str) -> Net:
    """The net of the training prototxt with inputs in the place of its data layer."""
    text = (PROTOTXT / name / "train_val.prototxt").read_text()
    inputs = " ".join(
        f'input: "{blob}" input_shape {{ {" ".join(f"dim: {size}" for size in shape)} }}'
        for blob, shape in (("data", (BATCH, *SHAPES[name])), ("label", (BATCH,)))
    )
    return load_net(f"{inputs}\n{without_data(text)}", phase="TRAIN", seed=1)


def without_data(text: str) -> str:
    """The prototxt's layers from the first one that has a bottom."""
    layers = text.split("\nlayer {")
    return "".join(f"\nlayer {{{layer}" for layer in layers[1:] if "bottom:" in layer)


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def one_pass(net: Net, data: torch.Tensor, label: torch.Tensor) -> float:
    start = cpu_seconds()
    for entry in net.learnable:
        entry.tensor.grad = None
    net(data, label)
    net.loss.backward()
    return cpu_seconds() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", default="lenet,cifar10")
    parser.add_argument("--passes", type=int, default=20)
    args = parser.parse_args()
    torch.set_num_threads(1)
    for name in args.nets.split(","):
        net = made(name)
        data, label = torch.randn(BATCH, *SHAPES[name]), (torch.arange(BATCH) % 10).float()
        one_pass(net, data, label)
        ours = statistics.median(one_pass(net, data, label) for _ in range(args.passes))
        print(f"{name:<8} batch {BATCH}, forward and backward: {1e3 * ours:6.0f} ms of CPU time; "
              f"Caffe {1e3 * CAFFE[name]:.0f} ms; ratio {ours / CAFFE[name]:.2f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
