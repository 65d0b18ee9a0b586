"""Write a trained net as ONNX: deploy form, checked, verified in onnxruntime against torch, with its preprocessing.

Takes a train_val prototxt (data layers become inputs, losses become probabilities) or a deploy prototxt.
Nothing is written when a layer does not export or the results differ.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from caffe_compat.cli.options import (
    UsageError,
    add_input_shape,
    add_model,
    add_python,
    add_state,
    add_strict,
    add_weights,
    model_path,
    stages,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    add_weights(parser)
    parser.add_argument(
        "-o", "--out", metavar="FILE", help="what to write; default: the last weight file's name with .onnx, here"
    )
    parser.add_argument("--opset", type=int, metavar="N", help="13 to the newest that onnxruntime runs; default 17")
    parser.add_argument("--fixed-batch", metavar="N", help="fix the batch size to N ('file': as in the prototxt)")
    add_input_shape(parser)
    parser.add_argument("--output", metavar="BLOB,BLOB", help="blobs to compute; default: the net's outputs")
    parser.add_argument("--labels", metavar="FILE", help="names of the classes, one a line, kept in the file")
    parser.add_argument("--mean", metavar="FILE", help="mean image (.binaryproto), instead of the data layer's")
    parser.add_argument("--mean-values", metavar="B,G,R", help="mean of each channel, instead of the data layer's")
    parser.add_argument("--scale", type=float, help="factor after the mean, instead of the data layer's")
    parser.add_argument("--channel-order", choices=("BGR", "RGB", "GRAY"), help="default: BGR, GRAY for one channel")
    parser.add_argument("--resize", metavar="H,W", help="size of a picture before the crop; default: the net's input")
    parser.add_argument("--preprocess-in-graph", action="store_true", help="the graph subtracts the mean and scales")
    parser.add_argument("--fold", action="store_true", help="fold BatchNorm and Scale into the convolutions")
    parser.add_argument("--no-verify", action="store_true", help="do not compare onnxruntime with torch")
    add_state(parser, phase=None)
    add_strict(parser)
    add_python(parser)


def run(args: argparse.Namespace) -> int:
    from caffe_compat.export.input_shape import parse_input_shapes
    from caffe_compat.export.onnx_file import export_onnx

    print(
        export_onnx(
            model_path(args), _out(args), args.weights, level=args.level, stages=stages(args), opset=args.opset,
            batch=_batch(args.fixed_batch), input_shape=parse_input_shapes(args.input_shape) or None,
            labels=args.labels, outputs=args.output.split(",") if args.output else None, mean=args.mean,
            mean_values=_numbers("--mean-values", args.mean_values), scale=args.scale,
            channel_order=args.channel_order, resize=_size(args.resize), fold=args.fold,
            preprocess_in_graph=args.preprocess_in_graph, verify=not args.no_verify, strict=args.strict,
        )
    )  # fmt: skip
    return 0


def _out(args: argparse.Namespace) -> Path:
    if args.out:
        return Path(args.out)
    name = Path(args.weights.split(",")[-1] if args.weights else model_path(args))
    return Path(name.name).with_suffix(".onnx")


def _batch(text: str | None) -> str | int | None:
    if text is None:
        return "symbolic"
    if text == "file":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"--fixed-batch {text}: accepted: a number from 1, or 'file'")
    return int(text)


def _numbers(option: str, text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = [math.nan]
    if not all(map(math.isfinite, numbers)):
        raise UsageError(f"{option} {text}: accepted: numbers separated by commas")
    return numbers


def _size(text: str | None) -> tuple[int, int] | None:
    numbers = _numbers("--resize", text)
    if numbers is None:
        return None
    if len(numbers) not in (1, 2) or any(n != int(n) or n < 1 for n in numbers):
        raise UsageError(f"--resize {text}: accepted: H,W or one number for both")
    return int(numbers[0]), int(numbers[-1])
