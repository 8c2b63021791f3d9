"""Orbitals that are plane waves, with amplitudes that follow the point of the family."""

from __future__ import annotations

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from qernel.hamiltonian.family import Hamiltonian
from qernel.laplacian.expansion import Displaced
from qernel.laplacian.jet import Jet, contract, electrons
from qernel.wavefunction.orbitals.base import Orbitals, spin_blocks
from qernel.wavefunction.orbitals.chebyshev import Series
from qernel.wavefunction.orbitals.waves import Turns, Waves


class PlaneWaveOrbitals(Orbitals):
    """φ_j(r; p) = Σ_G C_jG(p) e^{iG·r} with C_jG a polynomial in the point p (`Series`).

    Real orbitals are made of cosines and sines. Amplitudes are zero until `started` has computed them: a model that
    is read from a file does not need that.
    """

    amplitudes: eqx.AbstractVar[list[Array]]
    """Per spin species ``[terms, 2, waves, ...]``: of cosines and sines for real orbitals, real and imaginary parts
    for complex ones; the last axes are (determinant, orbital), or (orbital) if all determinants share them."""

    series: eqx.AbstractVar[Series]
    complex: eqx.AbstractVar[bool]

    @property
    def hamiltonian(self) -> Hamiltonian:
        """The family."""
        return self.series.hamiltonian

    @property
    @abc.abstractmethod
    def turns(self) -> Turns:
        """Integer coordinates ``[waves, 2]`` of G on the reciprocal vectors of the supercell."""

    def orbitals(self, point: Array) -> list[Waves]:
        """The orbitals of every spin species ``[..., n]`` at a point ``[p]``."""
        found = []
        for amplitudes in self.amplitudes:
            even, odd = self.series.at(point, amplitudes)
            if self.complex:
                even, odd = even + 1j * odd, 1j * even - odd
            found.append(Waves(self.hamiltonian.supercell, self.turns, even, odd))
        return found

    def __call__(self, coordinates: Array | Jet, point: Array) -> list[Any]:
        """See `Orbitals`."""
        blocks = spin_blocks(self.hamiltonian.electrons)
        return [
            self._at(waves, electrons(coordinates, start, stop))
            for waves, (start, stop) in zip(self.orbitals(point), blocks, strict=True)
        ]

    def _at(self, waves: Waves, coordinates: Array | Jet) -> Any:
        if isinstance(coordinates, Jet) and coordinates.owners is None:
            return Displaced(self._everywhere(waves).expanded(coordinates.value), coordinates)
        values = waves.at(coordinates)
        if waves.even.ndim == 3:
            return values
        dressed = jnp.asarray(self.dressed, waves.even.real.dtype)
        return contract("nk,d->ndk", values, dressed) + (1.0 - dressed)[:, None]

    def _everywhere(self, waves: Waves) -> Waves:
        """The orbitals once for every determinant."""
        if waves.even.ndim == 3:
            return waves
        even, odd = (jnp.repeat(part[:, None], len(self.dressed), 1) for part in waves[2:])
        return waves._replace(even=even, odd=odd)
