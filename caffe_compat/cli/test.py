"""Score a net over its TEST data: the mean of every output over the iterations, as `caffe test` prints it."""

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
                        help="batches to run; default %(default)s")  # fmt: skip
    add_state(parser, phase=None)
    add_device(parser)
    add_strict(parser)
    add_python(parser)


def run(args: argparse.Namespace) -> int:
    from caffe_compat.tools.scores import print_scores

    print_scores(load(args, "TEST"), args.iterations)
    return 0
