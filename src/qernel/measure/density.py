"""The electron density of a state, ready to be drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qernel.lattice import FloatArray


@dataclass(frozen=True)
class DensityMap:
    """Electron density on a grid of the supercell.

    Attributes:
        values: ``[n, n]`` in electrons per a_M², cell (i, j) centred at fractional coordinates (i+½, j+½)/n.
        errors: one-sigma errors ``[n, n]``.
        vectors: supercell vectors as rows ``[2, 2]`` in a_M.
        primitive: moiré lattice vectors as rows ``[2, 2]``.
    """

    values: FloatArray
    errors: FloatArray
    vectors: FloatArray
    primitive: FloatArray

    def plot(self) -> Any:
        """A map in real coordinates with moiré lattice and supercell (a matplotlib figure)."""
        from qernel.plots.density import density_map

        return density_map(self.values, self.vectors, self.primitive, origin=0.5 / len(self.values))
