"""Moiré lattices, by name or by their two vectors, and the shortest bases of their superlattices.

Lengths are in the moiré period a_M. The two vectors of a lattice may have other lengths: under a strain ε they are
those of the lattice without strain times 1 + ε, and a_M stays the period without strain.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Rows = tuple[tuple[float, float], tuple[float, float]]
"""Lattice vectors a_1 and a_2 in a_M."""
Lattice = str | Rows
"""A key of `LATTICES`, or two vectors."""

LATTICES: dict[str, npt.NDArray[np.floating[Any]]] = {
    "triangular": np.array([[1.0, 0.0], [0.5, np.sqrt(3.0) / 2.0]]),
    "square": np.array([[1.0, 0.0], [0.0, 1.0]]),
}
"""Moiré (or reference) lattice vectors by name, rows in units of the period."""

SHORTEST, LONGEST = 0.5, 2.0
"""Lengths in a_M of the vectors of a lattice: a_M is the unit, so that they are not far from 1."""

SHARPEST_DEG = 30.0
"""Smallest angle in degrees between the vectors, and between one and the reverse of the other."""

_DIGITS = 9
"""Inner products of given vectors in a_M² count in so many digits: those that agree so far are equal."""


def fault(lattice: Lattice) -> str | None:
    """What is wrong with a lattice, in words that complete "… cannot be the lattice, because"; None for nothing."""
    if isinstance(lattice, str):
        return None if lattice in LATTICES else f"the names are {', '.join(LATTICES)}"
    (a, b), (c, d) = lattice
    if not all(math.isfinite(number) for number in (a, b, c, d)):
        return "its entries have to be finite"
    lengths = math.hypot(a, b), math.hypot(c, d)
    if not all(SHORTEST <= length <= LONGEST for length in lengths):
        return (
            f"its vectors are {lengths[0]:.3g} and {lengths[1]:.3g} a_M long, and have to be between {SHORTEST:g} and "
            f"{LONGEST:g} (a_M is period_nm)"
        )
    angle = math.degrees(math.atan2(a * d - b * c, a * c + b * d))
    if angle < 0:
        return "the second vector has to be to the left of the first, so exchange them"
    if not SHARPEST_DEG <= angle <= 180 - SHARPEST_DEG:
        return (
            f"the angle between its vectors is {angle:.3g}°, and has to be between {SHARPEST_DEG:g}° and "
            f"{180 - SHARPEST_DEG:g}° (shorter vectors of the same lattice have such a one)"
        )
    return None


def lattice_vectors(lattice: Lattice) -> npt.NDArray[np.floating[Any]]:
    """a_1 and a_2 as rows ``[2, 2]`` in a_M."""
    return LATTICES[lattice] if isinstance(lattice, str) else np.array(lattice)


def gram(lattice: Lattice) -> list[list[int]]:
    """Inner products of the lattice vectors, times a factor that makes them integers; the same on every machine."""
    rows = [[Fraction(float(entry)) for entry in row] for row in lattice_vectors(lattice)]
    return [[round(10**_DIGITS * sum(x * y for x, y in zip(a, b, strict=True))) for b in rows] for a in rows]


def hermite(matrix: tuple[tuple[int, int], tuple[int, int]]) -> Integers:
    """The Hermite normal form of an integer matrix: the same for every basis of the same sublattice."""
    (a, b), (c, d) = matrix
    while c:
        quotient = a // c
        a, b, c, d = c, d, a - quotient * c, b - quotient * d
    if a < 0:
        a, b = -a, -b
    return np.array([[a, b % abs(d)], [0, abs(d)]])


def gauss_reduce(basis: Integers, products: list[list[int]]) -> Integers:
    """The shortest basis of a 2D lattice, with positive orientation (Gauss reduction).

    In integers, because ties are common (the two shortest vectors of a triangular cell are equally long), and which way
    they fall decides what the wave vectors of a stored wavefunction are called: not a matter for a machine's rounding.

    Args:
        basis: rows in units of the lattice vectors ``[2, 2]``.
        products: the `gram` matrix of the lattice vectors.
    """

    def inner(x: list[int], y: list[int]) -> int:
        return sum(x[i] * y[j] * products[i][j] for i in (0, 1) for j in (0, 1))

    a, b = basis.tolist()
    while True:
        if inner(b, b) < inner(a, a):
            a, b = b, a
        # b·a/a² to the nearest integer, down in a tie (b·a = a²/2), which would flip sign for ever.
        shift = -((inner(a, a) - 2 * inner(b, a)) // (2 * inner(a, a)))
        if shift == 0:
            break
        b = [y - shift * x for x, y in zip(a, b, strict=True)]
    if a[0] * b[1] < a[1] * b[0]:
        b = [-y for y in b]
    return np.array([a, b])
