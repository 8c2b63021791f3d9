"""The time a run has spent on its steps, through interruptions: ``RUN/seconds.csv``.

Rows ``iteration,seconds`` are cumulative and exclude compilation. A run that is resumed goes on from a checkpoint; the
clock goes back to the time that led to it, so that work which was lost is not counted.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO

from qernel.files import keep_copy, read_bytes, write_atomically
from qernel.rows import Rows, is_number, read_rows

CLOCK_FILE = "seconds.csv"
_EVERY_S = 0.5


class Clock:
    """Called by training after every step; ends the run when its budget is spent.

    Args:
        folder: the run folder.
        budget: seconds of stepping; None: no limit.
    """

    def __init__(self, folder: Path, budget: float | None):
        self._path = folder / CLOCK_FILE
        self._budget = budget
        self._spent: float | None = None
        self._last: tuple[int, float] | None = None
        self._written = -1.0
        self._handle: IO[str] | None = None

    def __call__(self, iteration: int, seconds: float) -> bool:
        """Note a step; True if the budget is spent."""
        if self._spent is None:
            # The first step of this session: it started from the checkpoint one iteration earlier.
            rows = self._read()
            kept = [index for index, row in enumerate(rows) if row[0] < iteration]
            rows = rows[: kept[-1] + 1] if kept else []
            self._spent = rows[-1][1] if rows else 0.0
            text = "iteration,seconds\n" + "".join(f"{i},{s:.3f}\n" for i, s in rows)
            write_atomically(self._path, text.encode())
            self._handle = self._path.open("a", encoding="utf-8")
        total = self._spent + seconds
        self._last = (iteration, total)
        over = self._budget is not None and total >= self._budget
        if over or total - self._written >= _EVERY_S:
            self._write()
        return over

    def close(self) -> None:
        """Write the last step."""
        if self._handle is not None:
            self._write()
            self._handle.close()
            self._handle = None

    def _read(self) -> list[tuple[int, float]]:
        """The rows so far; a file that another program has changed is kept beside it before it is written again."""
        if self._path.exists():
            data = read_bytes(self._path)
            found = _rows(data)
            if found.foreign:
                print(
                    f"qernel: {self._path} is not as it was written: {len(found.lines)} of its "
                    f"{len(found.lines) + found.unread} rows can be read and are taken over, all of it is kept as "
                    f"{keep_copy(self._path, data).name}",
                    file=sys.stderr,
                )
        return read(self._path.parent)

    def _write(self) -> None:
        if self._handle is not None and self._last is not None:
            iteration, seconds = self._last
            self._written = seconds
            self._last = None
            self._handle.write(f"{iteration},{seconds:.3f}\n")
            self._handle.flush()


def read(folder: Path) -> list[tuple[int, float]]:
    """Complete rows (iteration, seconds) in the order they were written.

    Raises:
        RunError: if there is something else in the file.
    """
    path = folder / CLOCK_FILE
    if not path.exists():
        return []
    cells = (line.split(b",") for line in _rows(read_bytes(path)).lines)
    return [(int(iteration), float(seconds)) for iteration, seconds in cells if is_number(seconds)]


def _rows(data: bytes) -> Rows:
    return read_rows(data, ("iteration", "seconds"), needed=("iteration", "seconds"))


def seconds_at(rows: list[tuple[int, float]], iteration: int) -> float:
    """Time spent when an iteration was complete, linear between rows; of the last branch if it was reached twice."""
    before = [index for index, row in enumerate(rows) if row[0] <= iteration]
    if not before:
        return 0.0
    (first, start), later = rows[before[-1]], rows[before[-1] + 1 : before[-1] + 2]
    if not later or first == iteration:
        return start
    last, stop = later[0]
    return start + (stop - start) * (iteration - first) / (last - first)
