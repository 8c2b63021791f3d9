"""The local energy E_L = Hψ/ψ of one configuration, split into its physical parts."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from qernel.hamiltonian.family import Potential
from qernel.laplacian.methods import LAPLACIANS
from qernel.wavefunction.base import Wavefunction, log_psi


class LocalEnergy(NamedTuple):
    """Total local energies of one configuration in E0 (not per electron)."""

    kinetic: Array
    moire: Array
    interaction: Array
    gradient_kinetic: Array

    @property
    def total(self) -> Array:
        """E_L; complex where ψ is."""
        return self.kinetic + self.moire + self.interaction


def local_energy(
    wavefunction: Wavefunction, positions: Array, point: Array, *, laplacian: str = "forward"
) -> LocalEnergy:
    """E_L = −½(Δ log ψ + (∇log ψ)²) + V.

    Args:
        wavefunction: the ansatz with its parameters.
        positions: ``[N, 2]`` in a_M.
        point: family parameters ``[p]``.
        laplacian: a key of `LAPLACIANS`.

    Returns:
        Kinetic part (complex for complex ψ), moiré and interaction parts, and ½|∇log ψ|²: its mean equals
        the kinetic energy only if ψ is C¹ everywhere, which makes it the test for smooth routing.
    """
    gradient, curvature = LAPLACIANS[laplacian](lambda x: log_psi(wavefunction, x, point)[1], positions)
    return energy_of(gradient, curvature, wavefunction.hamiltonian.potential(positions, point))


def energy_of(gradient: Array, curvature: Array, potential: Potential) -> LocalEnergy:
    """The local energy of one configuration from ∇log ψ ``[2N]``, Δ log ψ and the potential energies there."""
    return LocalEnergy(
        kinetic=-0.5 * (curvature + (gradient * gradient).sum()),
        moire=potential.moire,
        interaction=potential.interaction,
        gradient_kinetic=0.5 * jnp.square(jnp.abs(gradient)).sum(),
    )
