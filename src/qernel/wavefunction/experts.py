"""Smooth, exactly sparse mixture of experts.

Routing must not cost the variational principle: ψ has to be C¹ in the electron positions, or ∇²ψ gains
surface terms that sampling never sees. With router probabilities p over E experts and the *fixed*
threshold τ = 1/(k + 1), the gate g_e = [max(p_e − τ, 0)/(1 − τ)]² is C¹, and because Σ p = 1 at most
k probabilities can exceed 1/(k + 1). The sparsity is structural: nothing is truncated, no capacity limit
drops an active expert, and where two experts swap places around rank k both of their gates are zero.

All experts are evaluated and inactive ones multiplied by a gate that is exactly zero: with a handful of
small experts one matrix product is faster than gathering weights for every walker.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from qernel.laplacian.jet import Operand, contract, linear, pointwise, softmax
from qernel.wavefunction.base import dense


class Router(eqx.Module):
    """Scores the experts from the electron configuration and the condition."""

    features: Array
    condition: Array
    bias: Array

    def __init__(self, width: int, condition: int, experts: int, *, key: Array, dtype: Any):
        k1, k2, k3 = jax.random.split(key, 3)
        self.features = dense(k1, width, (width, experts), dtype, 2.0)
        self.condition = dense(k2, condition, (condition, experts), dtype, 2.0)
        self.bias = dense(k3, 1, (experts,), dtype, 0.5)

    def __call__(self, features: Operand, condition: Array) -> Any:
        """Probabilities ``[experts]`` of one configuration with features ``[N, width]``."""
        pooled = linear(lambda h: h.mean(0) @ self.features, features)
        return softmax(pooled + (condition @ self.condition + self.bias))


class MixtureOfExperts(eqx.Module):
    """A shared expert that always contributes, plus the few experts the router picks."""

    router: Router
    shared_in: Array
    shared_bias: Array
    shared_out: Array
    experts_in: Array
    experts_bias: Array
    experts_out: Array
    active: int = eqx.field(static=True)

    def __init__(
        self,
        width: int,
        condition: int,
        *,
        experts: int,
        active: int,
        expert_width: int,
        shared_width: int,
        key: Array,
        dtype: Any,
    ):
        keys = jax.random.split(key, 7)
        self.router = Router(width, condition, experts, key=keys[0], dtype=dtype)
        self.shared_in = dense(keys[1], width, (width, shared_width), dtype)
        self.shared_bias = dense(keys[2], 1, (shared_width,), dtype, 0.1)
        self.shared_out = dense(keys[3], shared_width, (shared_width, width), dtype)
        self.experts_in = dense(keys[4], width, (experts, width, expert_width), dtype)
        self.experts_bias = dense(keys[5], 1, (experts, expert_width), dtype, 0.1)
        self.experts_out = dense(keys[6], expert_width, (experts, expert_width, width), dtype)
        self.active = active

    def gates(self, features: Operand, condition: Array) -> Any:
        """Gate of every expert ``[experts]``; at most ``active`` of them are non-zero."""
        threshold = 1.0 / (self.active + 1)
        probabilities = self.router(features, condition)
        return pointwise(lambda p: jnp.square(jnp.maximum(p - threshold, 0.0) / (1.0 - threshold)), probabilities)

    def __call__(self, features: Operand, condition: Array) -> Any:
        """Features ``[N, width]`` → update ``[N, width]``."""
        shared = pointwise(jnp.tanh, linear(lambda h: h @ self.shared_in, features) + self.shared_bias)
        update = linear(lambda h: h @ self.shared_out, shared)
        gates = self.gates(features, condition)
        hidden = contract("nd,kdh->nkh", features, self.experts_in) + self.experts_bias
        hidden = contract("k,nkh->nkh", gates, pointwise(jnp.tanh, hidden))
        return update + contract("nkh,khd->nd", hidden, self.experts_out)
