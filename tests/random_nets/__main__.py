"""A long run: ``python -m tests.random_nets --minutes 30 --seed 1``; one case: ``--replay FILE``.

Prints each failure with the smallest net that shows it and a line to run it again; ends with 1 if there was one.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path

import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded

from tests.random_nets.case import Case
from tests.random_nets.checks import check
from tests.random_nets.draw import counts, nets

CHUNK = 150
"""Nets of one seed."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.random_nets", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5, help="how long (default 5)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed; each one draws 150 nets")
    parser.add_argument("--wild", type=int, default=4, help="percent of layers with wild fields (default 4)")
    parser.add_argument("--no-shrink", action="store_true", help="print the net as it was drawn, at once")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run the checks on one net that was printed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.replay:
        check(Case.read(options.replay.read_text()))
        return 0
    return long_run(options.seed, options.minutes, options.wild, not options.no_shrink)


def long_run(first: int, minutes: float, wild: int, shrink: bool) -> int:
    """Seed after seed until the time is over."""
    end, seed, kinds = time.monotonic() + 60 * minutes, first, set[str]()
    while time.monotonic() < end:
        failure = one_seed(seed, wild, shrink)
        if failure:
            headline = re.sub(r"-?\d[\d.e+-]*", "#", failure.split("\n\n")[0])
            if headline not in kinds:
                print(f"\nseed {seed}: {failure}", flush=True)
                print("again: save the net as net.txt; python -m tests.random_nets --replay net.txt", flush=True)
            kinds.add(headline)
        seed += 1
    print(f"\nseeds {first} to {seed - 1}: " + ", ".join(f"{n} {what}" for what, n in counts.most_common()))
    return 1 if kinds else 0


def one_seed(seed: int, wild: int, shrink: bool) -> str:
    """The text of the smallest failure, or ""."""
    quiet = settings(max_examples=CHUNK, deadline=None, database=None, suppress_health_check=list(HealthCheck),
                     report_multiple_bugs=False, phases=[Phase.generate, *[Phase.shrink] * shrink])  # fmt: skip

    @seeded(seed)
    @quiet
    @given(nets(wild))
    def run(case: Case) -> None:
        check(case)

    try:
        run()
    except AssertionError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    sys.exit(main())
