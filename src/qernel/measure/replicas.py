"""Chains at several points together that swap configurations, so that none is stuck in the phase it started in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from qernel.errors import RunError
from qernel.lattice import FloatArray

if TYPE_CHECKING:
    from qernel.estimators.chains import Record
    from qernel.measure.energies import Energies
    from qernel.measure.state import State

DIRECTION = "exchange"
"""How `Energies` of such chains are marked."""


class Exchanged(NamedTuple):
    """Energies at each point, and the fraction of accepted swaps between neighbours, ``[G - 1]``."""

    energies: list[Energies]
    acceptance: FloatArray


def exchanged(
    states: Sequence[State],
    *,
    samples: int | None = None,
    walkers: int | None = None,
    seed: int | None = None,
    start: npt.ArrayLike | None = None,
    keep: Callable[[State, Sequence[Record], int], None] | None = None,
    progress: Callable[[float], None] | None = None,
) -> Exchanged:
    """Energies at every state, with a swap between neighbours tried after each record and block of burn-in.

    The chains at one point are independent of each other, so errors are found as for any chains; numbers at different
    points have configurations in common, and their errors are correlated.

    Args:
        states: of one model, two or more, in increasing order of the parameter that is varied.
        samples: records per chain; default from the model's ``[sample]`` section.
        walkers: chains per point; default likewise.
        seed: of the chains; default likewise.
        start: configurations ``[W, N, 2]`` in a_M, the same at each point; default as `sample.crystal_from` says.
        keep: called with each state, its records and the seed, after all have been drawn.
        progress: called with the fraction done.

    Raises:
        RunError: for a single state.
    """
    if len(states) < 2:
        raise RunError("exchange swaps configurations between points, and there is one: give at least two")
    sampler, options = states[0].model.sampling(samples, walkers, seed)
    points = jnp.asarray(np.stack([state.point for state in states]))
    replicas = list(sampler.replicas(points, **options, energies=True, start=start, progress=progress))
    energies = []
    for group, state in enumerate(states):
        records = [replica.records[group] for replica in replicas]
        energies.append(state.energies_of(records, options["seed"])._replace(direction=DIRECTION))
        if keep is not None:
            keep(state, records, options["seed"])
    return Exchanged(energies, np.mean([replica.exchange_acceptance for replica in replicas], axis=0))
