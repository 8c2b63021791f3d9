"""A watchdog for steps that never end.

A computation that hangs (a deadlocked thread pool, a lost device or process) blocks the main thread inside XLA, where
neither signals nor exceptions reach it. So a thread of its own watches, and the only way out is to end the process:
the last checkpoint is on the disk, and files are only ever replaced whole.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import NoReturn, Self

from qernel import stopping
from qernel.errors import RESUMABLE

FACTOR = 20.0
"""A step may take so many times the longest one before."""
_FIRST = 3.0
_TICKS = 20
"""How often a limit is looked at."""


class Watchdog:
    """Calls ``on_stall`` if no step is completed for too long; a context manager.

    The first step, which is compiled, is not watched. Time in which this process itself does not run (stopped,
    suspended) is not counted.

    Args:
        floor: seconds that a step may take in any case; 0 switches the watchdog off.
        on_stall: called from the watchdog's thread with the limit in seconds.
    """

    def __init__(self, floor: float, on_stall: Callable[[float], None]):
        self._floor = floor
        self._on_stall = on_stall
        self._longest = 0.0
        self._last = time.monotonic()
        self._beats = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="qernel watchdog", daemon=True)

    @property
    def limit(self) -> float:
        """Seconds a step may take at present."""
        return max(self._floor, FACTOR * self._longest)

    def beat(self) -> None:
        """Say that a step has been completed."""
        now = time.monotonic()
        # The first step is compiled as well: until there is another one to go by, a few times that is enough.
        known = _FIRST * (now - self._last) / FACTOR if self._beats == 0 else now - self._last
        self._longest = known if self._beats == 1 else max(self._longest, known)
        self._last = now
        self._beats += 1

    def __enter__(self) -> Self:
        self._last = time.monotonic()
        if self._floor > 0:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        seen, waited, before = 0, 0.0, time.monotonic()
        while not self._done.wait(tick := self._floor / _TICKS):
            now = time.monotonic()
            if self._beats != seen or self._beats == 0:
                seen, waited = self._beats, 0.0
            else:
                waited += min(now - before, 2.0 * tick)
            before = now
            if waited > self.limit:
                self._on_stall(self.limit)
                return


def end_process(message: str) -> NoReturn:
    """End the process from any thread, with a sentence on standard error and the exit code `RESUMABLE`."""
    stopping.end_process(message, RESUMABLE)
