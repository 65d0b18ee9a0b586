"""List the layers of a net: type, tops with shapes, parameters; weights may be missing."""

from __future__ import annotations

import argparse

from caffe_compat.cli.options import add_model, add_python, add_state, add_strict, load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    add_state(parser)
    add_strict(parser)
    add_python(parser)


def run(args: argparse.Namespace) -> int:
    from caffe_compat.tools.summary import summary

    print(summary(load(args)))
    return 0
