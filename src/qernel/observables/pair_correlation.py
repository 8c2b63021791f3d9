"""The pair correlation function, averaged over direction and on a grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from qernel.lattice import FloatArray, displacement
from qernel.observables.base import Coordinate, Observable, Samples, Variable, averaged
from qernel.observables.grids import cell_index, grid_coordinates


@dataclass(frozen=True)
class PairCorrelation(Observable):
    """g(r) = (A/N²) ⟨Σ_{i≠j} δ(r − r_i + r_j)⟩: 1 − 1/N without correlation, and ∫g = A(1 − 1/N) always.

    With two spins, also g between like spins, (A/Σ_σN_σ²)⟨…⟩, and between unlike ones, (A/2N_↑N_↓)⟨…⟩. The radial
    functions reach to the largest circle in the Wigner–Seitz cell of the supercell.

    Attributes:
        bins: rings of the radial functions.
        grid: parts along each supercell vector of the map g(r); it is centred on r = 0.
    """

    bins: int = 48
    grid: int = 48
    name: ClassVar[str] = "pair_correlation"
    summary: ClassVar[str] = "g(r) averaged over direction, and on a grid of the supercell"

    def measure(self, samples: Samples) -> list[Variable]:
        """Radial functions for all electrons, like and unlike spins; the map for all electrons."""
        cell, n = samples.hamiltonian.supercell, samples.count
        first, second = np.triu_indices(n, 1)
        spin = np.concatenate(
            [np.full(block.stop - block.start, k) for k, block in enumerate(samples.species.values())]
        )
        like = spin[first] == spin[second]
        edges = np.linspace(0.0, cell.inscribed_radius, self.bins + 1)
        shape = (samples.chains, len(samples.stretches))
        radial = {name: np.zeros((*shape, self.bins)) for name in ("all", "like", "unlike")}
        plane = np.zeros((*shape, self.grid**2))
        for chain, positions in enumerate(samples.positions):
            apart = np.asarray(displacement(positions[:, first] - positions[:, second], cell.vectors))
            ring = np.searchsorted(edges, np.linalg.norm(apart, axis=-1), side="right") - 1
            parts = cell_index(apart, cell.vectors, self.grid, -0.5), cell_index(-apart, cell.vectors, self.grid, -0.5)
            for number, records in enumerate(samples.stretches):
                length = records.stop - records.start
                for name, chosen in (("all", like | ~like), ("like", like), ("unlike", ~like)):
                    radial[name][chain, number] = 2 * _count(ring[records][:, chosen], self.bins) / length
                plane[chain, number] = sum(_count(part[records], self.grid**2) for part in parts) / length
        sizes = [block.stop - block.start for block in samples.species.values()]
        same, other = sum(size**2 for size in sizes), n**2 - sum(size**2 for size in sizes)
        rings = np.pi * np.diff(edges**2)
        middles = 0.5 * (edges[1:] + edges[:-1])
        along = [Coordinate("r", ("r",), middles, "a_M", "distance of two electrons, middle of the ring")]

        def curve(name: str, which: str, pairs: int, text: str) -> Variable:
            series = radial[which] * cell.area / (pairs * rings)
            return averaged(name, series, "1", f"pair correlation {text}, averaged over direction", ("r",), along)

        result = [curve("pair_correlation", "all", n**2, "g(r) of all electrons")]
        if len(sizes) > 1:
            result.append(curve("pair_correlation_like", "like", same, "of electrons with the same spin"))
            result.append(curve("pair_correlation_unlike", "unlike", other, "of electrons with opposite spins"))
        axes, grid = grid_coordinates("d", cell.vectors, self.grid, "displacements in the supercell", -0.5)
        series = plane.reshape(*shape, self.grid, self.grid) * self.grid**2 / n**2
        text = "pair correlation g(r) of all electrons"
        return [*result, averaged("pair_correlation_map", series, "1", text, axes, grid)]


def _count(index: npt.NDArray[np.int64], bins: int) -> FloatArray:
    """Entries in each bin; those at or beyond ``bins`` are left out."""
    return np.bincount(np.minimum(index.ravel(), bins), minlength=bins + 1)[:bins].astype(np.float64)
