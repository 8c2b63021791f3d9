"""What bounds the charge gap, which no model here has: the gap of point charges on the sites of the crystal.

At fillings 1/3 and 2/3 the crystal is one of three √3×√3 sublattices, or what it leaves of the triangular lattice. What
it costs to move one charge to an empty site far away, all others at rest, follows from the Madelung constants of
triangular lattices of spacing 1 and √3: Δ = ½U(ξ₁ − 3ξ_√3), the same at both fillings. Two gates add the potential of
image charges. Electrons that move lower it: they spread, follow an added charge, and let it hop.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from qernel.lattice import Supercell, lattice_points

MADELUNG = 1.1061026
"""−E r_s/(N U) of the triangular Wigner crystal."""

FILLINGS = Fraction(1, 3), Fraction(2, 3)
"""At which the crystal is known to be that of K."""

_FARTHEST = 40.0
"""|G| in 1/a_M up to which image charges are summed over; with d the sum falls as exp(−2Gd)."""


def point_charges(strength: float, gates: float | None = None) -> float:
    """The charge gap of point charges at rest in E0.

    Args:
        strength: U in E0 a_M.
        gates: distance of two metallic gates in a_M; None: there are none.
    """
    spacing = math.sqrt(math.sqrt(3) / 2 / math.pi)  # r_s of one charge a cell
    own, third = -2 * MADELUNG / spacing, -2 * MADELUNG / (spacing * math.sqrt(3))
    bare = 0.5 * (own - 3 * third)
    return strength * (bare if gates is None else bare + _images(gates))


def _images(d: float) -> float:
    """What image charges in two gates add, in 1/a_M: tanh(Gd) − 1 in place of 1, and −ln 2/d of the charge itself."""
    cell = Supercell(((1, 1), (-1, 2)))
    waves = lattice_points(cell.reciprocal, _FARTHEST)
    waves = waves[np.linalg.norm(waves, axis=1) > 1e-9]
    lengths = np.linalg.norm(waves, axis=1)
    sites = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]])  # of the three sublattices; the first one is empty
    phases = np.cos(sites @ waves.T)
    filled = phases[1] + phases[2]  # the two others are images of each other by inversion about the first
    weights = 2 * math.pi / (cell.area * lengths) * (np.tanh(lengths * d) - 1.0)
    at_empty = float(np.sum(weights * filled))
    at_filled = float(np.sum(weights * (1.0 + np.cos((sites[2] - sites[1]) @ waves.T))))
    return at_empty - at_filled - math.log(2.0) / d
