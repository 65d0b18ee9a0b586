"""What this machine computes on: CPU threads, and GPUs with name, memory and compute capability.

GPUs are numbered as --gpu of the other commands counts them.
"""

from __future__ import annotations

import argparse
import json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-gpu", "--gpu", default="all", metavar="ID[,ID]", help="these GPUs only; default: all")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    from caffe_compat.tools.devices import as_text, cpu, gpus

    processor, cards = cpu(), gpus(args.gpu)
    print(json.dumps({"cpu": processor, "gpus": cards}, indent=1) if args.json else as_text(processor, cards))
    return 0
