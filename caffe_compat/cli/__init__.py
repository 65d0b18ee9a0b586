"""The command ``caffe-compat``: one command a file; ``main`` finds it and shows errors as one readable message."""

from __future__ import annotations

import argparse
import difflib
import errno
import importlib
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

COMMANDS = {
    "train": "train a net from its solver prototxt",
    "test": "score a net over its TEST data",
    "time": "time every layer, forward and backward",
    "device-query": "CPU threads, and GPUs with memory and compute capability",
    "export": "write a trained net as ONNX, verified against torch",
    "deploy": "turn a train_val prototxt into a deploy prototxt",
    "verify": "compare an ONNX file with the net that it came from",
    "classify": "classify pictures with an exported ONNX file",
    "evaluate": "accuracy of an exported ONNX file over a net's TEST data",
    "check": "tell of each file whether it parses, builds, trains, exports and matches",
    "summary": "list the layers of a net with shapes and parameters",
    "draw": "draw a net as SVG or PNG",
    "layers": "table of the supported layer types, and the page of each",
    "convert-mnist": "MNIST's idx files (or .npz) to LMDB",
    "convert-cifar": "CIFAR's binary files (or .npz) to LMDB",
    "convert-imageset": "the images of a list to LMDB",
    "compute-image-mean": "the mean image of a data base",
    "extract-features": "keep blobs of a net over its data, in data bases or an .npz",
    "convert": "weights between .caffemodel, .caffemodel.h5, .safetensors and .npz",
    "upgrade": "rewrite an old net or solver in the current form",
    "parse-log": "tables from the log of a training",
    "plot-log": "draw the logs of trainings",
    "compare": "two runs: where logs or snapshots part, how weights differ",
    "demo": "train, fine-tune with SM-Softmax, export and classify, on digits that ship with the project",
}

ALIASES = {
    "draw-net": ("draw",),
    "plot-training-log": ("plot-log",),
    "summarize": ("summary",),
    "upgrade-net-proto-binary": ("upgrade", "--kind", "net"),
    "upgrade-net-proto-text": ("upgrade", "--kind", "net"),
    "upgrade-solver-proto-text": ("upgrade", "--kind", "solver"),
}
"""Caffe's names of tools that have another name here -> the command, and arguments that go before the user's."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 if all went well, 1 for an error, 2 for wrong usage."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed, as under some daemons
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - stays open as long as the process
    shown_by_others, warnings.showwarning = warnings.showwarning, _show_warning
    try:
        status = _main(arguments)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return _tell("interrupted", 130)
    except BrokenPipeError:  # the reader, such as head, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except Exception as error:  # a user gets one line; a traceback is for --debug
        if "--debug" in arguments:
            raise
        return _tell(*_readable(error))
    finally:
        warnings.showwarning = shown_by_others


def _main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        if arguments[1:2] and arguments[1] in COMMANDS:
            return _main([arguments[1], "--help"])
        print(_overview())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        from caffe_compat import __version__

        print(f"caffe-compat {__version__}")
        return 0
    name, *given = _command(arguments[0])
    if name not in COMMANDS:
        return _unknown(name)
    from caffe_compat.cli.parser import Parser

    module: Any = importlib.import_module(f"caffe_compat.cli.{name.replace('-', '_')}")
    parser = Parser(name, description=module.__doc__, formatter_class=_Formatter)
    module.add_arguments(parser)
    parser.add_argument("--debug", action="store_true", help="show a traceback with an error")
    args = parser.parse([*given, *arguments[1:]])
    if getattr(args, "own_code", None):
        from caffe_compat.tools.own_code import import_own

        import_own(args.own_code)
    if getattr(args, "allow_python", None):
        from caffe_compat.layers.python_layer import allow_python

        allow_python(*args.allow_python)
    return int(module.run(args) or 0)


def _readable(error: Exception) -> tuple[str, int]:
    """What to tell of an error, and the exit status."""
    from caffe_compat.cli.options import UsageError
    from caffe_compat.errors import CaffeCompatError

    if isinstance(error, CaffeCompatError):
        return f"error: {error}", 2 if isinstance(error, UsageError) else 1
    if isinstance(error, OSError):
        full = "cannot write the output: " if error.errno == errno.ENOSPC else ""
        return f"error: {f'{error.filename}: ' if error.filename else full}{error.strerror or error}", 1
    if isinstance(error, MemoryError) or "allocate memory" in str(error) or "out of memory" in str(error):
        return f"error: not enough memory ({error}); take smaller batches, or a device with more", 1
    text = " ".join([f"error: {type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
    return f"{text}; this is a bug: run again with --debug, and report what it shows", 1


def _tell(text: str, status: int) -> int:
    """Say ``text`` on stderr, and nothing more on a stdout that cannot be written."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    print(f"caffe-compat: {text}", file=sys.stderr)
    return status


def _show_warning(message: Warning | str, *where: Any, **more: Any) -> None:
    """A warning as a note: the place in the code that warns is of no use to who types a command."""
    print(f"caffe-compat: note: {' '.join(str(message).split())}", file=sys.stderr)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the paragraphs of a description."""


def _command(word: str) -> tuple[str, ...]:
    """The command that a word means, and the arguments that it stands for: Caffe's file names are taken, too."""
    name = word.removesuffix(".py").removesuffix(".bin").replace("_", "-")
    return ALIASES.get(name, (name,))


def _overview() -> str:
    width = max(len(name) for name in COMMANDS)
    lines = [f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()]
    head = ["usage: caffe-compat COMMAND [options]", "", "Caffe's nets and solvers in PyTorch, exported to ONNX.", ""]
    return "\n".join([*head, *lines, "", "caffe-compat COMMAND --help tells the options of a command."])


def _unknown(name: str) -> int:
    near = difflib.get_close_matches(name, COMMANDS, n=2)
    hint = f"did you mean {' or '.join(near)}?" if near else f"commands: {', '.join(COMMANDS)}"
    print(f"caffe-compat: unknown command '{name}'; {hint}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
