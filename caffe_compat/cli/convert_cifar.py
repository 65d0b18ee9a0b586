"""CIFAR-10 or CIFAR-100 to LMDB, from the unpacked folder of the binary version, or an .npz (no pickles).

Writes OUT_train_lmdb and OUT_test_lmdb, which Data layers read, and with --mean also OUT_mean.binaryproto.
With --tiny the source is the subset that ships with the package (1,000 and 200 images of CIFAR-10).
--pad 4 stores 40x40 images, of which training crops 32x32.
"""

from __future__ import annotations

import argparse

from caffe_compat.cli.convert_mnist import add_conversion, report, source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_conversion(parser, "the folder with the .bin files, or an .npz")
    parser.add_argument("--coarse", action="store_true", help="CIFAR-100: the 20 coarse labels")


def run(args: argparse.Namespace) -> int:
    from caffe_compat.data.convert import convert_cifar

    found = source(args, "cifar10")
    report(convert_cifar(found, args.out, coarse=args.coarse, pad=args.pad, mean=args.mean, overwrite=args.overwrite))
    return 0
