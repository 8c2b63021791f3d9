"""Adam on the energy gradient, by optax: the simple alternative to the natural gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

from qernel.optimise.base import NEUTRAL, Schedule, Tuning


@dataclass(frozen=True)
class Adam:
    """Adam (arXiv:1412.6980) with the schedule of the configuration.

    Attributes:
        schedule: learning rate.
    """

    schedule: Schedule

    @property
    def _transform(self) -> optax.GradientTransformation:
        return optax.adam(lambda count: self.schedule(count))

    def init(self, parameters: Array) -> Any:
        """Zero moments."""
        return self._transform.init(parameters)

    def update(self, rows: Array, residuals: Array, state: Any, tuning: Tuning = NEUTRAL) -> tuple[Array, Any]:
        """See `qernel.optimise.base.Optimiser`; there is no damping to tune."""
        gradient = 2.0 * residuals @ rows
        with jax.numpy_dtype_promotion("standard"):  # optax raises floats to the power of an integer count
            updates, state = self._transform.update(gradient, state)
        return -updates * jnp.asarray(tuning.rate).astype(updates.dtype), state
