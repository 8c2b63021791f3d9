"""SPRING: natural gradient in sample space with projected momentum (arXiv:2401.10190)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.scipy.linalg as linalg
import numpy as np
from jax import Array

from qernel.optimise.base import NEUTRAL, Schedule, Tuning

_STEEPEST, _SAMPLE = 512, 48
"""How many parameters have their scores multiplied in float64, and how many walkers are asked which."""

_LARGEST = 1e5
"""By how much damping may grow where T + δ is not positive definite."""


class SpringState(NamedTuple):
    """Previous direction φ ``[P]`` and the iteration count."""

    direction: Array
    iteration: Array


@dataclass(frozen=True)
class Spring:
    """φ = argmin |Ōφ − ε|² + δ|φ − μφ'|², solved as φ = μφ' + Ōᵀ(ŌŌᵀ + δ)⁻¹(ε − μŌφ').

    Attributes:
        schedule: learning rate.
        damping: δ.
        momentum: μ; 0 gives MinSR (arXiv:2302.01941).
        norm_constraint: upper bound on the squared length of a step.
    """

    schedule: Schedule
    damping: float
    momentum: float
    norm_constraint: float

    def init(self, parameters: Array) -> SpringState:
        """No momentum, iteration 0."""
        return SpringState(jnp.zeros_like(parameters), jnp.zeros((), jnp.int32))

    def update(
        self, rows: Array, residuals: Array, state: SpringState, tuning: Tuning = NEUTRAL
    ) -> tuple[Array, SpringState]:
        """See `qernel.optimise.base.Optimiser`.

        The n×n system is solved in float64 whatever the rows are: its condition number is up to |T|/δ,
        beyond float32 for thousands of walkers. Where the rounding of T exceeds δ, as with a walker near a node, the
        rounding takes the place of δ: T could have negative eigenvalues otherwise.
        """
        previous = self.momentum * state.direction
        system = gram(rows)
        target = residuals.astype(jnp.float64) - system.product(previous)
        weights = damped_solution(system.kernel, target, jnp.maximum(tuning.damping * self.damping, system.rounding))
        direction = previous + system.combination(weights)
        rate = (tuning.rate * self.schedule(state.iteration)).astype(rows.dtype)
        length = jnp.linalg.norm(direction)
        step = jnp.minimum(rate, self.norm_constraint**0.5 / jnp.maximum(length, 1e-30)) * direction
        return step, SpringState(direction, state.iteration + 1)


class Gram(NamedTuple):
    """T = ŌŌᵀ ``[n, n]`` in float64, the maps v ↦ Ōv and w ↦ Ōᵀw, and a bound on the rounding of T."""

    kernel: Array
    product: Callable[[Array], Array]
    combination: Callable[[Array], Array]
    rounding: Array


def gram(rows: Array) -> Gram:
    """Products of the rows, those of the steepest parameters in float64.

    A few hundred parameters, those of the embedding of λ, can have scores so large that the sum over them, rounded
    to float32, drowns what all the others say: near a transition the determinants nearly cancel, and how they are
    mixed depends on the embedding.

    Args:
        rows: Ō ``[n, P]``.
    """
    count, parameters = rows.shape
    # A sample of the walkers shows which these are, for little more than reading it.
    sample = rows[:: max(1, count // _SAMPLE)].astype(jnp.float32)
    steepest = jax.lax.top_k((sample**2).sum(0), min(_STEEPEST, parameters))[1]
    steep = rows[:, steepest].astype(jnp.float64)
    others = rows * jnp.ones(parameters, rows.dtype).at[steepest].set(0.0)
    flat = (others @ others.T).astype(jnp.float64)

    def product(vector: Array) -> Array:
        return (others @ vector).astype(jnp.float64) + steep @ vector[steepest].astype(jnp.float64)

    def combination(weights: Array) -> Array:
        return (weights.astype(rows.dtype) @ others).at[steepest].set((weights @ steep).astype(rows.dtype))

    return Gram(flat + steep @ steep.T, product, combination, float(np.finfo(rows.dtype).eps) * jnp.trace(flat))


def damped_solution(kernel: Array, target: Array, damping: Array) -> Array:
    """(T + δ)⁻¹ target, with δ ten times larger as often as rounding has left T + δ without a Cholesky factor."""
    one = jnp.eye(len(kernel), dtype=kernel.dtype)

    def solved(damping: Array) -> tuple[Array, Array]:
        return linalg.cho_solve(linalg.cho_factor(kernel + damping * one, lower=True), target), damping

    weights, _ = jax.lax.while_loop(
        lambda state: ~jnp.isfinite(state[0]).all() & (state[1] < _LARGEST * damping),
        lambda state: solved(10.0 * state[1]),
        solved(damping),
    )
    return weights
