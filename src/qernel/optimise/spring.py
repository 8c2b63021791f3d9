"""SPRING: natural gradient in sample space with projected momentum (arXiv:2401.10190)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import jax.scipy.linalg as linalg
import numpy as np
from jax import Array

from qernel.optimise.base import NEUTRAL, Schedule, Tuning


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
        beyond float32 for thousands of walkers. Where one row is so large that the rounding of T exceeds δ, as for a
        walker near a node, the rounding takes the place of δ: T could have negative eigenvalues otherwise.
        """
        previous = self.momentum * state.direction
        kernel = (rows @ rows.T).astype(jnp.float64)
        rounding = 8.0 * float(np.finfo(rows.dtype).eps) * jnp.diagonal(kernel).max()
        kernel = kernel + jnp.maximum(tuning.damping * self.damping, rounding) * jnp.eye(len(kernel))
        target = (residuals - rows @ previous).astype(jnp.float64)
        weights = linalg.cho_solve(linalg.cho_factor(kernel, lower=True), target)
        direction = previous + weights.astype(rows.dtype) @ rows
        rate = (tuning.rate * self.schedule(state.iteration)).astype(rows.dtype)
        length = jnp.linalg.norm(direction)
        step = jnp.minimum(rate, self.norm_constraint**0.5 / jnp.maximum(length, 1e-30)) * direction
        return step, SpringState(direction, state.iteration + 1)
