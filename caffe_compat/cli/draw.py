"""Draw a net as SVG or PNG: a box for each layer, coloured by its kind, shapes of the blobs on the links; layers that
work in place share a box. Neither Graphviz nor the net's data is needed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from caffe_compat.cli.options import add_python, add_state, add_strict, stages, tell_notes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("net", help="the net prototxt")
    parser.add_argument("out", nargs="?", help="what to write, .svg or .png; default: the net's name with .svg, here")
    parser.add_argument("--rankdir", default="TB", type=str.upper, choices=("TB", "LR"),
                        help="from top to bottom, or from left to right; default %(default)s")  # fmt: skip
    parser.add_argument("--input-shape", metavar="BLOB:N,C,H,W", action="append", default=[],
                        help="shape of an input or of a data layer's top, where it is not known")  # fmt: skip
    add_state(parser, phases=("TRAIN", "TEST", "ALL"))
    add_strict(parser)
    add_python(parser)


def run(args: argparse.Namespace) -> int:
    from caffe_compat.export.input_shape import parse_input_shapes
    from caffe_compat.proto import read_net
    from caffe_compat.tools.draw import draw_net

    document = read_net(Path(args.net), strict=args.strict, tolerant=not args.strict)
    out = args.out or Path(args.net).with_suffix(".svg").name
    shapes = parse_input_shapes(args.input_shape)
    notes = draw_net(document, out, args.rankdir, args.phase, args.level, stages(args), shapes)
    tell_notes(document.notes + notes)
    print(out)
    return 0
