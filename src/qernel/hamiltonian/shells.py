"""Free-electron shells of a supercell at a twist: which liquid of so many electrons it can hold.

One determinant describes a liquid well only where its Fermi sea is closed. Without a twist momenta are zero and pairs
±k, so a closed sea of polarised electrons has an odd number of them; at half turns it has an even one: all are pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import comb, prod
from typing import Final

import numpy as np

from qernel.hamiltonian.twist import Turns, reduced_turns
from qernel.lattice import FloatArray, Supercell, lattice_points

HALVES: Final[tuple[Turns, ...]] = ((0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.5, 0.5))
"""Twists at which ψ can be real, Γ first."""

_THIRD = 1 / 3
_PARTS = (0.0, _THIRD, -_THIRD)
_CORNERS = ((_THIRD, -_THIRD), (-_THIRD, _THIRD))
THIRDS: Final[tuple[Turns, ...]] = (
    *_CORNERS,
    *(turns for turns in product(_PARTS, _PARTS) if any(turns) and turns not in _CORNERS),
)
"""Twists of third turns, Γ excepted; first the two that rotations of a triangular n×n cell leave as they are."""

_SAME = 1e-9
"""Momenta whose squares differ by less than this share of k_F² are in one shell."""


@dataclass(frozen=True)
class Shells:
    """Free electrons in a supercell at a twist.

    Attributes:
        twist: in turns along the rows of the supercell.
        highest: of each spin species that there is: how many electrons its highest shell has, and how many it holds.
        error: kinetic energy per electron above that of the infinite system of this density, in E0.
    """

    twist: Turns
    highest: tuple[tuple[int, int], ...]
    error: float

    @property
    def closed(self) -> bool:
        """Whether every shell is full or empty."""
        return all(held == room for held, room in self.highest)

    @property
    def degeneracy(self) -> int:
        """How many determinants have the lowest energy."""
        return prod(comb(room, held) for held, room in self.highest)

    def __str__(self) -> str:
        """The highest shells in words."""
        return " and ".join(f"{held} of {room}" for held, room in self.highest) + " in the highest shell"


def shells(cell: Supercell, electrons: tuple[int, int], twist: Turns = (0.0, 0.0)) -> Shells:
    """How free electrons fill the momenta of a supercell.

    Args:
        cell: the supercell.
        electrons: spin up and spin down.
        twist: in turns along the rows of ``cell.matrix``.

    >>> found = shells(Supercell(((6, 0), (0, 6))), (24, 0))
    >>> str(found), found.degeneracy, round(found.error, 4)
    ('5 of 12 in the highest shell', 792, 0.1099)
    """
    momentum = np.asarray(reduced_turns(cell, twist)) @ cell.reciprocal
    species = [count for count in electrons if count]
    kinetic, infinite, highest = 0.0, 0.0, []
    for count in species:
        fermi = 4.0 * np.pi * count / cell.area
        squares = _squares(cell, momentum, count)
        same = np.abs(squares - squares[count - 1]) < _SAME * fermi
        highest.append((int(same[:count].sum()), int(same.sum())))
        kinetic += 0.5 * float(squares[:count].sum())
        infinite += 0.25 * count * fermi
    return Shells(twist, tuple(highest), (kinetic - infinite) / sum(species))


def closed_shells(
    cell: Supercell, electrons: tuple[int, int], twists: Sequence[Turns] = (*HALVES, *THIRDS)
) -> list[Shells]:
    """Twists at which all shells are closed, the smallest error of the kinetic energy first.

    >>> [one.twist for one in closed_shells(Supercell(((6, 0), (0, 6))), (24, 0))][:1]
    [(0.5, 0.0)]
    """
    found = [one for one in (shells(cell, electrons, twist) for twist in twists) if one.closed]
    # Rounded: equivalent twists stay in the order in which they were given.
    return sorted(found, key=lambda one: round(abs(one.error), 9))


def _squares(cell: Supercell, momentum: FloatArray, count: int) -> FloatArray:
    """|k|² of momenta in increasing order, with all of the shell that the last of ``count`` electrons is in."""
    longest = float(np.linalg.norm(cell.reciprocal, axis=1).sum())
    # A circle that holds as many momenta as there are electrons is at most a cell of them wider than k_F.
    reach = float(np.sqrt(4.0 * np.pi * count / cell.area)) + 2.0 * longest
    return np.sort(np.sum((momentum + lattice_points(cell.reciprocal, reach)) ** 2, axis=1))
