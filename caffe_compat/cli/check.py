"""Tell of each file whether it parses, builds, trains one step on random data, exports, and matches in onnxruntime.

Folders are searched for prototxt and weights files. Data layers are replaced by random inputs. One bad file never stops
the rest: each is checked in a process of its own, with limits of time and memory. Exit status 1 if any file failed.
"""

from __future__ import annotations

import argparse
import json

from caffe_compat.cli.options import add_python, at_least, positive
from caffe_compat.errors import CaffeCompatError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", help="files and folders")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    parser.add_argument("--seconds", type=positive, default=120, help="limit of time per file; default %(default)g")
    parser.add_argument("--memory", type=positive, default=8, metavar="GB", help="limit per file; default %(default)g")
    parser.add_argument("--jobs", type=at_least(1), metavar="N", help="files at once; default one per core")
    add_python(parser)


def run(args: argparse.Namespace) -> int:
    from caffe_compat.check import as_text, check_all, find_files

    files = find_files(args.files)
    if not files:
        raise CaffeCompatError(f"{', '.join(args.files)}: there is no prototxt and no weights file; name the files")
    rows = list(check_all(files, args.seconds, args.memory, args.jobs, args.allow_python or ()))
    print(json.dumps(rows, indent=1) if args.json else as_text(rows))
    return 0 if all(stage["ok"] for row in rows for stage in row.values() if isinstance(stage, dict)) else 1
