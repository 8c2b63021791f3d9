"""What went wrong in a run and what was done about it: a line of JSON for each event, and a sentence on stderr."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

EVENTS_FILE = "events.jsonl"


class EventLog:
    """Appends to ``RUN/events.jsonl``; the file exists once something has happened.

    Args:
        folder: the run folder.
    """

    def __init__(self, folder: Path):
        self.path = folder / EVENTS_FILE

    def append(self, kind: str, iteration: int, message: str, **details: Any) -> None:
        """Log an event and say it on standard error; arguments as in `record`."""
        with suppress(OSError):  # a terminal that was closed must not end a run
            print(f"qernel: {message}", file=sys.stderr, flush=True)
        self.record(kind, iteration, message, **details)

    def record(self, kind: str, iteration: int | None, message: str, **details: Any) -> None:
        """Log an event.

        Args:
            kind: one word to filter by, such as ``"rollback"``.
            iteration: at which iteration it happened, if that is known.
            message: one sentence for people.
            details: further fields, of types that JSON knows.
        """
        time = datetime.now(UTC).isoformat(timespec="seconds")
        record = {"time": time, "event": kind, "iteration": iteration, "message": message, **details}
        # A process killed while writing leaves half a line: the next one starts afresh.
        with self.path.open("ab+") as handle:
            if handle.tell():
                handle.seek(-1, os.SEEK_END)
                if handle.read(1) != b"\n":
                    handle.write(b"\n")
            handle.write((json.dumps(record, ensure_ascii=False) + "\n").encode())
            handle.flush()
            os.fsync(handle.fileno())
