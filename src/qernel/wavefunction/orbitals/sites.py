"""Crystal orbitals by their labels, site and sublattice: one function, the same around every site of any cell.

    φ_R(r; p) = f_R(r) + t(p) Σ_S f_S(r),    f_R(r) = Σ_A e^{ik_t·A} Σ_m a_m(p) exp(−|r − R − A|²/2σ_m²)

A runs over the vectors of the supercell, S over the empty sites beside R. Without t an electron that hops to an empty
well meets the tails of Gaussians there, whose curvature makes its local energy −30 E0 and less. It needs no mean field
at any size: what a_m cannot say of the shape of an orbital, backflow, dressing and the Jastrow factor do.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from qernel.hamiltonian.family import Hamiltonian
from qernel.laplacian.expansion import Expanded
from qernel.lattice import ComplexArray, FloatArray, displacement, fractional, holds_root_three, lattice_points
from qernel.wavefunction.orbitals.crystal import well
from qernel.wavefunction.parts.conditioning import Conditioned

_WIDTHS = (0.19, 0.27, 0.38)
"""σ_m in a_M."""

_REACH = 2.5
"""Distance in a_M from which on orbitals are nothing: the widest has fallen to 4e-10."""

_HOPPING = 0.05
"""t at the start: at zero no configuration that is ever visited would tell that it should be something."""

_BESIDE = 1.01
"""Distance in a_M within which lattice vectors lead to a site beside, or to the site itself, which is not empty."""

_FEW = 12
"""Electrons up to which all three registries are summed over: in larger cells they do not overlap."""


def registries(hamiltonian: Hamiltonian) -> int:
    """In how many registries a system has the √3×√3 crystal as determinants: three, one, or none that fits."""
    cell, count = hamiltonian.supercell, hamiltonian.count
    fits = holds_root_three(cell) and 3 * count in (cell.cells, 2 * cell.cells) and not hamiltonian.electrons[1]
    return 0 if not fits else 3 if count <= _FEW else 1


class SiteOrbitals(eqx.Module):
    """Orbitals of polarised electrons on the sites of a registry; a_m and t follow the point of the family."""

    amplitudes: Conditioned
    hopping: Conditioned
    hamiltonian: Hamiltonian = eqx.field(static=True)

    def __init__(self, hamiltonian: Hamiltonian, condition: int, *, dtype: Any):
        self.hamiltonian = hamiltonian
        self.amplitudes = Conditioned(jnp.asarray([0.0, 1.0, 0.0], dtype), condition)
        self.hopping = Conditioned(jnp.asarray(_HOPPING, dtype), condition)

    def labels(self, registry: int) -> FloatArray:
        """+1 or −1 for the two sublattices of a honeycomb, 0 where there is one ``[N]``."""
        cell, count = self.hamiltonian.supercell, self.hamiltonian.count
        if 3 * count == cell.cells:
            return np.zeros(count)
        return 2.0 * ((cell.sublattices[cell.crystal(registry, count)] - registry) % 3) - 3.0

    def expanded(self, coordinates: Array, point: Array, condition: Array, registry: int, *, real: bool) -> Expanded:
        """The orbitals about coordinates ``[N, 2]`` at a point ``[p]``: ``[N, N]``, unit mean square without t.

        Args:
            coordinates: in a_M.
            point: family parameters.
            condition: the conditioning vector.
            registry: 0, 1 or 2.
            real: whether the twist is one of half turns, and orbitals are real.
        """
        family, dtype = self.hamiltonian, coordinates.dtype
        cell = family.supercell
        sites = jnp.asarray(cell.translations, dtype)
        if any(term.name != "moire" for term in family.potentials):
            sites = sites + well(family, point).astype(dtype)
        images = cell.images(_REACH)
        # e^{ik_t·A} of the vector that the minimum image leaves out, and of the images beside it.
        apart = coordinates[:, None] - sites[None, :]
        nearest = displacement(apart, cell.vectors)
        d = nearest[:, :, None] - jnp.asarray(images, dtype)
        twist = family.twist_momentum
        phase: Any = 1.0
        if twist.any():
            angle = (apart - nearest) @ jnp.asarray(twist, dtype)
            angle = angle[:, :, None] + jnp.asarray(images @ twist, dtype)
            phase = jnp.cos(angle) if real else jnp.cos(angle) + 1j * jnp.sin(angle)
        value, first, second = self._profile((d**2).sum(-1), self.amplitudes(condition))
        area = jnp.asarray(cell.area, dtype) ** 0.5
        one = jnp.eye(2, dtype=dtype)[:, :, None, None, None]
        along = jnp.moveaxis(d, -1, 0)
        hessian = 4.0 * second * along[:, None] * along[None] + 2.0 * first * one
        parts = (value, 2.0 * first * along, hessian)
        functions = [(part * phase).sum(-1) * area for part in parts]
        bare = not jnp.iscomplexobj(functions[0])
        occupied, beside = (jnp.asarray(p.real if bare else p, functions[0].dtype) for p in _places(family, registry))
        mixed = occupied + self.hopping(condition).astype(occupied.dtype) * beside
        return Expanded(*(part @ mixed for part in functions))

    def _profile(self, square: Array, amplitudes: Array) -> tuple[Array, Array, Array]:
        """A function of r² with ∫|φ|² = 1 and its two derivatives."""
        sigma = np.array(_WIDTHS)
        overlap = 2.0 * np.pi / (1.0 / sigma[:, None] ** 2 + 1.0 / sigma[None, :] ** 2)
        norm = amplitudes @ jnp.asarray(overlap, amplitudes.dtype) @ amplitudes
        weights = amplitudes / jnp.sqrt(norm)
        value, first, second = (jnp.zeros_like(square) for _ in range(3))
        for weight, decay in zip(weights, (-0.5 / sigma**2).tolist(), strict=True):
            gauss = weight * jnp.exp(decay * square)
            value, first, second = value + gauss, first + decay * gauss, second + decay**2 * gauss
        return value, first, second


@cache
def _places(family: Hamiltonian, registry: int) -> tuple[FloatArray, ComplexArray]:
    """Which of the sites S' of the cell each orbital is on, 1 or 0, and which empty ones it has beside it, at S:
    e^{−ik_t·(S − S')} or 0; both ``[sites, N]``."""
    cell = family.supercell
    chosen = cell.crystal(registry, family.count)
    occupied = np.eye(cell.cells)[:, chosen]
    beside = np.zeros(occupied.shape, complex)
    for orbital, site in enumerate(cell.translations[chosen]):
        for step in lattice_points(cell.primitive, _BESIDE):
            turns = fractional(site + step - cell.translations, cell.vectors)
            row = int(np.abs(turns - np.rint(turns)).max(1).argmin())
            if not chosen[row]:
                beside[row, orbital] += np.exp(-1j * family.twist_momentum @ (np.rint(turns[row]) @ cell.vectors))
    return occupied, beside
