"""Ctrl-C, SIGTERM and SIGUSR2 as requests to stop.

SIGUSR2 is what batch systems are asked to send before a time limit (SIGUSR1 belongs to collectives libraries of
accelerators): the exit code then tells a run that is to be queued again from one that was cancelled.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR2") if hasattr(signal, name)]


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collect the numbers of such signals in a list instead of dying from them (main thread only)."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def handle(number: int, _: object) -> None:
        if received:  # asked twice: a step that hangs must not keep the user waiting
            raise KeyboardInterrupt
        received.append(number)

    previous = {number: signal.signal(number, handle) for number in _STOPPING}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
