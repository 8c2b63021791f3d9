"""Everything a training run is at one instant, and how it is laid out over devices."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding

from qernel.hamiltonian.family import Hamiltonian
from qernel.lattice import FloatArray
from qernel.optimise.base import Tuning
from qernel.sampling.devices import REPLICATED, WALKERS
from qernel.sampling.metropolis import Walkers

_RELAXATION = 1.001


class TrainState(NamedTuple):
    """The complete state: saving and restoring it continues the very same run.

    Attributes:
        parameters: all numbers of the wavefunction, flat ``[P]`` (`qernel.wavefunction.parameter_layout`).
        average: exponential moving average of the parameters ``[P]``: what is evaluated and shipped.
        optimiser: state of the optimiser.
        walkers: positions ``[G, W, N, 2]``, log|ψ| ``[G, W]``, widths ``[G]``.
        fractions: place of each group inside its stratum of every parameter range, ``[G, p]`` in [0, 1].
        key: data of the random key.
        iteration: how many updates have been made.
        tuning: factors on learning rate and damping, float64 scalars; other than 1 after a numerical fault.
    """

    parameters: Array
    average: Array
    optimiser: Any
    walkers: Walkers
    fractions: Array
    key: Array
    iteration: Array
    tuning: Tuning


def as_configured() -> Tuning:
    """The tuning of a run without faults, as arrays."""
    return Tuning(jnp.ones((), jnp.float64), jnp.ones((), jnp.float64))


def relaxed(tuning: Tuning) -> Tuning:
    """One iteration closer to what is configured: a factor of two takes 700 iterations; 1 stays exactly 1."""
    return Tuning(jnp.minimum(1.0, tuning.rate * _RELAXATION), jnp.maximum(1.0, tuning.damping / _RELAXATION))


FOCUS = 4.0
"""How much denser groups are where training is focused."""


def stratified_points(
    hamiltonian: Hamiltonian, fractions: Array, margin: float = 0.0, focus: tuple[float, float] | None = None
) -> Array:
    """Family points ``[G, p]`` of groups at the given fractions.

    The range of λ, the first parameter, is divided into one stratum per group so that it is always
    covered evenly; every other parameter roams its whole range in each group. The range of λ is ``margin`` times its
    length longer at both ends: what a network learns is least certain where its training ends. Where the range has
    gaps, each part between them is divided like that, so that no group drifts over a gap. In the interval ``focus``
    strata are `FOCUS` times as narrow.
    """
    groups = fractions.shape[0]
    low, high = np.array(hamiltonian.ranges).T
    beyond = np.where(np.arange(len(low)) == 0, margin * (high - low), 0.0)
    low, high = low - beyond, high + beyond
    stratum = jnp.arange(groups, dtype=fractions.dtype)
    first = (stratum + fractions[:, 0]) / groups
    place = jnp.concatenate([first[:, None], fractions[:, 1:]], axis=1)
    points = jnp.asarray(low, fractions.dtype) + jnp.asarray(high - low, fractions.dtype) * place
    if not hamiltonian.gaps and focus is None:
        return points
    parts = np.array(hamiltonian.parts)
    parts[0, 0], parts[-1, 1] = low[0], high[0]
    pieces = [
        piece
        for start, end in parts.tolist()
        for piece in pairwise(sorted({start, end, *(cut for cut in focus or () if start < cut < end)}))
    ]
    within = [focus is not None and focus[0] <= start and end <= focus[1] for start, end in pieces]
    lows, widths = strata(pieces, groups, [FOCUS if inside else 1.0 for inside in within])
    lam = jnp.asarray(lows, fractions.dtype) + jnp.asarray(widths, fractions.dtype) * fractions[:, 0]
    return points.at[:, 0].set(lam)


def strata(
    parts: Sequence[tuple[float, float]], groups: int, density: Sequence[float]
) -> tuple[FloatArray, FloatArray]:
    """Lower ends and widths ``[G]`` of the strata of groups in separate parts of a range.

    Every part gets one group, and each further group goes where groups are farthest apart.

    Args:
        parts: intervals in increasing order.
        groups: at least as many as there are parts.
        density: of groups in each part, relative to the others.
    """
    lengths = np.array([high - low for low, high in parts])
    shares = np.ones(len(parts), dtype=int)
    for _ in range(groups - len(parts)):
        shares[np.argmax(np.multiply(density, lengths) / shares)] += 1
    widths = np.repeat(lengths / shares, shares)
    return np.concatenate(
        [low + width * np.arange(n) for (low, _), width, n in zip(parts, lengths / shares, shares, strict=True)]
    ), widths


def drift_fractions(key: Array, fractions: Array, drift: float) -> Array:
    """A reflected random walk of the fractions, so that a model is trained on the interval, not on a comb."""
    moved = fractions + drift * jax.random.normal(key, fractions.shape, fractions.dtype)
    return 1.0 - jnp.abs(1.0 - jnp.abs(moved) % 2.0)


def layout(state: TrainState, mesh: Mesh) -> TrainState:
    """The sharding of every array of a state: walkers split over the mesh, everything else replicated.

    Used for both ends of a training step, so that the step is compiled once.
    """
    replicated = NamedSharding(mesh, REPLICATED)
    everywhere: TrainState = jax.tree.map(lambda _: replicated, state)
    return everywhere._replace(walkers=Walkers(*(NamedSharding(mesh, spec) for spec in WALKERS)))  # type: ignore[arg-type]
