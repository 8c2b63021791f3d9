"""Boundary twists: ψ(r + A_i) = exp(2πi θ_i) ψ(r) along the supercell vectors as they were given.

Everything else works with one momentum, made of the twist along the reduced vectors. What a twist means, and that it
is defined modulo 1, is decided here and nowhere else. Imports no jax.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Any, Literal

import numpy as np

from qernel.lattice import Integers, Supercell

Turns = tuple[float, float]
"""Angles along two vectors in turns, units of 2π."""

Along = Literal["rows", "reduced"]
"""Which vectors a twist refers to: the rows of `Supercell.matrix` as given, modulo 1; or `Supercell.vectors`, with
whole turns kept, as in wavefunctions of earlier versions."""

_HALF = Fraction(1, 2)

_ROUNDING, _DENOMINATOR = Fraction(1, 10**10), 1000
"""What is this close to a ratio with so small a denominator is that ratio: 3 · 0.3333333333333333 is one turn."""


def reduced_turns(cell: Supercell, twist: Turns, along: Along = "rows") -> Turns:
    """A twist along `Supercell.vectors`: what multiplies the reciprocal vectors to give its momentum.

    Args:
        cell: the supercell.
        twist: θ in turns.
        along: what θ refers to.

    Returns:
        Turns in (−½, ½], the same for every way to write a twist; with ``reduced`` those given, unfolded.
    """
    if along == "reduced":
        return twist
    given = [_exact(turns) for turns in twist]
    first, second = (
        twist[axis] if exact == given[axis] and -_HALF < exact <= _HALF else _folded(exact)
        for axis, exact in enumerate(_change(cell.reduced, np.array(cell.matrix)) @ given)
    )
    return first, second


def row_turns(cell: Supercell, twist: Turns, along: Along = "rows") -> Turns:
    """A twist along the rows of `Supercell.matrix` as given; arguments as in `reduced_turns`."""
    if along == "rows":
        return twist
    first, second = _change(np.array(cell.matrix), cell.reduced) @ [_exact(turns) for turns in twist]
    return float(first), float(second)


def half_turns(turns: Turns) -> bool:
    """Whether a twist, if any, is one of half turns: the same as its opposite, so that ψ can be real."""
    return not any((2.0 * angle) % 1.0 for angle in turns)


def written(turns: Turns) -> str:
    """A twist for people.

    >>> written((1 / 3, -0.5)), written((0.0, 0.123456))
    ('(1/3, -1/2)', '(0, 0.123456)')
    """
    found = [(angle, Fraction(angle).limit_denominator(12)) for angle in turns]
    words = [str(simple) if abs(float(simple) - angle) < 1e-9 else f"{angle:.6g}" for angle, simple in found]
    return f"({', '.join(words)})"


def _change(new: Integers, old: Integers) -> Any:
    """The integer matrix T with new = T · old, for two bases of one lattice; of Python's integers."""
    (a, b), (c, d) = old.tolist()
    return np.array(new.tolist(), object) @ np.array([[d, -b], [-c, a]], object) // (a * d - b * c)


def _exact(turns: float) -> Fraction:
    """The decimal number that a person wrote, not its binary neighbour: 4.1 is 0.1 and four turns."""
    return Fraction(repr(float(turns)))


def _folded(turns: Fraction) -> float:
    """The same angle in (−½, ½]."""
    simple = turns.limit_denominator(_DENOMINATOR)
    turns = simple if abs(simple - turns) < _ROUNDING else turns
    return float(turns - ceil(turns - _HALF))
