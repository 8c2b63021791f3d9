"""A single Slater determinant of trainable orbitals: no network, no correlation.

The orbitals start as the one-body Bloch functions, so at U = 0 this *is* the exact ground state; or, with
``orbitals = "hartree_fock"``, as the Hartree–Fock orbitals.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from qernel.hamiltonian.family import Hamiltonian
from qernel.laplacian.determinant import log_det
from qernel.laplacian.jet import Jet, linear
from qernel.wavefunction.base import Wavefunction
from qernel.wavefunction.orbitals.base import Orbitals
from qernel.wavefunction.registry import orbitals_named


class Slater(Wavefunction):
    """det φ_j(r_i; p), one determinant per spin species."""

    orbitals: Orbitals
    hamiltonian: Hamiltonian = eqx.field(static=True)

    def __init__(self, model: Any, hamiltonian: Hamiltonian, *, rng: np.random.Generator, dtype: Any = jnp.float32):
        self.hamiltonian = hamiltonian
        kind = orbitals_named("bloch" if model.orbitals == "network" else model.orbitals)
        self.orbitals = kind.of(
            model, hamiltonian, (True,), complex=model.complex_orbitals(hamiltonian.twisted), dtype=dtype
        )

    def amplitude(self, positions: Array | Jet, point: Array) -> tuple[Array, Any]:
        """See `Wavefunction.amplitude`."""
        (sign, log), *others = [log_det(matrix) for matrix in self.orbitals(positions, point)]
        for other_sign, other_log in others:
            sign, log = sign * other_sign, log + other_log
        return sign[0], linear(lambda row: row[0], log)
