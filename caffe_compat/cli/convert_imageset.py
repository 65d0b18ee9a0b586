"""The images of a list ("path label" on each line) to LMDB, with the arguments and flags of Caffe's convert_imageset.

  caffe-compat convert-imageset --resize_height=256 --resize_width=256 --shuffle images/ train.txt train_lmdb

ROOT stands before each path of the list. Resizing needs both sizes. An image that cannot be read is an error, where
Caffe goes on without it: --skip-damaged does so, and tells of each.
"""

from __future__ import annotations

import argparse
import sys

from caffe_compat.cli.options import at_least, tell_backend, tell_notes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("root", help="the folder of the images")
    parser.add_argument("list", help="the list file")
    parser.add_argument("out", metavar="DB", help="the LMDB folder to write")
    _flag(parser, "gray", "store one channel")
    _flag(parser, "shuffle", "in random order (see --seed)")
    _flag(parser, "encoded", "store compressed images")
    _flag(parser, "check_size", "images of another size than the first are errors")
    for name in ("resize_width", "resize_height"):
        parser.add_argument(*_names(name), type=at_least(0), default=0, metavar="N", help="pixels; default: kept")
    parser.add_argument(*_names("encode_type"), default="", metavar="TYPE", help="png, jpg, ...: store them so")
    parser.add_argument(*_names("backend"), default="lmdb", choices=("lmdb", "leveldb"),
                        help="Caffe's flag; an LMDB is written in any case")  # fmt: skip
    parser.add_argument("--seed", type=at_least(0), default=1, help="of the order with --shuffle; default %(default)s")
    parser.add_argument("--skip-damaged", action="store_true", help="leave out images that cannot be read")
    parser.add_argument("--overwrite", action="store_true", help="replace the data base that is there")


def run(args: argparse.Namespace) -> int:
    from caffe_compat.data.imageset import convert_imageset

    done = convert_imageset(
        args.root, args.list, args.out, gray=args.gray, shuffle=args.shuffle, resize_width=args.resize_width,
        resize_height=args.resize_height, encoded=args.encoded, encode_type=args.encode_type,
        check_size=args.check_size, seed=args.seed, overwrite=args.overwrite,
        skip_damaged=args.skip_damaged, progress=_progress if sys.stderr.isatty() else None,
    )  # fmt: skip
    tell_notes(done.skipped)
    tell_backend(args.backend, args.out)
    print(f"{args.out}: processed {done.records} files" + (f", left out {len(done.skipped)}" if done.skipped else ""))
    return 0


def _names(name: str) -> list[str]:
    """Caffe's flag in each way of writing it."""
    return list(dict.fromkeys([f"-{name}", f"--{name}", f"--{name.replace('_', '-')}"]))


def _flag(parser: argparse.ArgumentParser, name: str, text: str) -> None:
    """A flag that, as in Caffe, may be followed by ``=true`` or ``=false`` (or t, yes, y, 1, ...), or begin with no."""
    parser.add_argument(*_names(name), action="store_true", dest=name, help=text)
    for values, action in (("true t yes y 1", "store_true"), ("false f no n 0", "store_false")):
        ways = [f"{way}={value}" for way in _names(name) for value in values.split()]
        parser.add_argument(*ways, action=action, dest=name, default=False, help=argparse.SUPPRESS)
    parser.add_argument(*_names(f"no{name}"), action="store_false", dest=name, default=False, help=argparse.SUPPRESS)


def _progress(done: int, total: int) -> None:
    if done % 1000 == 0 or done == total:
        print(f"\r{done}/{total}", end="\n" if done == total else "", file=sys.stderr, flush=True)
