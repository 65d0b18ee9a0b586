"""Compare an ONNX file with the net that it came from: random inputs, several batch sizes, every output.

Where they differ, the first blob that departs is named with its layer. Exit status 1 if they differ.
"""

from __future__ import annotations

import argparse

from caffe_compat.cli.options import add_model, add_state, add_strict, add_weights, existing, model_path, stages


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("onnx", help="the .onnx file")
    add_model(parser)
    add_weights(parser)
    parser.add_argument("--tolerance", type=float, default=1e-4, help="of an output's largest value; default %(default)g")
    add_state(parser, phase=None)
    add_strict(parser)


def run(args: argparse.Namespace) -> int:
    from caffe_compat.api import load_net
    from caffe_compat.export.deploy import deploy_net
    from caffe_compat.export.verify import verify
    from caffe_compat.net import Net
    from caffe_compat.proto import read_net
    from caffe_compat.weights import load_weights

    existing(args.onnx)
    document = read_net(model_path(args), strict=args.strict)
    deployed = deploy_net(document, args.level, stages(args))
    net = Net(deployed.document, "TEST", args.level, stages(args))
    load_weights(net, args.weights)
    report = verify(net, args.onnx, tolerance=args.tolerance)
    print(report)
    return 0 if report.ok else 1
