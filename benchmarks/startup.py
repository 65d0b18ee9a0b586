"""Start-up time: ``caffe-compat --help`` and ``import caffe_compat``, beside a bare Python and ``import torch``.

``python benchmarks/startup.py``: each command ten times in turn, the median; the limit for --help is 0.3 s.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "caffe-compat --help": ["-m", "caffe_compat", "--help"],
    "caffe-compat train --help": ["-m", "caffe_compat", "train", "--help"],
    "import caffe_compat": ["-c", "import caffe_compat"],
    "import torch": ["-c", "import torch"],
}
ROUNDS = 10


def seconds(arguments: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, arguments in COMMANDS.items():
            times[name].append(seconds(arguments))
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, median in medians.items():
        print(f"{name:<28} {median:6.3f} s   {median / medians['import torch']:5.2f} of importing torch")


if __name__ == "__main__":
    main()
