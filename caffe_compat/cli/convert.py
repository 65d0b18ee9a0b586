"""Convert weights between .caffemodel, .caffemodel.h5, .safetensors and .npz, in every direction, value for value.

The names' ends say the formats. In .safetensors and .npz the blobs are called as in the state_dict of the net
(conv1.weight), so those need the net: --model. Its data need not be there. .safetensors needs
pip install 'caffe-compat[safetensors]', .h5 needs 'caffe-compat[hdf5]'.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from caffe_compat.cli.options import add_input_shape, add_python, add_state, add_strict, stages, tell_notes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", help="the weights to convert")
    parser.add_argument("output", help="what to write")
    parser.add_argument("-model", "--model", metavar="FILE", help="the net prototxt")
    add_input_shape(parser)
    add_state(parser)
    add_strict(parser)
    add_python(parser)


def run(args: argparse.Namespace) -> int:
    from caffe_compat.tools.converting import convert

    print(f"{args.output}: {convert(args.input, args.output, _net(args))}")
    return 0


def _net(args: argparse.Namespace) -> Any:
    from caffe_compat.export.dataless import build_without_data
    from caffe_compat.export.input_shape import parse_input_shapes
    from caffe_compat.proto import read_net

    if not args.model:
        return None
    document = read_net(Path(args.model), strict=args.strict)
    tell_notes(document.notes)
    shapes = parse_input_shapes(args.input_shape)
    return build_without_data(document, args.phase, args.level, stages(args), shapes, "cpu")
