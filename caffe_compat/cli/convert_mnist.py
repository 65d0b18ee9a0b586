"""MNIST's four idx files (plain or .gz), or an .npz, to LMDB.

Writes OUT_train_lmdb and OUT_test_lmdb, which Data layers read, and with --mean also OUT_mean.binaryproto.
With --tiny the source is the subset that ships with the package (2,000 and 500 digits).
"""

from __future__ import annotations

import argparse
from typing import Any

from caffe_compat.cli.options import UsageError, at_least


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_conversion(parser, "the folder with the idx files, or an .npz")


def run(args: argparse.Namespace) -> int:
    from caffe_compat.data.convert import convert_mnist

    report(convert_mnist(source(args, "mnist"), args.out, pad=args.pad, mean=args.mean, overwrite=args.overwrite))
    return 0


def add_conversion(parser: argparse.ArgumentParser, source_help: str) -> None:
    """What the converters share."""
    parser.add_argument("source", nargs="?", help=source_help)
    parser.add_argument("--tiny", action="store_true", help="take the small real subset that ships with the package")
    parser.add_argument("--out", required=True, metavar="PREFIX", help="prefix of what is written, e.g. data/mnist")
    parser.add_argument("--mean", action="store_true", help="also write the mean image of the training set")
    parser.add_argument("--pad", type=at_least(0), default=0, metavar="N", help="zero pixels added on every side")
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")


def source(args: argparse.Namespace, name: str) -> Any:
    """The source named on the command line, or the subset of the package.

    Raises CaffeCompatError for no source, or for two.
    """
    if bool(args.source) == args.tiny:
        raise UsageError(f"name the source of {name}: a folder, an .npz, or --tiny (one of them)")
    if args.tiny:
        from caffe_compat.data.tiny import tiny

        return tiny(name)
    return args.source


def report(converted: Any) -> None:
    """Say what was written."""
    print(f"{converted.train}: {converted.train_records:,} images")
    print(f"{converted.test}: {converted.test_records:,} images")
    if converted.mean:
        print(f"{converted.mean}: mean of the training set")
