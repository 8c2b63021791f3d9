"""Rows of a table that we append to, and that another program may have rewritten since.

A spreadsheet changes separators, quotes, line ends, encodings and the form of numbers. What is certain is read: columns
are known by their names, and a number is a number with a decimal point. Everything else is left to people.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_NUMBER = re.compile(r"[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|nan|inf)", re.IGNORECASE | re.ASCII)

_SEPARATORS = ",;\t|"

_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}

_WIDE = {0: "utf-16-be", 1: "utf-16-le"}
"""Encodings of text without a mark, by the place of the first zero byte."""


_DIGITS = 15
"""Of the number of a row: what a spreadsheet keeps."""


class Rows(NamedTuple):
    """What a file holds.

    Attributes:
        lines: one for each row, as we write them, with the names as columns; rows that we wrote, byte for byte.
        foreign: whether the file is not as we wrote it.
        unread: rows that could not be read, or not with certainty.
    """

    lines: list[bytes]
    foreign: bool = False
    unread: int = 0


def read_rows(
    data: bytes, names: Sequence[str], *, needed: Sequence[str], optional: Sequence[str] = (), cut: int | None = None
) -> Rows:
    """The rows of a table.

    A last line without its end is what a killed process leaves.

    Args:
        data: content of the file.
        names: of the columns, the first a whole number. A file that was begun when there were fewer has the first ones.
        needed: names without which a table is not ours; missing numbers of others are nan.
        optional: names of columns that may be empty.
        cut: the largest number of a row that was safe on the disk: a line up to it that is cut was cut by others.
    """
    header, *lines = data.split(b"\n")
    found = header.rstrip(b"\r").split(b",")
    ours = len(found) >= len(needed) and found == [name.encode() for name in names[: len(found)]]
    return _own(lines, names, len(found), optional, cut) if ours else _foreign(data, names, needed, optional)


def is_number(cell: bytes) -> bool:
    """Whether a cell holds a number, with a decimal point if any."""
    return _NUMBER.fullmatch(cell.decode("ascii", "replace").strip()) is not None


def row_number(line: bytes) -> int:
    """The number that a line of `Rows` begins with."""
    return int(line.partition(b",")[0])


def _numbered(line: bytes) -> bool:
    number = line.partition(b",")[0]
    return number.isdigit() and len(number) <= _DIGITS


def _own(lines: Sequence[bytes], names: Sequence[str], columns: int, optional: Sequence[str], cut: int | None) -> Rows:
    """Lines below a header of ours; columns that came later are nan."""
    later = (len(names) - columns) * b",nan"
    kept: list[bytes] = []
    foreign, unread = False, 0
    *complete, last = lines or [b""]
    for line in complete:
        if line.count(b",") == columns - 1 and _numbered(line):
            kept.append((line.rstrip(b"\r") + later + b"\r\n") if later else line + b"\n")
        elif line.strip():
            foreign = True
            text = line.rstrip(b"\r").decode("utf-8", "replace")
            read = [_line(row, names[:columns], names, optional) for row in _cells([text], ",")]
            kept += [row for row in read if row is not None]
            unread += None in read
    if b"," in last and cut is not None and _numbered(last) and row_number(last) <= cut:
        foreign, unread = True, unread + 1
    return Rows(kept, foreign, unread)


def _foreign(data: bytes, names: Sequence[str], needed: Sequence[str], optional: Sequence[str]) -> Rows:
    """Rows of a table that somebody else has written."""
    lines = [line for line in _text(data).splitlines() if line.strip()]
    if lines and lines[0].lower().startswith("sep="):  # a spreadsheet's note to itself
        del lines[0]
    for separator in _SEPARATORS:
        header, *rows = list(_cells(lines, separator)) or [[]]
        if set(needed) <= set(header) and len(set(header)) == len(header):
            break
    else:
        return Rows([], foreign=bool(data.strip()), unread=max(len(lines) - 1, 0))
    found = [_line(row, header, names, optional) for row in rows]
    kept = [line for line in found if line is not None]
    return Rows(kept, foreign=True, unread=len(found) - len(kept))


def _text(data: bytes) -> str:
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), None)
    encoding = encoding or _WIDE.get(data[:2].find(b"\0"), "utf-8")
    return data.decode(encoding, "replace").replace("\r\n", "\n").replace("\r", "\n")


def _cells(lines: Sequence[str], separator: str) -> Iterator[list[str]]:
    for line in lines:
        try:
            yield [cell.strip() for cell in next(csv.reader([line], delimiter=separator), [])]
        except csv.Error:
            yield []


def _line(row: Sequence[str], header: Sequence[str], names: Sequence[str], optional: Sequence[str]) -> bytes | None:
    """A row as we write it; None if it is not certain what it says."""
    if len(row) != len(header):
        return None
    cells = dict(zip(header, row, strict=True))
    values = []
    for place, name in enumerate(names):
        cell = cells.get(name, "")
        if not cell and place:
            values.append("" if name in optional else "nan")
        elif not _NUMBER.fullmatch(cell):
            return None
        elif place == 0:
            number = float(cell)
            if not (number.is_integer() and 0 <= number < 10**_DIGITS):
                return None
            values.append(str(int(number)))
        else:
            values.append(cell)
    return ",".join(values).encode() + b"\r\n"
