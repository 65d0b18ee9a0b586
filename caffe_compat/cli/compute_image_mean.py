"""The mean image of a data base, as Caffe's compute_image_mean makes it, and the mean of each channel.

The file serves as transform_param's mean_file; the printed numbers serve as mean_value.
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("database", help="the folder of the LMDB or LevelDB")
    parser.add_argument("out", nargs="?", help="what to write (.binaryproto); default: print only")
    parser.add_argument("-backend", "--backend", default="lmdb", choices=("lmdb", "leveldb"),
                        help="Caffe's flag; the data base itself tells what it is")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    from caffe_compat.tools.mean_image import mean_image

    print(mean_image(args.database, args.out))
    return 0
