"""The whole line on real handwritten digits, in about a minute.

Train with softmax, fine-tune with SM-Softmax, export to ONNX, verify, classify single pictures, draw what happened.

Uses the 2,000 + 500 digits that ship with the package; --mnist DIR takes the full MNIST (its four idx files).
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", default="demo-output", metavar="DIR", help="where to write; default %(default)s")
    parser.add_argument("--mnist", metavar="DIR", help="the folder with MNIST's idx files")


def run(args: argparse.Namespace) -> int:
    from caffe_compat.tools.demo import run_demo

    run_demo(Path(args.out), Path(args.mnist).resolve() if args.mnist else None)
    return 0
