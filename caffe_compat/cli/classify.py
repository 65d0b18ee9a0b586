"""Classify pictures with an exported ONNX file; it knows its preprocessing and its labels. Needs no torch."""

from __future__ import annotations

import argparse
import json

from caffe_compat.cli.options import at_least, existing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("onnx", help="the .onnx file")
    parser.add_argument("images", nargs="+", help="pictures (PNG, JPEG, ...)")
    parser.add_argument("--top", type=at_least(1), default=5, metavar="K", help="classes to print; default %(default)s")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N; default %(default)s")


def run(args: argparse.Namespace) -> int:
    from caffe_compat.export.classifier import Classifier

    existing(args.onnx)
    found = Classifier(args.onnx, args.device).classify(args.images, args.top)
    if args.json:
        rows = [{"image": name, "classes": [guess._asdict() for guess in guesses]}
                for name, guesses in zip(args.images, found, strict=True)]  # fmt: skip
        print(json.dumps(rows, indent=1))
        return 0
    for name, guesses in zip(args.images, found, strict=True):
        print(name)
        for guess in guesses:
            print(f"  {guess.probability:7.2%}  {guess.label}")
    return 0
