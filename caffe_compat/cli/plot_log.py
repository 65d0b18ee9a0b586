"""Draw the log of a training, or several for comparison: loss, accuracy (and other outputs), learning rate.

The arguments of Caffe's plot_training_log.py are taken, too (the number of a chart, the picture, the logs); the picture
shows all charts. Needs matplotlib: pip install 'caffe-compat[plot]'
"""

from __future__ import annotations

import argparse
from pathlib import Path

_CHARTS = tuple("01234567")  # of plot_training_log.py


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("logs", nargs="+", help="the log files")
    parser.add_argument("-o", "--out", metavar="FILE", help=".png or .svg; default: the first log's name with .png")


def run(args: argparse.Namespace) -> int:
    from caffe_compat.tools.log_plot import plot_logs
    from caffe_compat.tools.training_log import read_log

    out, logs = args.out, args.logs
    if not out and len(logs) > 2 and logs[0] in _CHARTS and not Path(logs[0]).exists():
        out, *logs = logs[1:]
    out = out or f"{Path(logs[0]).name}.png"
    plot_logs([read_log(path) for path in logs], out)
    print(out)
    return 0
