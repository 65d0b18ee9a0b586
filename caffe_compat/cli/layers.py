"""Which layer types are supported, and what each computes.

Without a name: the table of all types of Caffe and of the known forks (build, train, export). With a name: that layer's
page with formula, bottoms, tops, fields with defaults, refusals, and where it differs from Caffe and torch.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from caffe_compat.cli.options import add_import


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", help="a layer type, such as Convolution")
    parser.add_argument("--markdown", action="store_true", help="print Markdown, as in docs/layers.md")
    add_import(parser)
    parser.add_argument("--write", metavar="DOCS", help="renew all generated pages in this docs folder")


def run(args: argparse.Namespace) -> int:
    from caffe_compat.tools import layer_pages as pages

    if args.write:
        changed = pages.write_pages(Path(args.write), {"commands.md": command_page()})
        print("\n".join(map(str, changed)) or "all pages are up to date")
    elif args.name:
        print(pages.layer_markdown(args.name) if args.markdown else pages.layer_text(args.name))
    else:
        print(pages.table_page() if args.markdown else pages.table_text(), end="" if args.markdown else "\n")
    return 0


def command_page() -> str:
    """docs/commands.md: all commands with their options."""
    from caffe_compat.cli import COMMANDS
    from caffe_compat.tools import command_page, layer_pages

    found = []
    for name in COMMANDS:
        module = importlib.import_module(f"caffe_compat.cli.{name.replace('-', '_')}")
        parser = argparse.ArgumentParser(f"caffe-compat {name}", add_help=False)
        module.add_arguments(parser)
        found.append((name, module.__doc__ or "", parser))
    return layer_pages.HEADER + command_page.command_page(found)
