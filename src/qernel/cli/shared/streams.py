"""What a command says must not end it: terminals are closed, readers of pipes end before us."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import Any, TextIO, cast


class _Lasting:
    """A stream that falls silent when nobody can be reached any more.

    Args:
        stream: what it writes to.
        needed: whether the end of a reader matters: BrokenPipeError then passes.
    """

    def __init__(self, stream: TextIO, *, needed: bool) -> None:
        self._stream = stream
        self._needed = needed

    def write(self, text: str) -> int:
        """Write, or not."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._fall_silent(error)
            return len(text)

    def flush(self) -> None:
        """Flush, or not."""
        try:
            self._stream.flush()
        except OSError as error:
            self._fall_silent(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _fall_silent(self, error: OSError) -> None:
        if self._needed and isinstance(error, BrokenPipeError):
            raise error
        silence(self._stream)


def silence(stream: TextIO) -> None:
    """Send whatever is still written to a stream, by Python or by libraries, nowhere."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def prepare(*, own_process: bool) -> None:
    """Make the standard streams write any text.

    Args:
        own_process: whether they are ours alone; they then outlast their terminal, and exist where they were closed.
    """
    for name, needed in (("stdout", True), ("stderr", False)):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a λ must not end a run on a terminal that has none
        if own_process:
            stream = stream or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, cast(TextIO, _Lasting(stream, needed=needed)))
