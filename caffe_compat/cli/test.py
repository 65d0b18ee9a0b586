"""Score a net over its TEST data: the mean of every output over the iterations, as `caffe test` prints it."""

from __future__ import annotations

import argparse

from caffe_compat.cli.options import add_device, add_model, add_state, add_strict, add_weights, load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    add_weights(parser)
    parser.add_argument("-iterations", "--iterations", type=int, default=50, help="batches to run; default %(default)s")
    add_state(parser, phase=None)
    add_device(parser)
    add_strict(parser)


def run(args: argparse.Namespace) -> int:
    from caffe_compat.tools.scores import print_scores

    print_scores(load(args, "TEST"), args.iterations)
    return 0
