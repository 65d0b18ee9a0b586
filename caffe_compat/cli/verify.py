"""Compare an ONNX file with the net that it came from: random inputs, several batch sizes, every output.

Where they differ, the first blob that departs is named with its layer. Exit status 1 if they differ.
"""

from __future__ import annotations

import argparse

from caffe_compat.cli.options import (
    UsageError,
    add_input_shape,
    add_model,
    add_python,
    add_state,
    add_strict,
    add_weights,
    existing,
    model_path,
    positive,
    stages,
    tell_notes,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("onnx", help="the .onnx file")
    add_model(parser)
    add_weights(parser)
    parser.add_argument("--tolerance", type=positive, default=1e-4, metavar="PART", help="allowed difference, as a "
                        "share of an output's largest value; default %(default)g")  # fmt: skip
    add_input_shape(parser)
    add_state(parser, phase=None)
    add_strict(parser)
    add_python(parser)


def run(args: argparse.Namespace) -> int:
    from caffe_compat.errors import WeightsError
    from caffe_compat.export.deploy import deploy_net
    from caffe_compat.export.input_shape import parse_input_shapes, shapes_given
    from caffe_compat.export.verify import verify
    from caffe_compat.net import Net
    from caffe_compat.proto import read_net
    from caffe_compat.weights import load_weights

    existing(args.onnx)
    document = read_net(model_path(args), strict=args.strict)
    tell_notes(document.notes)
    shapes = parse_input_shapes(args.input_shape)
    deployed = deploy_net(document, args.level, stages(args), shapes)
    with shapes_given(shapes):
        net = Net(deployed.document, "TEST", args.level, stages(args))
    if args.weights:
        try:
            loaded = load_weights(net, args.weights)
        except WeightsError as error:  # an assumed shape may be the reason
            raise WeightsError("\n".join([str(error), *(f"note: {note}" for note in deployed.notes)])) from error
        tell_notes([f"{args.weights}: {loaded}"] if loaded.untouched else [])
    elif net.learnable:
        raise UsageError("no weights given, and those of the ONNX file are to be compared; name them: --weights FILE")
    report = verify(net, args.onnx, tolerance=args.tolerance)
    print(report)
    return 0 if report.ok else 1
