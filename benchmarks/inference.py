"""Inference: the exported .onnx in onnxruntime against the same net in torch.

``python benchmarks/inference.py [--nets lenet,cifar10] [--batches 1,128] [--threads 1]``: random weights and images,
timed in turn; the median of the ratios of neighbours. One thread each, because the thread pools of both, in one
process, would take the cores from each other.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from caffe_compat import Net, export_onnx
from caffe_compat.export.deploy import deploy_net
from caffe_compat.export.runtime import open_session

PROTOTXT = Path(__file__).parents[1] / "prototxt"
SHAPES = {"lenet": (1, 28, 28), "cifar10": (3, 32, 32)}


def seconds(call: Callable[[], object], times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        call()
    return time.perf_counter() - start


def compare(name: str, batches: list[int], threads: int, rounds: int) -> None:
    path, shape = PROTOTXT / name / "train_val.prototxt", SHAPES[name]
    deployed = deploy_net(path, input_shapes={"data": (1, *shape)})
    net = Net(deployed.document, "TEST", seed=1)
    with tempfile.TemporaryDirectory() as folder:
        export_onnx(net, Path(folder) / "net.onnx", verify=False, mean_values=[0.0])
        session = open_session(Path(folder) / "net.onnx", "cpu", threads)
    for batch in batches:
        images = np.random.default_rng(0).normal(size=(batch, *shape)).astype(np.float32)
        tensor = torch.from_numpy(images)

        def in_torch(tensor: torch.Tensor = tensor) -> object:
            with torch.inference_mode():
                return net(tensor)

        def in_onnxruntime(images: np.ndarray = images) -> object:
            return session.run(None, {"data": images})

        times = max(1, int(0.2 / (seconds(in_torch, 2) / 2)))
        seconds(in_onnxruntime, 2)
        ratios = [seconds(in_torch, times) / seconds(in_onnxruntime, times) for _ in range(rounds)]
        print(f"{name:<8} batch {batch:>4}  onnxruntime is {statistics.median(ratios):5.2f}x as fast as torch "
              f"({min(ratios):.2f} to {max(ratios):.2f})")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", default="lenet,cifar10")
    parser.add_argument("--batches", default="1,128")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(f"images per second as ratios, {args.threads} threads, CPU")
    for name in args.nets.split(","):
        compare(name, [int(batch) for batch in args.batches.split(",")], args.threads, args.rounds)


if __name__ == "__main__":
    main()
