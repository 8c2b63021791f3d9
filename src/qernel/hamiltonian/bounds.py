"""Energies below which no state of a Hamiltonian can lie: numbers beneath them come from a fault, not from physics.

*Kinetic energy*: ⟨−½∇²⟩ = ½⟨|∇ log ψ|²⟩ ≥ 0. This holds for means over |ψ|², not for a single configuration. Bounds of
the other parts are sums of those of the terms (`qernel.hamiltonian.terms`); if one has none, nothing is claimed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from qernel.hamiltonian.family import Hamiltonian, Point

SLACK = 1e-3
"""By how much of `Bounds.scale` rounding may lower a number."""


class Bounds(NamedTuple):
    """Lower bounds of energies per electron at one point of a family, in E0; −∞ where none is known.

    Those of the one-body and interaction energy hold for every configuration, that of the kinetic energy for means.
    """

    kinetic: float
    moire: float
    interaction: float

    @property
    def potential(self) -> float:
        """Of the potential energy of every configuration."""
        return self.moire + self.interaction

    @property
    def total(self) -> float:
        """Of the mean energy."""
        return self.kinetic + self.potential

    @property
    def scale(self) -> float:
        """How large energies are that are rounded, at least 1 E0."""
        return 1.0 + sum(abs(part) for part in (self.moire, self.interaction) if np.isfinite(part))


def bounds(hamiltonian: Hamiltonian, point: Point) -> Bounds:
    """What the energies per electron cannot be below.

    Args:
        hamiltonian: the family.
        point: family parameters ``[p]``.

    Returns:
        The bounds; −∞ for an interaction that attracts (U < 0), which has none.
    """
    values = hamiltonian.numbers(point)
    return Bounds(
        kinetic=0.0,
        moire=sum(term.lower(values) for term in hamiltonian.potentials),
        interaction=hamiltonian.interaction.lower(values, hamiltonian.density),
    )
