"""Signals as requests to stop: heard at once, obeyed between two pieces of work.

Ctrl-C, SIGTERM, a closed terminal (SIGHUP) and SIGUSR2, which batch systems are asked to send before a time limit
(SIGUSR1 belongs to collectives libraries of accelerators): the exit code, 128 + signal, tells them apart.

Python runs handlers in the main thread, between two of its own instructions: not while XLA compiles or computes, and
then perhaps inside a callback of JAX, where an exception is swallowed or leaves a computation behind that nobody waits
for. So a handler only takes a note, and long work asks for it with `check`. A thread that the C library wakes says at
once that the request has been heard, and ends the process if it is repeated, or if work that has nothing to lose
(`expendable`) has not asked within `PATIENCE`: it compiles, or computes a very long piece.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from typing import NoReturn, ParamSpec, TypeVar

from qernel.errors import StopRequested

_STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR2", "SIGHUP") if hasattr(signal, name)]

_HANGUP = getattr(signal, "SIGHUP", None)

_P = ParamSpec("_P")
_T = TypeVar("_T")

PATIENCE = 2.0
"""Seconds that work with nothing to lose has for ending by itself."""

_ECHO_S = 0.2
"""Shells, launchers and ``timeout`` pass on a signal that has reached us already: it comes twice within moments."""


Sentence = Callable[[int], str]
"""What is said when work ends, given the number of the signal."""


def heeded() -> list[int]:
    """The signals that ask to stop. Under nohup, which ignores SIGHUP, programs outlive their terminal."""
    return [number for number in _STOPPING if number != _HANGUP or signal.getsignal(number) != signal.SIG_IGN]


class _Requests:
    """What has been received since the handlers are there."""

    def __init__(self, own_process: bool) -> None:
        self.received: list[int] = []
        self._own_process = own_process
        self._first = 0.0
        self._heard = 0
        self.obeyed = False
        self.kept: Sentence | None = None
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._listener = threading.Thread(target=self._listen, name="qernel signals", daemon=True)

    def install(self) -> dict[int, object]:
        """Put the handlers in place, again if something has replaced them; returns those before."""
        return {number: signal.signal(number, self._handle) for number in heeded()}

    def listen(self) -> None:
        """Start the thread; where somebody else is woken by signals already, the handlers say what it would."""
        before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        if before == -1:
            self._listener.start()
        else:
            signal.set_wakeup_fd(before)

    def end(self, before: dict[int, object]) -> None:
        """Put back what was there."""
        for number, handler in before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        if self._listener.is_alive():
            signal.set_wakeup_fd(-1)
        self._writer.close()
        if self._listener.is_alive():
            self._listener.join(1.0)
        self._reader.close()

    def _handle(self, number: int, _: object) -> None:
        first = not self.received
        if first:
            self.received.append(number)
        if not self._listener.is_alive():
            self._hear(number)
        elif not first and not self._own_process and self._again(number):
            raise KeyboardInterrupt

    def _listen(self) -> None:
        with suppress(OSError):  # closed
            while True:
                try:
                    numbers = self._reader.recv(64)
                except TimeoutError:
                    self._end_what_waits()
                    continue
                if not numbers:
                    return
                for number in numbers:
                    if number in _STOPPING:
                        self._hear(number)
                        self._reader.settimeout(0.1 if self._own_process else None)

    def _end_what_waits(self) -> None:
        kept = self.kept
        if kept is not None and not self.obeyed and time.monotonic() - self._first > PATIENCE:
            end_process(kept(self._heard), 128 + self._heard)

    def _hear(self, number: int) -> None:
        if not self._heard:
            self._heard, self._first = number, time.monotonic()
            name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
            say(f"{name}: stopping after the present step (again: at once)")
        elif self._again(number):
            if self._own_process:
                end_process("stopped at once", 128 + number)
            elif threading.current_thread() is threading.main_thread():
                raise KeyboardInterrupt

    def _again(self, number: int) -> bool:
        """Whether a signal means at once; a terminal that closes may say so several times."""
        return bool(self._heard) and number != _HANGUP and time.monotonic() - self._first > _ECHO_S


_present: _Requests | None = None


@contextmanager
def stop_signals(*, own_process: bool = False) -> Iterator[list[int]]:
    """Collect the numbers of such signals in a list instead of dying from them (main thread only).

    Inside another such block the list is that of the outer one.

    Args:
        own_process: whether the process is ours alone. The handlers then stay until it ends, and a repeated signal
            ends it, whatever it is doing; otherwise a repeated signal raises KeyboardInterrupt.
    """
    global _present
    if _present is not None:
        rearm()
        yield _present.received
        return
    if threading.current_thread() is not threading.main_thread():
        yield []
        return
    requests = _Requests(own_process)
    before = requests.install()
    requests.listen()
    _present = requests
    if own_process:
        yield requests.received
        return
    try:
        yield requests.received
    finally:
        _present = None
        requests.end(before)


def stoppable(work: Callable[_P, _T]) -> Callable[_P, _T]:
    """Work that a signal ends between two of its pieces (`check`), also where no command runs it: in a notebook.

    Inside, Ctrl-C raises `StopRequested`, a KeyboardInterrupt, where nothing is half done; anywhere else it might come
    in the middle of a call of JAX.
    """

    @wraps(work)
    def stopped(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        with stop_signals():
            return work(*args, **kwargs)

    return stopped


def rearm() -> None:
    """Put the handlers of `stop_signals` back where a library has replaced them."""
    if _present is not None:
        _present.install()


@contextmanager
def expendable(kept: Sentence | None) -> Iterator[None]:
    """Work that loses nothing if the process is ended in the middle of it: what is to be kept lies on the disk.

    Args:
        kept: given the number of the signal, what is said then; None: the work inside has something to lose.
    """
    if _present is None:
        yield
        return
    before, _present.kept = _present.kept, kept
    try:
        yield
    finally:
        if _present is not None:
            _present.kept = before


def check() -> None:
    """End here if that was asked for: long work calls it between pieces that take about a second.

    Raises:
        StopRequested: inside `stop_signals`, once a signal has come.
    """
    if _present is not None and _present.received:
        _present.obeyed = True
        raise StopRequested(_present.received[0])


def say(text: str) -> None:
    """A line on standard error from any thread; not by ``sys.stderr``, whose lock a blocked thread may hold."""
    with suppress(OSError):  # a terminal that was closed
        os.write(2, f"\nqernel: {text}\n".encode())


def end_process(text: str, code: int) -> NoReturn:
    """End the process from any thread, whatever it is doing, with a sentence and an exit code."""
    with suppress(OSError, ValueError, AttributeError):
        if sys.stderr.isatty():
            os.write(2, b"\x1b[?25h")  # a progress bar hides the cursor
    say(text)
    os._exit(code)
