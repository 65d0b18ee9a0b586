"""Keep blobs of a net, as it goes over its TEST data: features for another program or for a second net.

The arguments are those of Caffe's extract_features: weights, net, blobs, outputs, number of batches, [lmdb], [CPU|GPU],
[id of the GPU]. Outputs are one new LMDB for each blob, of float records that Data layers read; or one .npz for all.

  caffe-compat extract-features lenet.caffemodel lenet.prototxt ip1,ip2 ip1_lmdb,ip2_lmdb 100
  caffe-compat extract-features lenet.caffemodel lenet.prototxt ip1,label features.npz 100
"""

from __future__ import annotations

import argparse

from caffe_compat.cli.options import add_device, add_python, add_state, add_strict, at_least, load, tell_backend


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("weights", help="the weight file (.caffemodel or .caffemodel.h5)")
    parser.add_argument("net", help="the net prototxt, with a data layer")
    parser.add_argument("blobs", metavar="BLOB[,BLOB]", help="the blobs to keep")
    parser.add_argument("outputs", metavar="DB[,DB] | FILE.npz", help="what to write")
    parser.add_argument("batches", type=at_least(1), help="passes to run, a batch each")
    parser.add_argument("backend", nargs="?", default="lmdb", choices=("lmdb", "leveldb"),
                        help="as Caffe's; an LMDB is written in any case")  # fmt: skip
    parser.add_argument("mode", nargs="?", default="CPU", choices=("CPU", "GPU"), help="as Caffe's; default CPU")
    parser.add_argument("gpu_id", nargs="?", default="0", help="as Caffe's, after GPU; default 0")
    parser.add_argument("--overwrite", action="store_true", help="replace data bases that are there")
    add_state(parser, phase=None)
    add_device(parser)
    add_strict(parser)
    add_python(parser)


def run(args: argparse.Namespace) -> int:
    from caffe_compat.tools.features import extract_features

    args.model, args.gpu = None, args.gpu or (args.gpu_id if args.mode == "GPU" else None)
    outputs = args.outputs.split(",")
    count = extract_features(load(args, "TEST"), args.blobs.split(","), outputs, args.batches, args.overwrite)
    tell_backend(args.backend, *(path for path in outputs if not path.endswith(".npz")))
    print(f"Extracted features of {count} images: {', '.join(outputs)}")
    return 0
