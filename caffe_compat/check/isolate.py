"""Each file is checked in a process of its own, with a limit of time and memory, several at once."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from caffe_compat.check.stages import STAGES, blank_row, check_file


def check_all(
    paths: Sequence[Path],
    seconds: float = 120,
    gigabytes: float = 8,
    workers: int | None = None,
    python: Sequence[str] = (),
) -> Iterator[dict[str, Any]]:
    """Rows as ``check_file`` makes them, in the order of ``paths``; one bad file never stops the rest.

    ``seconds`` and ``gigabytes`` limit each file. ``workers``: files checked at once; default one per core.
    ``python``: modules whose code Python layers may run.
    """
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    if sys.platform == "linux":
        _warm_up()
    waiting = list(enumerate(paths))[::-1]
    running: dict[Any, tuple[int, Any, float]] = {}
    rows: dict[int, dict[str, Any]] = {}
    shown = 0
    while waiting or running:
        while waiting and len(running) < (workers or os.cpu_count() or 1):
            index, path = waiting.pop()
            receiver, process = _start(context, path, gigabytes, python)
            running[receiver] = (index, process, time.monotonic() + seconds)
        _collect(running, rows, paths, seconds)
        while shown in rows:
            yield rows.pop(shown)
            shown += 1


def _warm_up() -> None:
    """Import here what every file needs, so that the processes that are forked for them have it already."""
    import onnxruntime  # noqa: F401

    import caffe_compat.export.verify
    import caffe_compat.solver  # noqa: F401
    from caffe_compat.api import load_net

    load_net('layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 } } }\n'
             'layer { name: "y" type: "ReLU" bottom: "x" top: "y" }', device="meta")  # fmt: skip


def _start(context: Any, path: Path, gigabytes: float, python: Sequence[str]) -> tuple[Connection, Any]:
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(sender, path, gigabytes, python), daemon=True)
    process.start()
    sender.close()
    return receiver, process


def _work(sender: Connection, path: Path, gigabytes: float, python: Sequence[str]) -> None:
    """In the process of one file: the row so far is sent after every stage, so that a death leaves what was known."""
    _limit_memory(gigabytes)
    import torch

    from caffe_compat.layers.python_layer import allow_python

    torch.set_num_threads(1)
    allow_python(*python)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)  # libraries write their complaints there; ours are in the row
    send: Callable[[dict[str, Any]], None] = sender.send
    send(check_file(path, send))
    sender.close()


def _limit_memory(gigabytes: float) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    resource.setrlimit(resource.RLIMIT_DATA, (int(gigabytes * 1e9),) * 2)


def _collect(
    running: dict[Any, tuple[int, Any, float]], rows: dict[int, dict[str, Any]], paths: Sequence[Path], seconds: float
) -> None:
    """Wait for news; move finished, dead and late files from ``running`` to ``rows``."""
    ready: list[Any] = wait(list(running), timeout=0.2)
    for receiver in ready:
        index, process, _ = running[receiver]
        try:
            row = receiver.recv()
            process.row = row
            if not row.pop("unfinished", False):
                rows[index] = row
                _end(running, receiver)
        except EOFError:
            process.join()
            rows[index] = _cut_short(process, paths[index], f"the process died (exit status {process.exitcode}); "
                                     "not enough memory is the usual reason")  # fmt: skip
            _end(running, receiver)
    for receiver, (index, process, deadline) in list(running.items()):
        if time.monotonic() > deadline:
            process.kill()
            rows[index] = _cut_short(process, paths[index], f"stopped after {seconds:g} s, the limit of time per file")
            _end(running, receiver)


def _end(running: dict[Any, tuple[int, Any, float]], receiver: Any) -> None:
    running.pop(receiver)[1].join()
    receiver.close()


def _cut_short(process: Any, path: Path, reason: str) -> dict[str, Any]:
    """The row as far as it came; the stage that was under way failed for ``reason``."""
    row: dict[str, Any] = getattr(process, "row", None) or blank_row(path)
    stage = row.pop("stage", STAGES[0])
    row[stage] = {"ok": False, "message": reason, "seconds": 0.0}
    return row
