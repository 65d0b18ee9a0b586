"""Draw the log of a training, or several for comparison: loss, accuracy (and other outputs), learning rate.

Needs matplotlib: pip install 'caffe-compat[plot]'
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("logs", nargs="+", help="the log files")
    parser.add_argument("-o", "--out", metavar="FILE", help=".png or .svg; default: the first log's name with .png")


def run(args: argparse.Namespace) -> int:
    from caffe_compat.tools.log_plot import plot_logs
    from caffe_compat.tools.training_log import read_log

    out = args.out or f"{Path(args.logs[0]).name}.png"
    plot_logs([read_log(path) for path in args.logs], out)
    print(out)
    return 0
