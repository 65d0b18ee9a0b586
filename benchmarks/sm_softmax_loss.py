"""SMSoftmaxLoss against torch's cross_entropy: time and peak memory of forward and backward.

    python benchmarks/sm_softmax_loss.py [--device cuda] [--repeats 100] [--threads 2]

The two are run in turn, so that a busy machine slows both; the ratios are medians over the pairs of runs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from caffe_compat.layers import SMSoftmaxLoss

COLUMNS = ("batch x classes", "SMSoftmaxLoss", "cross_entropy", "time ratio", "memory ratio")
SIZES = ((4096, 10), (512, 1000), (64, 100_000))
Run = Callable[[], None]


def training_step(loss: Callable[[Tensor, Tensor], Tensor], scores: Tensor, labels: Tensor) -> Run:
    """One forward and one backward pass."""

    def run() -> None:
        scores.grad = None
        loss(scores, labels).backward()

    return run


def seconds(run: Run, device: str) -> float:
    start = time.perf_counter()
    run()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def in_turn(ours: Run, theirs: Run, device: str, repeats: int) -> tuple[float, float, float]:
    """Median seconds of both, and the median of the ratios."""
    for run in (ours, theirs) * 3:
        seconds(run, device)
    pairs = [(seconds(ours, device), seconds(theirs, device)) for _ in range(repeats)]
    first, second = zip(*pairs, strict=True)
    return statistics.median(first), statistics.median(second), statistics.median(a / b for a, b in pairs)


def peak_bytes(run: Run, device: str) -> int:
    """Most memory that one run holds beyond the scores and labels."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as trace:
        run()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "trace.json")
        trace.export_chrome_trace(str(path))
        events = [event["args"] for event in json.loads(path.read_text())["traceEvents"] if event["name"] == "[memory]"]
    totals = [event["Total Allocated"] for event in events]
    return max(totals) - (totals[0] - events[0]["Bytes"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = arguments.device
    print(f"torch {torch.__version__}, {device}, {arguments.threads} threads")
    print("{:>16} {:>14} {:>14} {:>11} {:>13}".format(*COLUMNS))
    for batch, classes in SIZES:
        scores = torch.randn(batch, classes, device=device, requires_grad=True)
        labels = torch.randint(classes, (batch,), device=device)
        ours = training_step(SMSoftmaxLoss(margin=0.3), scores, labels)
        theirs = training_step(F.cross_entropy, scores, labels)
        mine, other, ratio = in_turn(ours, theirs, device, arguments.repeats)
        scores.grad = None
        memory = peak_bytes(ours, device)
        scores.grad = None
        memory_ratio = memory / peak_bytes(theirs, device)
        size = f"{batch} x {classes}"
        print(f"{size:>16} {mine * 1e3:11.3f} ms {other * 1e3:11.3f} ms {ratio:11.2f} {memory_ratio:13.2f}")


if __name__ == "__main__":
    main()
