"""Options that several commands share, with Caffe's names: ``-model x``, ``--model x`` and ``--model=x`` are one."""

from __future__ import annotations

import argparse
import math
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from caffe_compat.errors import CaffeCompatError, IgnoredFieldWarning


class UsageError(CaffeCompatError):
    """The command line itself is wrong: exit status 2."""


def at_least(least: int) -> Callable[[str], int]:
    """The type of an option that takes whole numbers from ``least`` on."""

    def whole(text: str) -> int:
        try:
            if int(text) >= least:
                return int(text)
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(f"{text}: accepted: a whole number from {least} on")

    return whole


def positive(text: str) -> float:
    """The type of an option that takes numbers above 0."""
    try:
        if 0 < float(text) < math.inf:
            return float(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text}: accepted: a number above 0")


def file_names(text: str) -> str:
    """The type of an option that takes files, separated by commas: at least one."""
    if not text.strip(" ,"):
        raise argparse.ArgumentTypeError(f"'{text}' names no file; leave the option out, or name one")
    return text


def add_model(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """The net, as an option or as the first word."""
    parser.add_argument("net", nargs="?", help="the net prototxt")
    parser.add_argument("-model", "--model", metavar="FILE", help="the same, as Caffe's flag")
    parser.set_defaults(model_required=required)


def model_path(args: argparse.Namespace) -> Path:
    """The net given in either way. Raises UsageError when there is none, or two."""
    if args.model and args.net:
        raise UsageError(f"two nets are given, {args.net} and --model {args.model}; accepted: one of them")
    if not (args.model or args.net):
        raise UsageError("no net given; name its prototxt: --model net.prototxt")
    return Path(args.model or args.net)


def add_input_shape(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--input-shape", metavar="BLOB:N,C,H,W", action="append", default=[],
        help="shape of an input, as in data:1,3,224,224; needed where the data of a data layer is not here; repeatable",
    )  # fmt: skip


def add_weights(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-weights", "--weights", metavar="FILE[,FILE]", type=file_names,
        help="weight files (.caffemodel or .caffemodel.h5), loaded in order by layer name",
    )  # fmt: skip


def add_state(
    parser: argparse.ArgumentParser, phase: str | None = "TEST", phases: Sequence[str] = ("TRAIN", "TEST")
) -> None:
    """Phase (one of ``phases``; None: not asked for), level and stages of the net."""
    if phase:
        parser.add_argument(
            "-phase", "--phase", default=phase, type=str.upper, choices=phases,
            help="build the net of this phase; default %(default)s",
        )  # fmt: skip
    parser.add_argument(
        "-level",
        "--level",
        type=int,
        default=0,
        help="level of the net, which include and exclude rules may ask for; default 0",
    )
    parser.add_argument(
        "-stage", "--stage", default="", metavar="A,B", help="stages of the net, likewise, separated by commas"
    )


def stages(args: argparse.Namespace) -> tuple[str, ...]:
    return tuple(stage for stage in args.stage.split(",") if stage)


def add_device(parser: argparse.ArgumentParser, several: bool = False) -> None:
    which = "these GPUs (0 or 0,1 or all)" if several else "this GPU (0, 1, ...)"
    metavar = "ID[,ID]" if several else "ID"
    parser.add_argument("-gpu", "--gpu", metavar=metavar, help=f"run on {which}; default: CPU")
    parser.add_argument("--threads", type=at_least(1), metavar="N", help="CPU threads; default: one per core")


def device(args: argparse.Namespace) -> str:
    """The torch device that ``--gpu`` names. Sets threads, a GPU to float32. Raises CaffeCompatError without one."""
    import torch

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    if args.gpu is None:
        return "cpu"
    count = torch.cuda.device_count()
    if not args.gpu.isdecimal() or int(args.gpu) >= count:
        found = f"GPUs found: 0 to {count - 1}" if count else "no GPU was found"
        raise CaffeCompatError(f"--gpu {args.gpu}: {found}; accepted: one number; leave --gpu out for the CPU")
    from caffe_compat.solver.precision import allow_tf32

    allow_tf32(False)
    return f"cuda:{args.gpu}"


def devices(args: argparse.Namespace) -> list[str]:
    """``device`` for a command that takes several GPUs: one name for each."""
    if args.gpu is None:
        return [device(args)]
    import torch

    from caffe_compat.tools.devices import gpu_ids

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    found = [f"cuda:{index}" for index in gpu_ids(args.gpu)]
    if not found:
        raise CaffeCompatError(f"--gpu {args.gpu}: no GPU was found; leave --gpu out for the CPU")
    return found


def add_strict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--strict", action="store_true", help="unknown fields in a prototxt are errors, as in Caffe")


def add_import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--import", dest="own_code", metavar="MODULE", action="append",
        help="import this module of yours (a name, or a .py file), which registers layers of your own; repeatable",
    )  # fmt: skip


def add_python(parser: argparse.ArgumentParser) -> None:
    """Code of the user's own: ``--import``, and ``--allow-python``."""
    add_import(parser)
    parser.add_argument(
        "--allow-python", metavar="MODULE", action="append",
        help="let Python layers run code of this module of yours; repeatable",
    )  # fmt: skip


def load(args: argparse.Namespace, phase: str | None = None) -> Any:
    """The net that the options describe; notes about the file go to stderr."""
    from caffe_compat.api import load_net
    from caffe_compat.weights import load_weights

    where = device(args) if hasattr(args, "gpu") else "cpu"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IgnoredFieldWarning)  # told as a note of the file
        net = load_net(
            model_path(args), phase or args.phase, args.level, stages(args), device=where, strict=args.strict
        )
    tell_notes(net.document.notes)
    if getattr(args, "weights", None):
        report = load_weights(net, args.weights)
        if report.ignored or report.untouched:
            tell_notes([f"{args.weights}: {report}"])
    return net


def tell_notes(notes: Iterable[str]) -> None:
    """What the user should know, on stderr, so that stdout holds results only."""
    for note in notes:
        print(f"caffe-compat: note: {note}", file=sys.stderr)


def tell_backend(backend: str, *written: str) -> None:
    """What became of Caffe's wish for another kind of data base than is written here."""
    if backend != "lmdb":
        tell_notes(
            f"{path} is an LMDB, not a {backend}: Data layers here read it whatever their backend says; Caffe needs "
            "backend: LMDB"
            for path in written
        )


def existing(path: str) -> str:
    """A file that must exist. Raises CaffeCompatError."""
    if not os.path.exists(path):
        raise CaffeCompatError(f"{path}: no such file")
    return path
