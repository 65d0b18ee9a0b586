"""What SIGINT and SIGHUP do to a training: it finishes its iteration first."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from caffe_compat.errors import SolverError

EFFECTS = ("stop", "snapshot", "none")


class Signals:
    """While entered (in the main thread), takes note of signals; ``request`` gives and forgets what they ask for.

    effects: "stop" (as Caffe's, a snapshot is made after it), "snapshot", or "none" (the signal is ignored). A
    second SIGINT before the first was heeded raises KeyboardInterrupt.
    """

    def __init__(self, sigint: str = "stop", sighup: str = "snapshot") -> None:
        for name, effect in (("sigint_effect", sigint), ("sighup_effect", sighup)):
            if effect not in EFFECTS:
                raise SolverError(f"{name} is {effect!r}; accepted: {', '.join(EFFECTS)}")
        self._effects = {signal.SIGINT: sigint}
        if hasattr(signal, "SIGHUP"):
            self._effects[signal.SIGHUP] = sighup
        self._pending: list[int] = []
        self._before: dict[int, Any] = {}

    def request(self) -> str | None:
        """ "stop", "snapshot", or None."""
        return self._effects[signal.Signals(self._pending.pop(0))] if self._pending else None

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in self._effects:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and number in self._pending:
            raise KeyboardInterrupt
        if self._effects[signal.Signals(number)] != "none":
            self._pending.append(number)
