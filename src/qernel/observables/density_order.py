"""The order of any crystal or density wave: the largest Fourier component of the density that H does not explain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qernel.errors import RunError
from qernel.observables.base import Coordinate, Observable, Samples, Variable, averaged
from qernel.observables.structure_factor import density_waves, wave_vectors
from qernel.structure import explained, largest


@dataclass(frozen=True)
class DensityOrder(Observable):
    """The largest ⟨|ρ_q|²⟩ over all q that the translations of the Hamiltonian do not explain, and its q.

    It is about 1/N in a liquid, and of a few records a little more, being the largest of many.

    Attributes:
        cutoff: longest |q| in units of the shortest moiré reciprocal vector.
    """

    cutoff: float = 2.0
    name: ClassVar[str] = "density_order"
    summary: ClassVar[str] = "largest |rho_q|^2 of any q that breaks the translations of H, and q"

    def measure(self, samples: Samples) -> list[Variable]:
        """Its mean, and q in reciprocal vectors of the moiré lattice."""
        cell, family = samples.hamiltonian.supercell, samples.hamiltonian
        uniform = family.uniform(family.numbers(samples.point))
        waves = wave_vectors(cell, self.cutoff)
        waves = waves[~explained(waves, cell, uniform=uniform)]
        if not len(waves):
            raise RunError(
                f"density_order: no wave vector of the supercell {cell.matrix} up to cutoff = {self.cutoff:g} breaks "
                "the translations of H: use a larger supercell, or leave this observable out"
            )
        series = np.empty((*samples.positions.shape[:2], len(waves)))
        for chain, positions in enumerate(samples.positions):
            series[chain] = np.abs(density_waves(positions, cell, waves)) ** 2 / samples.count**2
        order = largest(series.mean((0, 1)), waves, cell, uniform=uniform)
        q = np.array(order.wave, dtype=float)
        chosen = int(np.linalg.norm(waves - q @ cell.moire_reciprocal, axis=1).argmin())
        text = "largest <|rho_q|^2> that translations of H leave open, rho_q = (1/N) sum_i exp(i q.r_i)"
        axis = Coordinate("reciprocal", ("reciprocal",), np.array([1, 2]), "1", "moiré reciprocal vectors b_1 and b_2")
        place = Variable("density_order_q", q, None, "1", "its q in moiré reciprocal vectors", ("reciprocal",), (axis,))
        return [averaged("density_order", series[..., chosen], "1", text), place]
