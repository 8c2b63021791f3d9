"""The density of the other electrons, given one at a chosen place of its moiré cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qernel.errors import RunError
from qernel.lattice import FloatArray
from qernel.observables.base import Coordinate, Observable, Samples, Variable, averaged, ratio
from qernel.observables.grids import cell_index, counts, grid_coordinates
from qernel.observables.sites import nearest_lattice_vector


@dataclass(frozen=True)
class ConditionalDensity(Observable):
    """n(r|r_0), which integrates to N − 1, and g(r, r_0) = n(r|r_0)/n(r).

    All equivalent places r_0 + R, R a moiré lattice vector, count, each with its surroundings moved by −R: the
    Hamiltonian does not tell them apart. n(r) is averaged in the same way.

    Attributes:
        at: r_0 in a_M.
        radius: how close to r_0 the electron has to be, in a_M.
        grid: parts along each supercell vector.
    """

    at: tuple[float, float] = (0.0, 0.0)
    radius: float = 0.2
    grid: int = 36
    name: ClassVar[str] = "conditional_density"
    summary: ClassVar[str] = "density given an electron at r0, and the pair correlation g(r, r0)"

    def measure(self, samples: Samples) -> list[Variable]:
        """Both functions on the supercell; g is nan where no electron was ever seen."""
        cell, x, bins = samples.hamiltonian.supercell, samples.positions, self.grid**2
        chains, stretches = samples.chains, samples.stretches
        relative = x - np.asarray(self.at)
        home = nearest_lattice_vector(relative, cell)
        here = np.linalg.norm(relative - home, axis=-1) <= self.radius
        if not here.any():
            raise RunError(
                f"conditional_density: no electron was within {self.radius:g} a_M of {self.at}: "
                "choose another place (at), a larger radius, or more samples"
            )
        around = np.full((*here.shape, samples.count), bins)
        for i in range(samples.count):
            index = cell_index(x - home[:, :, i, None], cell.vectors, self.grid)
            around[:, :, i] = np.where(here[:, :, i, None], index, bins)
            around[:, :, i, i] = bins
        others = counts(around, bins, stretches)
        present = np.stack([here[:, records].sum(-1).mean(1) for records in stretches], axis=1)
        mean_density = np.zeros((chains, len(stretches), bins))
        for shift in cell.translations:
            mean_density += counts(cell_index(x - shift, cell.vectors, self.grid), bins, stretches) / cell.cells

        shape = (chains, len(stretches), self.grid, self.grid)
        axes, grid = grid_coordinates("c", cell.vectors, self.grid, "the supercell around an electron at r0")
        place = f"r0 = ({self.at[0]:g}, {self.at[1]:g}) a_M within {self.radius:g} a_M"
        given = (ratio(others, present) * bins / cell.area).reshape(shape)
        text = f"density of the other electrons given one at {place}"
        correlation = _over_density(others, present, mean_density).reshape(shape)
        return [
            averaged("conditional_density", given, "1/a_M^2", text, axes, grid),
            _with_holes("conditional_correlation", correlation, f"pair correlation g(r, r0) with {place}", axes, grid),
        ]


def _over_density(others: FloatArray, present: FloatArray, density: FloatArray) -> FloatArray:
    """The linearised series of ⟨a⟩/(⟨b⟩⟨n⟩); nan where ⟨n⟩ = 0."""
    a, b, n = others.mean((0, 1)), present.mean(), density.mean((0, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        value = a / (b * n)
        series: FloatArray = value + others / (b * n) - value * (present[..., None] / b + density / n - 1.0)
    return series


def _with_holes(
    name: str, series: FloatArray, text: str, axes: tuple[str, ...], coordinates: list[Coordinate]
) -> Variable:
    """`averaged` where some components are undefined."""
    holes = ~np.isfinite(series).all((0, 1))
    variable = averaged(name, np.where(holes, 0.0, series), "1", text, axes, coordinates)
    errors = variable.errors
    assert errors is not None, "averaged always gives errors"
    return variable._replace(values=np.where(holes, np.nan, variable.values), errors=np.where(holes, np.nan, errors))
