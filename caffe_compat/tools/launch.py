"""The processes of a training on several GPUs: started here, or by torchrun."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

from caffe_compat.errors import CaffeCompatError
from caffe_compat.solver.distributed import ProcessGroup, Ranks

_GRACE = 10.0
"""Seconds that the other ranks have to tell of their own errors when one has failed, and again to end."""


def launched() -> bool:
    """Whether this is one of several processes, by the environment that torchrun sets."""
    return "RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def own_device(places: Sequence[str]) -> str:
    """This process's among the devices of its machine. Raises CaffeCompatError where there are fewer than processes."""
    if not launched() or places[0] == "cpu":
        return places[0]
    index, count = (int(os.environ.get(name, "0")) for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE"))
    if len(places) < max(count, index + 1):
        raise CaffeCompatError(
            f"--gpu names {len(places)} GPU(s) for {count} processes on this machine; accepted: one for each, or all"
        )
    return places[index]


def ranks_of(device: str) -> AbstractContextManager[Ranks]:
    """The processes that train together with this one: those that were launched with it, else none."""
    import torch

    return ProcessGroup(torch.device(device)) if launched() else nullcontext(Ranks())


def start_ranks(command: Sequence[str], count: int) -> int:
    """Run ``command`` ``count`` times, with the environment that torchrun would set, until all have ended.

    SIGINT and SIGHUP are handed to rank 0, which agrees with the others on what to do; SIGTERM to all. Raises
    CaffeCompatError, after it has ended the others, when one fails.
    """
    shared = {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()),
        "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count),
    }  # fmt: skip
    ranks = [
        # in a session of its own, so that Ctrl-C reaches it once, from here
        subprocess.Popen(
            list(command), env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            start_new_session=True,
        )
        for rank in range(count)
    ]  # fmt: skip
    try:
        with _signals(ranks):
            while any(rank.poll() is None for rank in ranks) and not any(rank.poll() for rank in ranks):
                time.sleep(0.1)
        failed = next((index for index, rank in enumerate(ranks) if rank.poll()), None)
        if failed is not None:
            _wait(ranks)
            raise CaffeCompatError(
                f"rank {failed} of {count} ended with {_status(ranks[failed].returncode)}, and so the run; its message "
                "is above; --snapshot auto continues the last snapshot"
            )
    finally:
        _end(ranks)
    return 0


@contextmanager
def _signals(ranks: Sequence[subprocess.Popen[bytes]]) -> Iterator[None]:
    """Hand signals on, in the main thread."""
    receivers = {signal.SIGINT: ranks[:1], signal.SIGTERM: ranks}
    if hasattr(signal, "SIGHUP"):
        receivers[signal.SIGHUP] = ranks[:1]
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def hand_on(number: int, frame: object) -> None:
        for rank in receivers[signal.Signals(number)]:
            if rank.poll() is None:
                rank.send_signal(number)

    before = {number: signal.signal(number, hand_on) for number in receivers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(ranks: Sequence[subprocess.Popen[bytes]]) -> None:
    end = time.monotonic() + _GRACE
    while any(rank.poll() is None for rank in ranks) and time.monotonic() < end:
        time.sleep(0.05)


def _end(ranks: Sequence[subprocess.Popen[bytes]]) -> None:
    for rank in ranks:
        if rank.poll() is None:
            rank.terminate()
    _wait(ranks)
    for rank in ranks:
        if rank.poll() is None:
            rank.kill()
            rank.wait()


def _status(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit status {code}"


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
