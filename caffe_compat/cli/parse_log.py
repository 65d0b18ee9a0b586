"""Tables from the log of a training, as Caffe's parse_log.py makes them: LOG.train and LOG.test, CSV with the columns
NumIters, Seconds, LearningRate, and the net's outputs.

Reads what caffe-compat and every version of Caffe write to stderr, with or without glog's prefix. LearningRate is that
of the row's own iteration (parse_log.py gives a row the rate of the row before it). Further test nets' outputs are
called net1.NAME; further values of one output NAME.1.
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("log", help="the log file")
    parser.add_argument("folder", nargs="?", default=".", help="where to write; default: here")
    parser.add_argument("--json", action="store_true", help="print both tables as JSON instead")
    parser.add_argument("--delimiter", default=",", help="between columns; default %(default)s")
    parser.add_argument("--verbose", action="store_true", help="Caffe's flag; the files are told in any case")


def run(args: argparse.Namespace) -> int:
    from caffe_compat.tools.log_tables import as_json, write_tables
    from caffe_compat.tools.training_log import read_log

    log = read_log(args.log)
    if args.json:
        print(as_json(log))
        return 0
    for path, rows in write_tables(log, args.folder, args.delimiter).items():
        print(f"{path}: {rows} rows")
    return 0
