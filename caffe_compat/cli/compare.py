"""Compare two runs: two logs, two weight files, or two series of snapshots (their prefixes or folders).

Logs and snapshots: the first iteration at which each quantity or blob parts. Weights (.caffemodel, .h5, .safetensors,
.npz): how much each blob differs. A difference counts as a share of the larger value (of a blob's largest one). Exit
status 1 if they differ by more than the tolerance.
"""

from __future__ import annotations

import argparse
import json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("first", help="a log, a weight file, or the prefix of snapshots")
    parser.add_argument("second", help="another one")
    parser.add_argument("--tolerance", type=float, default=1e-5,
                        help="allowed share; default %(default)g (logs have six digits); 0: equal")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    from caffe_compat.tools.comparing import compare
    from caffe_compat.tools.comparison_text import as_text

    compared = compare(args.first, args.second, args.tolerance)
    print(json.dumps(compared.facts(), indent=1) if args.json else as_text(compared))
    return 1 if compared.parted else 0
