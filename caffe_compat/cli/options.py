"""Options that several commands share, with Caffe's names: ``-model x``, ``--model x`` and ``--model=x`` are one."""

from __future__ import annotations

import argparse
import os
from typing import Any

from caffe_compat.errors import CaffeCompatError


def add_model(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """The net, as an option or as the first word."""
    parser.add_argument("net", nargs="?", help="the net prototxt")
    parser.add_argument("-model", "--model", metavar="FILE", help="the same, as Caffe's flag")
    parser.set_defaults(model_required=required)


def model_path(args: argparse.Namespace) -> str:
    """The net given in either way. Raises CaffeCompatError when there is none."""
    path = args.model or args.net
    if not path:
        raise CaffeCompatError("no net given; name its prototxt: --model net.prototxt")
    return str(path)


def add_weights(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-weights", "--weights", metavar="FILE[,FILE]", help=".caffemodel files, loaded in order by layer name"
    )


def add_state(parser: argparse.ArgumentParser, phase: str | None = "TEST") -> None:
    """Phase, level and stages of the net."""
    if phase:
        parser.add_argument(
            "-phase", "--phase", default=phase, type=str.upper, choices=("TRAIN", "TEST"), help="default %(default)s"
        )
    parser.add_argument("-level", "--level", type=int, default=0, help="network level; default 0")
    parser.add_argument("-stage", "--stage", default="", metavar="A,B", help="network stages, separated by commas")


def stages(args: argparse.Namespace) -> tuple[str, ...]:
    return tuple(stage for stage in args.stage.split(",") if stage)


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-gpu", "--gpu", metavar="ID", help="run on this GPU (0, 1, ...); default: CPU")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads; default: one per core")


def device(args: argparse.Namespace) -> str:
    """The torch device that ``--gpu`` names; also sets the threads. Raises CaffeCompatError without a GPU."""
    import torch

    if args.threads is not None:
        if args.threads < 1:
            raise CaffeCompatError(f"--threads {args.threads}: accepted: 1 or more")
        torch.set_num_threads(args.threads)
    if args.gpu is None:
        return "cpu"
    count = torch.cuda.device_count()
    if not args.gpu.isdigit() or int(args.gpu) >= count:
        found = f"GPUs found: 0 to {count - 1}" if count else "no GPU was found"
        raise CaffeCompatError(f"--gpu {args.gpu}: {found}; accepted: one number; leave --gpu out for the CPU")
    return f"cuda:{args.gpu}"


def add_strict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--strict", action="store_true", help="unknown fields in a prototxt are errors, as in Caffe")


def load(args: argparse.Namespace, phase: str | None = None) -> Any:
    """The net that the options describe; notes about the file go to stderr."""
    import sys

    from caffe_compat.api import load_net

    where = device(args) if hasattr(args, "gpu") else "cpu"
    net = load_net(
        model_path(args), phase or args.phase, args.level, stages(args), args.weights, where,
        strict=getattr(args, "strict", False),
    )  # fmt: skip
    for note in net.document.notes:
        print(f"caffe-compat: note: {note}", file=sys.stderr)
    return net


def existing(path: str) -> str:
    """A file that must exist. Raises CaffeCompatError."""
    if not os.path.exists(path):
        raise CaffeCompatError(f"{path}: no such file")
    return path
