"""The command ``caffe-compat``: one command a file; ``main`` finds it and shows errors as one readable message."""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

COMMANDS = {
    "train": "train a net from its solver prototxt",
    "test": "score a net over its TEST data",
    "time": "time every layer, forward and backward",
    "export": "write a trained net as ONNX, verified against torch",
    "deploy": "turn a train_val prototxt into a deploy prototxt",
    "verify": "compare an ONNX file with the net that it came from",
    "classify": "classify pictures with an exported ONNX file",
    "evaluate": "accuracy of an exported ONNX file over a net's TEST data",
    "check": "tell of each file whether it parses, builds, trains, exports and matches",
    "summary": "list the layers of a net with shapes and parameters",
    "layers": "table of the supported layer types, and the page of each",
    "convert-mnist": "MNIST's idx files (or .npz) to LMDB",
    "convert-cifar": "CIFAR's binary files (or .npz) to LMDB",
    "demo": "train, fine-tune with SM-Softmax, export and classify, on digits that ship with the project",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 if all went well, 1 for an error, 2 for wrong usage."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        from caffe_compat import __version__

        print(f"caffe-compat {__version__}")
        return 0
    name = arguments[0].replace("_", "-")
    if name not in COMMANDS:
        return _unknown(name)
    module = importlib.import_module(f"caffe_compat.cli.{name.replace('-', '_')}")
    parser = argparse.ArgumentParser(f"caffe-compat {name}", description=module.__doc__, formatter_class=_Formatter)
    module.add_arguments(parser)
    parser.add_argument("--debug", action="store_true", help="show a traceback with an error")
    return _run(module, parser.parse_args(arguments[1:]))


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the paragraphs of a description."""


def _overview() -> str:
    width = max(len(name) for name in COMMANDS)
    lines = [f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()]
    return "\n".join(
        ["usage: caffe-compat COMMAND [options]", "", "Caffe's nets and solvers in PyTorch, exported to ONNX.", "", *lines]
        + ["", "caffe-compat COMMAND --help tells the options of a command."]
    )


def _unknown(name: str) -> int:
    near = difflib.get_close_matches(name, COMMANDS, n=2)
    hint = f"did you mean {' or '.join(near)}?" if near else f"commands: {', '.join(COMMANDS)}"
    print(f"caffe-compat: unknown command '{name}'; {hint}", file=sys.stderr)
    return 2


def _run(module: Any, args: argparse.Namespace) -> int:
    from caffe_compat.errors import CaffeCompatError

    try:
        return int(module.run(args) or 0)
    except CaffeCompatError as error:
        if args.debug:
            raise
        print(f"caffe-compat: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("caffe-compat: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(main())
