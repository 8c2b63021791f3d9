"""Terms of plane waves: of the moiré lattice for each electron, of the supercell for the density."""

from __future__ import annotations

from typing import Any, ClassVar

import jax.numpy as jnp
from jax import Array

from qernel.hamiltonian.family import Hamiltonian
from qernel.lattice import FloatArray
from qernel.tangent.base import Displacement, Factor, Term

_MOIRE_SHELLS = 3
"""Shells of moiré reciprocal vectors: one more than the envelope of the default configuration."""

_SHELLS = 6
"""Shells of supercell reciprocal vectors: two more than its long-range Jastrow factor."""


class _Harmonics(Term):
    """A term of the moiré harmonics, with a coefficient for the cosine and one for the sine of each."""

    def __init__(self, model: Any, hamiltonian: Hamiltonian) -> None:
        super().__init__(model, hamiltonian)
        self._waves: FloatArray = hamiltonian.supercell.moire_shells(_MOIRE_SHELLS)

    @property
    def size(self) -> int:
        """See `Term.size`."""
        return 2 * len(self._waves)


class OneBody(_Harmonics, Factor):
    """Σ_i cos g·r_i and Σ_i sin g·r_i."""

    name: ClassVar[str] = "one_body"
    summary: ClassVar[str] = "one-body factor of moiré harmonics"

    def values(self, positions: Array) -> Array:
        """See `Factor.values`."""
        angles = positions @ jnp.asarray(self._waves.T, positions.dtype)
        return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], axis=1).sum(0)


class DensityWaves(Factor):
    """|ρ_G|²/N with ρ_G = Σ_i exp(iG·r_i)."""

    name: ClassVar[str] = "density_waves"
    summary: ClassVar[str] = "long-range pair Jastrow factor of the waves of the supercell"

    def __init__(self, model: Any, hamiltonian: Hamiltonian) -> None:
        super().__init__(model, hamiltonian)
        self._waves: FloatArray = hamiltonian.supercell.shells(_SHELLS)

    @property
    def size(self) -> int:
        """See `Term.size`."""
        return len(self._waves)

    def values(self, positions: Array) -> Array:
        """See `Factor.values`."""
        angles = positions @ jnp.asarray(self._waves.T, positions.dtype)
        return (jnp.cos(angles).sum(0) ** 2 + jnp.sin(angles).sum(0) ** 2) / self.hamiltonian.count


class OneBodyBackflow(_Harmonics, Displacement):
    """u(i) = ĝ cos g·r_i and ĝ sin g·r_i: orbitals that are stretched within the moiré cell."""

    name: ClassVar[str] = "one_body_backflow"
    summary: ClassVar[str] = "coordinates displaced by moiré harmonics: orbitals of another shape"

    def fields(self, positions: Array) -> Array:
        """See `Displacement.fields`."""
        angles = jnp.asarray(self._waves, positions.dtype) @ positions.T
        lengths = (self._waves**2).sum(1, keepdims=True) ** 0.5
        along = jnp.asarray(self._waves / lengths, positions.dtype)[:, None, :]
        return jnp.concatenate([jnp.cos(angles)[..., None] * along, jnp.sin(angles)[..., None] * along])
