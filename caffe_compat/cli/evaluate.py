"""Accuracy of an exported ONNX file over the TEST data of the prototxt that it came from; each item once."""

from __future__ import annotations

import argparse
import sys

from caffe_compat.cli.options import add_import, add_model, add_state, at_least, existing, model_path, stages


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("onnx", help="the .onnx file")
    add_model(parser)
    parser.add_argument("-iterations", "--iterations", type=at_least(1), metavar="N",
                        help="batches to run; default: all the data once")  # fmt: skip
    parser.add_argument("--output", metavar="BLOB", help="the output to look at; default: the first")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N; default %(default)s")
    add_state(parser, phase=None)
    add_import(parser)


def run(args: argparse.Namespace) -> int:
    from caffe_compat.export.evaluate import evaluate

    existing(args.onnx)
    result = evaluate(
        args.onnx, model_path(args), iterations=args.iterations, level=args.level, stages=stages(args),
        output=args.output, device=args.device, progress=_progress if sys.stderr.isatty() else None,
    )  # fmt: skip
    print(result)
    return 0


def _progress(done: int, total: int | None) -> None:
    print(f"\r{done}/{total or '?'}", end="\n" if done == total else "", file=sys.stderr, flush=True)
