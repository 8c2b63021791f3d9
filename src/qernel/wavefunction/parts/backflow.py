"""Backflow: orbitals meet an electron at coordinates that depend on where the others are.

A network that multiplies an orbital φ_j(r_i) has to write a shift of it as r_i-dependent factors, one for each
orbital; displaced coordinates shift all of them at once.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from qernel.hamiltonian.family import Hamiltonian
from qernel.laplacian.jet import Jet, Operand, contract, from_parts, to_second_order
from qernel.lattice import displacement
from qernel.wavefunction.parts.conditioning import Conditioned
from qernel.wavefunction.parts.radial import radial


class Backflow(eqx.Module):
    """x_i = r_i + h_i·W + Σ_{j≠i} η(r_ij) (r_i − r_j), zero displacement at the start.

    The sum is that of López Ríos et al., PRE 74, 066701, with η'(0) = 0, which leaves the cusp of ψ to the Jastrow
    factor; h_i are the features of the network, so that the displacement is one of many bodies. W and η depend on the
    family point.
    """

    weights: Conditioned
    coefficients: Conditioned
    hamiltonian: Hamiltonian = eqx.field(static=True)
    length: float = eqx.field(static=True)

    def __init__(self, hamiltonian: Hamiltonian, width: int, condition: int, order: int, longest: float, *, dtype: Any):
        self.hamiltonian = hamiltonian
        self.length = min(hamiltonian.supercell.inscribed_radius, longest)
        self.weights = Conditioned(jnp.zeros((width, 2), dtype), condition)
        self.coefficients = Conditioned(jnp.zeros(order, dtype), condition)

    def __call__(self, features: Operand, positions: Array | Jet, condition: Array) -> Any:
        """Features ``[N, width]`` and positions ``[N, 2]`` → coordinates ``[N, 2]`` in a_M."""
        shift = contract("nc,cx->nx", features, self.weights(condition))
        return positions + shift + self._pairs(positions, self.coefficients(condition))

    def _pairs(self, positions: Array | Jet, alpha: Array) -> Any:
        """Σ_{j≠i} η(r_ij) (r_i − r_j) in closed form: ∂_b(η d_a) = η δ_ab + η' d_a d_b/r, Δ(η d) = (η'' + 3η'/r) d."""
        x = positions.value if isinstance(positions, Jet) else positions
        count = x.shape[0]
        pairs = jnp.asarray(~np.eye(count, dtype=bool))
        difference = displacement(x[:, None, :] - x[None, :, :], self.hamiltonian.supercell.vectors)
        r = jnp.sqrt(jnp.where(pairs, (difference**2).sum(-1), 1.0))

        def eta(r: Array) -> Array:
            return jnp.where(pairs, radial(r, list(alpha), 0.0, self.length), 0.0)

        value = (eta(r)[..., None] * difference).sum(1)
        if not isinstance(positions, Jet):
            return value
        strength, first, second = to_second_order(eta, r)
        one = jnp.eye(2, dtype=x.dtype)
        # By r_i, for each j: minus the same by r_j.
        tensor = strength * one[:, :, None, None] + first / r * jnp.einsum("ija,ijb->abij", difference, difference)
        own = jnp.eye(count, dtype=x.dtype) * tensor.sum(-1)[..., None]
        jacobian = jnp.einsum("abij->jbia", own - tensor).reshape(2 * count, count, 2)
        # r_i and r_j contribute the same.
        laplacian = 2.0 * ((second + 3.0 * first / r)[..., None] * difference).sum(1)
        return from_parts(value, jacobian, laplacian)
