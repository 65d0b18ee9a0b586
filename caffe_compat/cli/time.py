"""Time every layer, forward and backward: the mean over the iterations, in milliseconds, as `caffe time` prints it."""

from __future__ import annotations

import argparse

from caffe_compat.cli.options import (
    add_device,
    add_model,
    add_python,
    add_state,
    add_strict,
    add_weights,
    at_least,
    load,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    add_weights(parser)
    parser.add_argument("-iterations", "--iterations", type=at_least(1), default=50, metavar="N",
                        help="passes to time; default %(default)s")  # fmt: skip
    add_state(parser, phase="TRAIN")
    add_device(parser)
    add_strict(parser)
    add_python(parser)


def run(args: argparse.Namespace) -> int:
    from caffe_compat.tools.timing import print_times

    print_times(load(args), args.iterations)
    return 0
