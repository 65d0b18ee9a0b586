"""Train a net from its solver prototxt, with the flags and the log lines of `caffe train`.

Start anew, from weights (--weights, fine-tuning by layer name), or continue a snapshot (--snapshot, bit for bit).
Ctrl-C finishes the iteration, snapshots and stops.

Several GPUs (--gpu 0,1 or all), or processes that torchrun has started, train one net together: each takes every n-th
batch, and the gradients are averaged, so that a batch is in effect n times as large.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from caffe_compat.cli.options import (
    UsageError,
    add_device,
    add_python,
    add_state,
    add_strict,
    add_weights,
    devices,
    file_names,
    stages,
    tell_notes,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", metavar="solver", help="the solver prototxt")
    parser.add_argument("-solver", "--solver", metavar="FILE", help="the same, as Caffe's flag")
    add_weights(parser)
    parser.add_argument("-snapshot", "--snapshot", metavar="FILE", type=file_names,
                        help="continue from this .solverstate; auto: the newest whole one of the solver's "
                        "snapshot_prefix, or from the start (or --weights) where there is none")  # fmt: skip
    parser.add_argument("--solver-override", metavar="FIELD=VALUE", action="append", default=[],
                        help="a field instead of the solver file's, as in base_lr=0.001; repeatable")  # fmt: skip
    parser.add_argument("--tensorboard", metavar="DIR", help="also write the log's numbers there, for TensorBoard")
    add_state(parser, phase=None)
    add_device(parser, several=True)
    parser.add_argument("--precision", choices=("fp32", "tf32", "bf16", "fp16"), default="fp32", help="of "
                        "convolutions, inner products and what lies between them; losses, statistics and updates stay "
                        "fp32; fp16 scales the loss; default %(default)s")  # fmt: skip
    parser.add_argument("--compile", action="store_true", help="run the train net with torch.compile, where it allows")
    parser.add_argument("--cuda-graphs", action="store_true", help="record an iteration's passes once and replay them: "
                        "on a GPU, batches of one size, no layers that work on the CPU")  # fmt: skip
    effects = ("stop", "snapshot", "none")
    for name, default in (("sigint_effect", "stop"), ("sighup_effect", "snapshot")):
        parser.add_argument(f"-{name}", f"--{name}", f"--{name.replace('_', '-')}", choices=effects, default=default,
                            help=f"what {name[:3].upper()}{name[3:6].upper()} does; default %(default)s")  # fmt: skip
    parser.add_argument("--channels-last", action="store_true", help="memory layout that is often faster; sums round "
                        "more coarsely on the CPU")  # fmt: skip
    add_strict(parser)
    add_python(parser)


def run(args: argparse.Namespace) -> int:
    from caffe_compat.proto import read_solver
    from caffe_compat.solver import Solver
    from caffe_compat.tools.launch import launched, own_device, ranks_of, start_ranks
    from caffe_compat.tools.progress import listener
    from caffe_compat.tools.tensorboard import both

    if args.solver and args.file:
        raise UsageError(f"two solvers are given, {args.file} and --solver {args.solver}; accepted: one of them")
    path = args.solver or args.file
    if not path:
        raise UsageError("no solver given; name its prototxt: --solver solver.prototxt")
    if args.snapshot and args.weights and args.snapshot != "auto":
        raise UsageError("--snapshot and --weights are both given; accepted: a snapshot to continue, or weights to "
                         "fine-tune from, not both")  # fmt: skip
    document = read_solver(Path(path), args.strict, args.solver_override)
    places = devices(args)
    if len(places) > 1 and not launched():
        return start_ranks([sys.executable, "-m", "caffe_compat", *args.command_line], len(places))
    device = own_device(places)
    with ranks_of(device) as ranks, listener() as log, _board(args, ranks.first) as board:
        if args.snapshot == "auto":
            _find_snapshot(args, document.message.snapshot_prefix, ranks.first)
        solver = Solver(
            document, args.weights, device, args.level, stages(args), log=both(log, board), snapshot=args.snapshot,
            strict=args.strict, channels_last=args.channels_last, precision=args.precision, compile=args.compile,
            cuda_graphs=args.cuda_graphs, ranks=ranks,
        )  # fmt: skip
        if ranks.first:
            log.follow(solver)
        solver.solve(args.sigint_effect, args.sighup_effect)
    return 0


def _board(args: argparse.Namespace, first: bool) -> AbstractContextManager[Any]:
    from caffe_compat.tools.tensorboard import TensorBoard

    return TensorBoard(args.tensorboard) if args.tensorboard and first else nullcontext()


def _find_snapshot(args: argparse.Namespace, prefix: str, first: bool) -> None:
    """Put the newest snapshot in the place of "auto"; with one, --weights are left out."""
    from caffe_compat.tools.newest_snapshot import newest_snapshot

    args.snapshot, notes = newest_snapshot(prefix)
    tell_notes(notes if first else [])
    if args.snapshot:
        args.weights = None
