"""The protocol of wavefunction optimisers.

Both optimisers see the same data: score rows Ō ``[n, P]`` (centred ∂log ψ, real and imaginary parts stacked)
and residuals ε ``[n]`` (centred local energies), both weighted so that Ōᵀε is half the energy gradient and ŌᵀŌ the
quantum geometric tensor. ``update`` returns the direction to *subtract*, already scaled by the learning rate.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import jax.numpy as jnp
from jax import Array


class Tuning(NamedTuple):
    """Factors on the configured learning rate and damping, scalars; 1 until a run had to be made more careful."""

    rate: Array | float = 1.0
    damping: Array | float = 1.0


NEUTRAL = Tuning()
"""As configured."""


class Optimiser(Protocol):
    """Pure init/update pair."""

    def init(self, parameters: Array) -> Any:
        """State for flat parameters ``[P]``."""

    def update(self, rows: Array, residuals: Array, state: Any, tuning: Tuning = NEUTRAL) -> tuple[Array, Any]:
        """Direction ``[P]`` to subtract from the parameters, and the new state."""


class Schedule(NamedTuple):
    """Learning rate η(t) = rate / (1 + t/decay)."""

    rate: float
    decay: float

    def __call__(self, iteration: Array) -> Array:
        """η at an iteration, in float64: whoever takes the step says in what precision."""
        return self.rate / (1.0 + jnp.asarray(iteration, jnp.float64) / self.decay)
