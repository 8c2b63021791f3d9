"""The electron density n(r) on grids of the supercell, the moiré cell and the √3×√3 cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from qernel.lattice import FloatArray, holds_root_three, root_three_vectors
from qernel.observables.base import Observable, Samples, Variable, averaged
from qernel.observables.grids import cell_index, counts, grid_coordinates


@dataclass(frozen=True)
class Density(Observable):
    """n(r): mean number of electrons in every part of a grid over the area of the part.

    Every configuration contributes its N electrons, so the density integrates to N exactly.

    Attributes:
        grid: parts along each supercell vector.
        cell_grid: parts along each vector of the moiré cell and of the √3×√3 cell.
    """

    grid: int = 48
    cell_grid: int = 24
    name: ClassVar[str] = "density"
    summary: ClassVar[str] = "electron density on the supercell, folded to the moiré and the √3×√3 cell"

    def measure(self, samples: Samples) -> list[Variable]:
        """The density on the supercell, for each spin where there are two, and folded to smaller cells."""
        cell = samples.hamiltonian.supercell
        result = [_density("density", samples, cell.vectors, self.grid, "a", "the supercell")]
        if len(samples.species) > 1:
            for spin in samples.species:
                name = f"density_{spin}"
                result.append(_density(name, samples, cell.vectors, self.grid, "a", "the supercell", spin))
        result.append(_density("density_moire", samples, cell.primitive, self.cell_grid, "m", "the moiré cell"))
        if holds_root_three(cell):
            vectors = root_three_vectors(cell)
            result.append(_density("density_sqrt3", samples, vectors, self.cell_grid, "s", "the √3×√3 cell"))
        return result


def _density(
    name: str, samples: Samples, vectors: FloatArray, grid: int, prefix: str, what: str, spin: str | None = None
) -> Variable:
    positions = samples.positions if spin is None else samples.positions[:, :, samples.species[spin]]
    index = cell_index(positions, vectors, grid)
    per_record = counts(index, grid * grid, samples.stretches).reshape(samples.chains, -1, grid, grid)
    # Folded cells: an average over the copies that fit into the supercell.
    series = per_record * grid * grid / samples.hamiltonian.supercell.area
    axes, coordinates = grid_coordinates(prefix, vectors, grid, what)
    electrons = "electrons" if spin is None else f"electrons with spin {spin}"
    return averaged(name, series, "1/a_M^2", f"density of {electrons} on {what}", axes, coordinates)
