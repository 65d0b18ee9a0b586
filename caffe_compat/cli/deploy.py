"""Turn a train_val prototxt into a deploy prototxt: data layers become inputs, losses become probabilities.

Labels, Accuracy and what only they need are left out. Prints the prototxt, or writes it with --out.
"""

from __future__ import annotations

import argparse

from caffe_compat.cli.options import (
    add_import,
    add_input_shape,
    add_model,
    add_state,
    add_strict,
    model_path,
    stages,
    tell_notes,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument("-o", "--out", metavar="FILE", help="write the prototxt there")
    add_input_shape(parser)
    add_state(parser, phase=None)
    add_strict(parser)
    add_import(parser)


def run(args: argparse.Namespace) -> int:
    from caffe_compat.export.deploy import deploy_net
    from caffe_compat.export.input_shape import parse_input_shapes
    from caffe_compat.files import atomic_write
    from caffe_compat.proto import read_net

    document = read_net(model_path(args), strict=args.strict)
    tell_notes(document.notes)
    deployed = deploy_net(document, args.level, stages(args), parse_input_shapes(args.input_shape))
    if not args.out:
        print(deployed.text, end="")
        return 0
    with atomic_write(args.out, "w") as file:
        file.write(deployed.text)
    print(f"{args.out}: {len(deployed.net.layer)} layers")
    return 0
