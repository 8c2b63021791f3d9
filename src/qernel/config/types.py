"""Value types of configuration keys: strict (no text as numbers, no booleans as integers) and self-describing."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, Strict
from pydantic_core import PydanticCustomError

from qernel.primitive import LATTICES, Lattice, Rows, fault

_ORIGIN = re.compile(r".{1,200} sha256:[0-9a-f]{64}")

LARGEST = 10**9
"""Upper bound of every whole number, so that none overflows later."""


@dataclass(frozen=True)
class Expects:
    """What a key takes, in words that complete "… is not …"."""

    text: str


def _printable(value: str) -> str:
    if not (value.isprintable() and 1 <= len(value) <= 200):
        raise PydanticCustomError("unusable", "must be a line of 1 to 200 printable characters")
    return value


def _representable(value: float) -> float:
    if value < 1e-30:
        raise PydanticCustomError("unusable", "must be at least 1e-30")
    return value


def _spins(value: Any) -> Any:
    """A single whole number N means N spin-polarised electrons, (N, 0)."""
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    return _populated((value, 0))


def _populated(value: tuple[int, int]) -> tuple[int, int]:
    if sum(value) < 1:
        raise PydanticCustomError("unusable", "must be at least one electron")
    return value


def _interval(value: Any) -> Any:
    """A single number x means the fixed interval (x, x)."""
    return (value, value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def ordered(value: tuple[float, float]) -> tuple[float, float]:
    """An interval that runs from low to high, as it is."""
    if value[0] > value[1]:
        raise PydanticCustomError("unusable", "must run from low to high")
    return value


def _lattice(value: Any) -> Lattice:
    """A name as it is, and two vectors as tuples of floats, if there is such a lattice."""
    lattice = value if isinstance(value, str) and value in LATTICES else _rows(value)
    if lattice is None:
        names = ", ".join(LATTICES)
        raise PydanticCustomError("unusable", "is not one of {names} or two rows of two numbers", {"names": names})
    reason = fault(lattice)
    if reason:
        raise PydanticCustomError("unusable", "cannot be the lattice, because {reason}", {"reason": reason})
    return lattice


def _rows(value: Any) -> Rows | None:
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    entries = [entry for row in value if isinstance(row, list | tuple) and len(row) == 2 for entry in row]
    if len(entries) != 4 or not all(isinstance(entry, int | float) and type(entry) is not bool for entry in entries):
        return None
    a, b, c, d = (float(min(max(entry, -LARGEST), LARGEST)) for entry in entries)
    return (a, b), (c, d)


def _apart(value: tuple[tuple[float, float], ...] | None) -> tuple[tuple[float, float], ...] | None:
    """Intervals in increasing order, none of them empty or touching the next; no interval is no value."""
    ends = [end for interval in value or () for end in interval]
    if any(first >= second for first, second in itertools.pairwise(ends)):
        raise PydanticCustomError("unusable", "must be intervals from low to high, in increasing order and apart")
    return value or None


def _origin(value: str | None) -> str | None:
    """A name, and the digest of weights after it."""
    if value is not None and not (_ORIGIN.fullmatch(value) and value.isprintable()):
        raise PydanticCustomError("unusable", "must be a name and sha256: with 64 hexadecimal digits, as --from writes")
    return value


Whole = Annotated[int, Strict(), Field(ge=0, le=LARGEST), Expects("a whole number")]
Name = Annotated[str, Strict(), AfterValidator(_printable), Expects("a line of 1 to 200 printable characters")]
MaybeOrigin = Annotated[
    Annotated[str, Strict()] | None, AfterValidator(_origin), Expects("a name and the SHA-256 of weights")
]
Count = Annotated[int, Strict(), Field(ge=1, le=LARGEST), Expects("a whole number")]
Size = Annotated[int, Strict(), Field(ge=1, le=10**5), Expects("a whole number")]
"""A width of the network: arrays of several of them can still be described, if not made."""
Copies = Annotated[int, Strict(), Field(ge=1, le=10**6), Expects("a whole number")]
Extras = Annotated[int, Strict(), Field(ge=0, le=10**6), Expects("a whole number")]
Depth = Annotated[int, Strict(), Field(ge=1, le=64), Expects("a whole number")]
"""What the program grows with, and not only its arrays: with more it would hardly be compiled."""
Seed = Annotated[int, Strict(), Field(ge=0, lt=2**32), Expects("a whole number")]
Shells = Annotated[int, Strict(), Field(ge=0, le=100), Expects("a whole number")]
Number = Annotated[float, Strict(), Field(ge=-1e6, le=1e6), Expects("a number")]
NonNegative = Annotated[float, Strict(), Field(ge=0, le=1e6), Expects("a number")]
Positive = Annotated[float, Strict(), Field(gt=0, le=1e30), AfterValidator(_representable), Expects("a number")]
"""A number above 0 that single precision still represents."""
Cutoff = Annotated[float, Strict(), Field(gt=0, le=1e4), Expects("a number")]
"""In E0; the matrix of the plane waves of one momentum has 1,400 rows at the largest."""
Physical = Annotated[float, Strict(), Field(ge=1e-6, le=1e6), Expects("a number")]
"""A positive quantity whose square and reciprocal are still representable."""
UnitInterval = Annotated[float, Strict(), Field(ge=0, le=1), Expects("a number")]
Flag = Annotated[bool, Strict(), Expects("true or false")]

MaybePositive = Annotated[Positive | None, Expects("a number")]
MaybeNonNegative = Annotated[NonNegative | None, Expects("a number")]

Electrons = Annotated[
    tuple[Whole, Whole],
    BeforeValidator(_spins),
    AfterValidator(_populated),
    Expects("a whole number of spin-polarised electrons or a pair [up, down]"),
]
_CellEntry = Annotated[int, Strict(), Field(ge=-1000, le=1000)]
CellMatrix = Annotated[
    tuple[tuple[_CellEntry, _CellEntry], tuple[_CellEntry, _CellEntry]],
    Expects("two rows of two whole numbers"),
]
MoireLattice = Annotated[
    str | tuple[tuple[float, float], tuple[float, float]],
    BeforeValidator(_lattice),
    Expects(f"{', '.join(LATTICES)} or two rows of two numbers"),
]
MaybeStep = Annotated[tuple[_CellEntry, _CellEntry] | None, Expects("a pair of whole numbers")]
"""A lattice vector in units of the primitive ones."""
Pair = Annotated[tuple[Number, Number], Expects("a pair of numbers")]
Lam = Annotated[
    tuple[NonNegative, NonNegative],
    BeforeValidator(_interval),
    AfterValidator(ordered),
    Expects("an interval [low, high] or a single number"),
]
_Interval = Annotated[tuple[Number, Number], AfterValidator(ordered)]
MaybeGaps = Annotated[
    tuple[tuple[NonNegative, NonNegative], ...] | None,
    AfterValidator(_apart),
    Expects("a list of intervals [low, high]"),
]
MaybeScales = Annotated[
    dict[str, _Interval] | None,
    AfterValidator(lambda value: value or None),
    Expects("a table of intervals [low, high] by parameter"),
]
MaybeInterval = Annotated[_Interval | None, Expects("an interval [low, high]")]
