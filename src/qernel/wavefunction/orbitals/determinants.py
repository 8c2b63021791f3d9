"""The weighted sum of determinants."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from qernel.laplacian.jet import Operand, linear, pointwise, value_of
from qernel.wavefunction.parts.conditioning import Conditioned


class DeterminantSum(eqx.Module):
    """log |Σ_d w_d(λ) Π_σ det M_dσ| with trainable, conditioned determinant weights."""

    weights: Conditioned

    def __init__(self, determinants: int, condition: int, *, tilted: bool, dtype: Any):
        """Equal weights, or, when ``tilted``, determinant 0 favoured at low λ and the others at high λ."""
        self.weights = Conditioned(jnp.ones(determinants, dtype), condition)
        if tilted and condition:
            # The condition begins with the scaled λ in [−1, 1]: weights 1 − x and 1 + x.
            tilt = jnp.where(jnp.arange(determinants) == 0, -1.0, 1.0).astype(dtype)
            slope = jnp.zeros((condition, determinants), dtype).at[0].set(tilt)
            self.weights = eqx.tree_at(lambda w: w.slope, self.weights, slope)

    @property
    def count(self) -> int:
        """Number of determinants."""
        return self.weights.base.shape[0]

    def __call__(self, species: list[tuple[Array, Any]], condition: Array) -> tuple[Array, Any]:
        """(signs ``[determinants]``, logarithms ``[determinants]``) per spin → (sign, log) of the weighted sum."""
        (sign, log), *others = species
        for other_sign, other_log in others:
            sign, log = sign * other_sign, log + other_log
        weights = self.weights(condition)
        if weights.shape[0] == 1:
            return sign[0], linear(lambda row: row[0], log)
        return weighted_sum(sign * weights, log)


def weighted_sum(weights: Array, log: Operand) -> tuple[Array, Any]:
    """(sign, log) of Σ_k w_k exp(log_k), from weights and logarithms ``[k]``."""
    # The common factor is a constant for every derivative: only the value is shifted back.
    largest = jax.lax.stop_gradient(jnp.max(jnp.real(value_of(log))))
    terms = pointwise(jnp.exp, log + (-largest)) * weights
    total = linear(lambda row: row.sum(-1), terms)
    if jnp.iscomplexobj(value_of(total)):
        return jnp.ones_like(value_of(total)), pointwise(jnp.log, total) + largest
    return jnp.sign(value_of(total)), pointwise(lambda s: jnp.log(jnp.abs(s)), total) + largest
