"""The electron density n(r) on grids of the supercell, the moiré cell and the √3×√3 cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qernel.lattice import FloatArray, Supercell
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


def root_three_vectors(cell: Supercell) -> FloatArray:
    """a_1 + a_2 and 2a_2 − a_1 as rows ``[2, 2]``: the enlarged cell of the honeycomb crystal."""
    vectors: FloatArray = np.array([[1.0, 1.0], [-1.0, 2.0]]) @ cell.primitive
    return vectors


def holds_root_three(cell: Supercell) -> bool:
    """Whether the supercell is made of whole √3×√3 cells of a triangular lattice (K is one of its wave vectors)."""
    turns = cell.vectors @ np.linalg.inv(root_three_vectors(cell))
    return cell.lattice == "triangular" and bool(np.all(np.abs(turns - np.round(turns)) < 1e-9))


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
