"""The parser of a command's options: errors of one line with near names, and Caffe's flags that have no effect."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from typing import Any, NoReturn

from caffe_compat.cli.options import tell_notes

BREWS = ("train", "test", "time", "device-query")
"""The commands of Caffe's program ``caffe``: each takes the flags of all."""
PROGRAMS = (*BREWS, "convert-mnist", "convert-cifar", "convert-imageset", "compute-image-mean", "extract-features",
            "upgrade")  # fmt: skip
"""The commands that are programs of Caffe in C++: each takes the flags of glog, its library for logs."""
FLAGS = ("solver", "model", "weights", "snapshot", "phase", "level", "stage", "gpu", "iterations", "sighup_effect",
         "sigint_effect")  # fmt: skip
GLOG = ("log_dir", "log_link", "logbuflevel", "logbufsecs", "max_log_size", "minloglevel", "stderrthreshold", "v",
        "vmodule")  # fmt: skip
GLOG_SWITCHES = ("alsologtostderr", "colorlogtostderr", "log_prefix", "logtostderr", "stop_logging_if_full_disk")


class Parser(argparse.ArgumentParser):
    """``argparse`` for one command, ``name``; wrong usage is one line on stderr, and exit status 2."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(f"caffe-compat {name}", **options)
        self.name = name

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """The options. ``command_line``: the words without the ignored flags, led by the command."""
        rest, ignored = self._without_ignored(words)
        args, unknown = self.parse_known_args(rest)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}{self._near(unknown)}")
        if flags := [f"--{name}" for name in ignored if name in FLAGS]:
            brew = self.name.replace("-", "_")
            tell_notes([f"{', '.join(flags)}: ignored, as by Caffe, whose {brew} does not use it"])
        if "log_dir" in ignored:
            tell_notes(["--log_dir: ignored; the log goes to stderr, which 2> FILE writes into a file"])
        args.command_line = [self.name, *rest]
        return args

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")

    def _without_ignored(self, words: Sequence[str]) -> tuple[list[str], list[str]]:
        """The words without the flags that Caffe takes here and does not use, and the names of these."""
        taken = {*(FLAGS if self.name in BREWS else ()), *(GLOG if self.name in PROGRAMS else ())}
        switches = {prefix + name for name in GLOG_SWITCHES for prefix in ("", "no") if self.name in PROGRAMS}
        rest: list[str] = []
        ignored: list[str] = []
        left = iter(words)
        for word in left:
            option, equals, _ = word.partition("=")
            name = option.removeprefix("-").removeprefix("-")
            if option == name or option in self._option_string_actions or name not in taken | switches:
                rest.append(word)
                continue
            ignored.append(name)
            if name in taken and not equals and next(left, None) is None:
                self.error(f"argument {option}: expected one argument")
        return rest, ignored

    def _near(self, unknown: Sequence[str]) -> str:
        options = [option for option in self._option_string_actions if option.startswith("--")]
        given = [f"--{word.partition('=')[0].lstrip('-')}" for word in unknown if word.startswith("-")]
        near = [name for word in given for name in difflib.get_close_matches(word, options, n=2, cutoff=0.7)]
        return f"; did you mean {' or '.join(dict.fromkeys(near))}?" if near else ""
