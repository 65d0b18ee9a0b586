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
    tell_notes,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", metavar="solver", help="the solver prototxt")
    parser.add_argument("-solver", "--solver", metavar="FILE", help="the same, as Caffe's flag")
    add_weights(parser)
    parser.add_argument("-snapshot", "--snapshot", metavar="FILE",
                        help="continue from this .solverstate; auto: the newest whole one of the solver's "
                        "snapshot_prefix, or from the start (or --weights) where there is none")  # fmt: skip
    parser.add_argument("--solver-override", metavar="FIELD=VALUE", action="append", default=[],
                        help="a field instead of the solver file's, as in base_lr=0.001; repeatable")  # fmt: skip
    parser.add_argument("--tensorboard", metavar="DIR", help="also write the log's numbers there, for TensorBoard")
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
    from contextlib import nullcontext

    from caffe_compat.proto import read_solver
    from caffe_compat.solver import Solver
    from caffe_compat.tools.progress import listener
    from caffe_compat.tools.tensorboard import TensorBoard, both

    if args.solver and args.file:
        raise UsageError(f"two solvers are given, {args.file} and --solver {args.solver}; accepted: one of them")
    path = args.solver or args.file
    if not path:
        raise UsageError("no solver given; name its prototxt: --solver solver.prototxt")
    if args.snapshot and args.weights and args.snapshot != "auto":
        raise UsageError("--snapshot and --weights are both given; accepted: a snapshot to continue, or weights to "
                         "fine-tune from, not both")  # fmt: skip
    document = read_solver(Path(path), args.strict, args.solver_override)
    if args.snapshot == "auto":
        _find_snapshot(args, document.message.snapshot_prefix)
    with listener() as log, TensorBoard(args.tensorboard) if args.tensorboard else nullcontext() as board:
        solver = Solver(
            document, args.weights, device(args), args.level, stages(args), log=both(log, board),
            snapshot=args.snapshot, strict=args.strict, channels_last=args.channels_last,
        )  # fmt: skip
        log.follow(solver)
        solver.solve(args.sigint_effect, args.sighup_effect)
    return 0


def _find_snapshot(args: argparse.Namespace, prefix: str) -> None:
    """Put the newest snapshot in the place of "auto"; with one, --weights are left out."""
    from caffe_compat.tools.newest_snapshot import newest_snapshot

    args.snapshot, notes = newest_snapshot(prefix)
    tell_notes(notes)
    if args.snapshot:
        args.weights = None
