"""Text for people: tables, durations and sizes."""

from __future__ import annotations

from collections.abc import Sequence


def describe(electrons: tuple[int, int], cells: int) -> str:
    """The system in a few words.

    >>> describe((6, 0), 9), describe((1, 1), 1)
    ('6 electrons on 9 moiré cells', '1 up and 1 down electron on 1 moiré cell')
    """
    up, down = electrons
    count = f"{up} electron{'s' * (up != 1)}" if not down else f"{up} up and {down} down electron{'s' * (down != 1)}"
    return f"{count} on {cells} moiré cell{'s' * (cells != 1)}"


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells, aligned to the right; a last column aligned to the left."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """A time for people.

    >>> duration(8.2), duration(75), duration(7260), duration(400000)
    ('8 s', '1 min 15 s', '2 h 01 min', '4 d 15 h')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 172_800:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def size(count: float) -> str:
    """A number of bytes for people.

    >>> size(512), size(1.5e6), size(2.34e10)
    ('512 B', '1.5 MB', '23 GB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
