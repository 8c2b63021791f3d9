"""Everything a training run is at one instant, and how it is laid out over devices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh, NamedSharding

from qernel.optimise.base import Tuning
from qernel.sampling.devices import REPLICATED, WALKERS
from qernel.sampling.metropolis import Walkers

_RELAXATION = 1.001


class Placed(NamedTuple):
    """The walkers of one system, and where its groups are; as in `TrainState`."""

    walkers: Walkers
    fractions: Array


class TrainState(NamedTuple):
    """The complete state: saving and restoring it continues the very same run.

    Attributes:
        parameters: all numbers of the wavefunction, flat ``[P]`` (`qernel.wavefunction.parameter_layout`).
        average: exponential moving average of the parameters ``[P]``: what is evaluated and shipped.
        optimiser: state of the optimiser.
        walkers: positions ``[G, W, N, 2]``, log|ψ| ``[G, W]``, widths ``[G]``.
        fractions: where groups are, ``[G, p]`` in [0, 1] (`qernel.training.filling`).
        key: data of the random key.
        iteration: how many updates have been made.
        tuning: factors on learning rate and damping, float64 scalars; other than 1 after a numerical fault.
        others: walkers and fractions of the further systems that the wavefunction is trained in.
    """

    parameters: Array
    average: Array
    optimiser: Any
    walkers: Walkers
    fractions: Array
    key: Array
    iteration: Array
    tuning: Tuning
    others: tuple[Placed, ...] = ()

    @property
    def placed(self) -> tuple[Placed, ...]:
        """Walkers and fractions of every system, in the order of `qernel.config.Config.systems`."""
        return Placed(self.walkers, self.fractions), *self.others

    def moved(self, placed: Sequence[Placed]) -> Self:
        """The state with other walkers and fractions of its systems."""
        (walkers, fractions), *others = placed
        return self._replace(walkers=walkers, fractions=fractions, others=tuple(others))


def as_configured() -> Tuning:
    """The tuning of a run without faults, as arrays."""
    return Tuning(jnp.ones((), jnp.float64), jnp.ones((), jnp.float64))


def relaxed(tuning: Tuning) -> Tuning:
    """One iteration closer to what is configured: a factor of two takes 700 iterations; 1 stays exactly 1."""
    return Tuning(jnp.minimum(1.0, tuning.rate * _RELAXATION), jnp.maximum(1.0, tuning.damping / _RELAXATION))


def layout(state: TrainState, mesh: Mesh) -> TrainState:
    """The sharding of every array of a state: walkers split over the mesh, everything else replicated.

    Used for both ends of a training step, so that the step is compiled once.
    """
    replicated = NamedSharding(mesh, REPLICATED)
    everywhere: TrainState = jax.tree.map(lambda _: replicated, state)
    split = Walkers(*(NamedSharding(mesh, spec) for spec in WALKERS))  # type: ignore[arg-type]
    return everywhere.moved([one._replace(walkers=split) for one in everywhere.placed])
