"""Smooth, exactly sparse mixture of experts.

Routing must not cost the variational principle: ψ has to be C¹ in the electron positions, or ∇²ψ gains
surface terms that sampling never sees. With router probabilities p over E experts and the *fixed*
threshold τ = 1/(k + 1), the gate g_e = [max(p_e − τ, 0)/(1 − τ)]² is C¹, and because Σ p = 1 at most
k probabilities can exceed 1/(k + 1). The sparsity is structural: nothing is truncated, no capacity limit
drops an active expert, and where two experts swap places around rank k both of their gates are zero.

Where derivatives are carried along, only the k experts that may act are evaluated. For ψ alone all of them are, and
inactive ones multiplied by a gate that is exactly zero: one product is then faster than gathering weights for
every walker.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from qernel.laplacian.jet import Jet, Operand, contract, pointwise, softmax
from qernel.wavefunction.base import dense
from qernel.wavefunction.parts.conditioning import Modulated, read, read_mean
from qernel.wavefunction.parts.perceptron import Perceptron


class Router(eqx.Module):
    """Scores the experts from the electron configuration and the condition.

    A steered bias has no part in the energy gradient: `qernel.training.expert_load` moves it, and nothing else does.
    """

    features: Array
    condition: Array
    bias: Array
    steered: bool = eqx.field(static=True)

    def __init__(
        self, width: int, condition: int, experts: int, *, steered: bool = False, rng: np.random.Generator, dtype: Any
    ):
        r1, r2, r3 = rng.spawn(3)
        self.features = dense(r1, width, (width, experts), dtype, 2.0)
        self.condition = dense(r2, condition, (condition, experts), dtype, 2.0)
        self.bias = dense(r3, 1, (experts,), dtype, 0.5)
        self.steered = steered

    def __call__(self, features: Operand | Modulated, condition: Array) -> Any:
        """Probabilities ``[experts]`` of one configuration with features ``[N, width]``."""
        pooled = read_mean(features, self.features)
        bias = jax.lax.stop_gradient(self.bias) if self.steered else self.bias
        return softmax(pooled + (condition @ self.condition + bias))


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
        steered: bool = False,
        rng: np.random.Generator,
        dtype: Any,
    ):
        rngs = rng.spawn(7)
        self.router = Router(width, condition, experts, steered=steered, rng=rngs[0], dtype=dtype)
        self.shared_in = dense(rngs[1], width, (width, shared_width), dtype)
        self.shared_bias = dense(rngs[2], 1, (shared_width,), dtype, 0.1)
        self.shared_out = dense(rngs[3], shared_width, (shared_width, width), dtype)
        self.experts_in = dense(rngs[4], width, (experts, width, expert_width), dtype)
        self.experts_bias = dense(rngs[5], 1, (experts, expert_width), dtype, 0.1)
        self.experts_out = dense(rngs[6], expert_width, (experts, expert_width, width), dtype)
        self.active = active

    def gates(self, features: Operand | Modulated, condition: Array) -> Any:
        """Gate of every expert ``[experts]``; at most ``active`` of them are non-zero."""
        threshold = 1.0 / (self.active + 1)
        probabilities = self.router(features, condition)
        return pointwise(lambda p: jnp.square(jnp.maximum(p - threshold, 0.0) / (1.0 - threshold)), probabilities)

    def __call__(self, features: Operand | Modulated, condition: Array) -> Any:
        """Features ``[N, width]`` → update ``[N, width]``."""
        return self.apply(self.gates(features, condition), features)

    @property
    def idle_parameters(self) -> int:
        """Trainable numbers of the routed experts that do not act on a configuration when as many as may do."""
        routed = (self.experts_in, self.experts_bias, self.experts_out)
        each = sum(leaf.size // leaf.shape[0] for leaf in routed)
        return each * max(0, self.experts_in.shape[0] - self.active)

    def apply(self, gates: Any, features: Operand | Modulated) -> Any:
        """The update ``[N, width]`` of features ``[N, width]`` behind given gates ``[experts]``."""
        inner, bias, outer = self.experts_in, self.experts_bias, self.experts_out
        if isinstance(gates, Jet) and self.active < len(inner):
            chosen = jax.lax.top_k(gates.value, self.active)[1]
            gates, inner, bias, outer = gates[chosen], inner[chosen], bias[chosen], outer[chosen]
        count, width, size = inner.shape
        # One product for the shared expert and the routed ones: their hidden units side by side, the shared one's
        # with gate 1.
        inner = jnp.concatenate([self.shared_in, jnp.swapaxes(inner, 0, 1).reshape(width, count * size)], axis=1)
        bias = jnp.concatenate([self.shared_bias, bias.reshape(-1)])
        outer = jnp.concatenate([self.shared_out, outer.reshape(count * size, width)])
        always = jnp.zeros(bias.shape, bias.dtype).at[: len(self.shared_bias)].set(1.0)
        routes = jnp.repeat(jnp.eye(count, dtype=bias.dtype), size, axis=1, total_repeat_length=count * size)
        routes = jnp.pad(routes, ((0, 0), (len(self.shared_bias), 0)))
        hidden = pointwise(jnp.tanh, read(features, inner, bias))
        hidden = hidden * (contract("k,kh->h", gates, routes) + always)
        return contract("nh,hc->nc", hidden, outer)


def experts_of(model: Any, condition: int, *, rng: np.random.Generator, dtype: Any) -> MixtureOfExperts | Perceptron:
    """The mixture that a ``[model]`` section describes; with ``experts = 0`` the shared expert alone."""
    if not model.experts:
        return Perceptron(model.width, model.shared_width, rng=rng, dtype=dtype)
    return MixtureOfExperts(
        model.width,
        condition,
        experts=model.experts,
        active=model.active_experts,
        expert_width=model.expert_width,
        shared_width=model.shared_width,
        steered=model.expert_balance > 0,
        rng=rng,
        dtype=dtype,
    )


def mixtures(wavefunction: Any) -> list[MixtureOfExperts]:
    """The mixtures of experts of a wavefunction, in the order of its blocks."""
    nodes = jax.tree.leaves(wavefunction, is_leaf=lambda node: isinstance(node, MixtureOfExperts))
    return [node for node in nodes if isinstance(node, MixtureOfExperts)]
