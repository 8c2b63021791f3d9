"""Orbitals on the sites of a crystal."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar, Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from qernel.hamiltonian.family import Hamiltonian
from qernel.laplacian.jet import Jet, contract, pointwise
from qernel.lattice import FloatArray
from qernel.wavefunction.orbitals.base import Choice, Orbitals
from qernel.wavefunction.orbitals.chebyshev import Series

_ORDER = 4
"""Chebyshev polynomials along each parameter that a well moves with."""


class CrystalOrbitals(Orbitals):
    """Orbitals localised on the sites of the √3×√3 generalised Wigner crystal, one set per registry.

    φ_j(r) ∝ exp(κ Σ_G [cos G·(r − R_j) − 1]) over the first shell of the supercell: a periodic
    Gaussian of width σ. At filling 2/3 two of the three sublattices are occupied and a registry says which
    one is empty; at filling 1/3 it says which one is occupied. Determinants 1, 2, 3 of a sum start from the
    three registries, determinant 0 stays uninformed.

    Sites are in the deepest well of the middle of the family, and move with it from point to point; of the moiré
    potential alone they are at r = 0 of each cell, its deepest well at |φ| < 60°.
    """

    tilted: ClassVar[bool] = True

    sharpness: Array
    hamiltonian: Hamiltonian = eqx.field(static=True)
    dressed: Choice = eqx.field(static=True)

    def __init__(self, hamiltonian: Hamiltonian, determinants: int, *, width: float = 0.27, dtype: Any):
        self.hamiltonian, self.dressed = hamiltonian, (False, *(True,) * (determinants - 1))
        curvature = (self._waves**2).sum() / 2.0
        self.sharpness = jnp.asarray(1.0 / (width**2 * curvature), dtype)

    @classmethod
    def of(cls, model: Any, hamiltonian: Hamiltonian, free: Choice, *, complex: bool, dtype: Any) -> Self:
        """See `Orbitals.of`."""
        return cls(hamiltonian, len(free), dtype=dtype)

    def loudness(self) -> Sequence[float]:
        """See `Orbitals.loudness`; the crystal is a guess, from which the network departs sooner."""
        return [0.1 if dressed else 1.0 for dressed in self.dressed]

    @property
    def _waves(self) -> FloatArray:
        return self.hamiltonian.supercell.shells(1)

    def _sites(self, registry: int) -> FloatArray:
        """Cells ``[N, 2]``, as the places of their corners in a_M."""
        cell = self.hamiltonian.supercell
        return cell.translations[cell.crystal(registry, self.hamiltonian.count)]

    def __call__(self, coordinates: Array | Jet, point: Array) -> list[Any]:
        """See `Orbitals`; for polarised electrons, at positions."""
        dtype = self.sharpness.dtype
        waves = self._waves
        sites = np.stack([self._sites(registry) for registry in range(3)])[(np.arange(len(self.dressed)) - 1) % 3]
        phases = jnp.asarray(sites @ waves.T, dtype)
        if any(term.name != "moire" for term in self.hamiltonian.potentials):
            phases = phases + jnp.asarray(waves, dtype) @ well(self.hamiltonian, point).astype(dtype)
        informed = jnp.asarray(np.array(self.dressed)[:, None], dtype)
        angles = contract("nx,xg->ng", coordinates, jnp.asarray(waves.T, dtype))
        cos, sin = pointwise(jnp.cos, angles), pointwise(jnp.sin, angles)
        overlap = contract("ng,djg->ndj", cos, jnp.cos(phases)) + contract("ng,djg->ndj", sin, jnp.sin(phases))
        # Between unit mean square and unit peak: there the two kinds of determinant start out comparable.
        sigma_squared = 1.0 / (self.sharpness * float((waves**2).sum() / 2.0))
        norm = 0.25 * jnp.log(self.hamiltonian.supercell.area / (jnp.pi * sigma_squared))
        exponent = (overlap + (-float(len(waves)))) * self.sharpness + norm
        return [pointwise(jnp.exp, exponent * informed)]


def well(hamiltonian: Hamiltonian, point: Array) -> Array:
    """Where in each cell the deepest well of the middle of a family is at a point ``[p]``: ``[2]`` in a_M."""
    series, places = _wells(hamiltonian)
    return series.at(point, jnp.asarray(places))


@cache
def _wells(hamiltonian: Hamiltonian) -> tuple[Series, FloatArray]:
    """Coefficients ``[terms, 2]`` of that place."""
    cell = hamiltonian.supercell.primitive
    read = {parameter.name for term in hamiltonian.potentials for parameter in term.parameters}
    series = Series.following(hamiltonian, dict.fromkeys({"lam", *read}, _ORDER))
    deepest = hamiltonian.minima(hamiltonian.constants)[0][0]
    found = []
    for node in series.nodes:
        turns = (np.concatenate(hamiltonian.minima(hamiltonian.numbers(node))) - deepest) @ np.linalg.inv(cell)
        moved = (turns - np.rint(turns)) @ cell
        found.append(deepest + moved[np.argmin((moved**2).sum(1))])
    return series, series.fit(np.array(found))
