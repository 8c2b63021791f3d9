"""Chains that are carried from one point to the next, so that a state which outlives its phase shows as hysteresis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from qernel.lattice import FloatArray

if TYPE_CHECKING:
    from qernel.estimators.chains import Record
    from qernel.measure.energies import Energies
    from qernel.measure.state import State

DIRECTIONS = ("up", "down")


def swept(
    states: Sequence[State],
    direction: str,
    *,
    samples: int | None = None,
    walkers: int | None = None,
    seed: int | None = None,
    start: FloatArray | None = None,
    begin: Callable[[State], None] | None = None,
    keep: Callable[[State, Sequence[Record], int], None] | None = None,
    progress: Callable[[float], None] | None = None,
) -> list[Energies]:
    """Energies at every state, each chain starting where it ended at the state before and equilibrating again.

    The two directions, and the states of one, have random numbers of their own.

    Args:
        states: in increasing order of λ, or of the parameter that is varied.
        direction: ``up``, or ``down`` to begin at the last one.
        samples: records per chain; default from the model's ``[sample]`` section.
        walkers: chains; default likewise.
        seed: of the chains; default likewise.
        start: configurations ``[W, N, 2]`` in a_M at the first state; default as `sample.crystal_from` says.
        begin: called with each state before it is measured.
        keep: called with each state, its records and their seed, after it is measured.
        progress: called with the fraction done at one state.

    Returns:
        The energies in the order of ``states``, with ``direction`` entered.
    """
    if direction not in DIRECTIONS:
        raise ValueError(f"direction is {direction!r}: use up or down")
    order = list(states) if direction == "up" else list(reversed(states))
    positions, results = start, []

    def kept(state: State, records: Sequence[Record], own: int) -> None:
        nonlocal positions
        positions = records[-1].positions
        if keep is not None:
            keep(state, records, own)

    for index, state in enumerate(order):
        if begin is not None:
            begin(state)
        base = state.model.config.sample.seed if seed is None else seed
        own = int(np.random.SeedSequence([base, DIRECTIONS.index(direction), index]).generate_state(1)[0] >> 1)
        found = state.energy(samples, walkers=walkers, seed=own, start=positions, keep=kept, progress=progress)
        results.append(found._replace(direction=direction))
    return results if direction == "up" else results[::-1]
