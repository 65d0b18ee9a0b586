"""Train a net from its solver prototxt, with the flags and the log lines of `caffe train`.

Start anew, from weights (--weights, fine-tuning by layer name), or continue a snapshot (--snapshot, bit for bit).
Ctrl-C finishes the iteration, snapshots and stops.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from caffe_compat.cli.options import (
    UsageError,
    add_device,
    add_python,
    add_state,
    add_strict,
    add_weights,
    device,
    stages,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", metavar="solver", help="the solver prototxt")
    parser.add_argument("-solver", "--solver", metavar="FILE", help="the same, as Caffe's flag")
    add_weights(parser)
    parser.add_argument("-snapshot", "--snapshot", metavar="FILE", help="continue from this .solverstate")
    add_state(parser, phase=None)
    add_device(parser)
    effects = ("stop", "snapshot", "none")
    for name, default in (("sigint_effect", "stop"), ("sighup_effect", "snapshot")):
        parser.add_argument(f"-{name}", f"--{name}", f"--{name.replace('_', '-')}", choices=effects, default=default,
                            help=f"what {name[:3].upper()}{name[3:6].upper()} does; default %(default)s")  # fmt: skip
    parser.add_argument("--channels-last", action="store_true", help="memory layout that is often faster; sums round "
                        "more coarsely on the CPU")  # fmt: skip
    add_strict(parser)
    add_python(parser)


def run(args: argparse.Namespace) -> int:
    from caffe_compat.solver import Solver
    from caffe_compat.tools.progress import listener

    if args.solver and args.file:
        raise UsageError(f"two solvers are given, {args.file} and --solver {args.solver}; accepted: one of them")
    path = args.solver or args.file
    if not path:
        raise UsageError("no solver given; name its prototxt: --solver solver.prototxt")
    if args.snapshot and args.weights:
        raise UsageError("--snapshot and --weights are both given; accepted: a snapshot to continue, or weights to "
                         "fine-tune from, not both")  # fmt: skip
    with listener() as log:
        solver = Solver(
            Path(path), args.weights, device(args), args.level, stages(args), log=log, snapshot=args.snapshot,
            strict=args.strict, channels_last=args.channels_last,
        )  # fmt: skip
        log.follow(solver)
        solver.solve(args.sigint_effect, args.sighup_effect)
    return 0
