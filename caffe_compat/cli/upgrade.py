"""Rewrite an old net or solver in the current form, as Caffe's upgrade_net_proto_text, upgrade_net_proto_binary and
upgrade_solver_proto_text do.

Text becomes text, and binary files (.caffemodel) binary. OUTPUT may be the input: it is replaced when the new one is
complete. What was upgraded is told on stderr, with its line.
"""

from __future__ import annotations

import argparse

from caffe_compat.cli.options import add_import, tell_notes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", help="the old file")
    parser.add_argument("output", help="what to write")
    parser.add_argument("--kind", choices=("net", "solver"), help="default: told from the content")
    add_import(parser)


def run(args: argparse.Namespace) -> int:
    from caffe_compat.tools.upgrading import upgrade_file

    kind, notes = upgrade_file(args.input, args.output, args.kind)
    tell_notes(notes)
    print(f"{args.output}: {kind}, {'upgraded' if notes else 'current already'}")
    return 0
