"""Density and structure factor of the projected state, as 2·mixed − variational.

Walkers are distributed as ψφ, φ the projected state, and not as φ²: what they say of anything that does not commute
with H is a mixed estimate. With φ = ψ + δ, ⟨φ|A|φ⟩ = 2⟨ψ|A|φ⟩ − ⟨ψ|A|ψ⟩ + O(δ²), all of them normalised: right to first
order in what ψ lacks, and no bound. Errors are those of both, independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from qernel.measure.observe import from_records, variables
from qernel.observables.base import Observable, Samples, Variable
from qernel.observables.density import Density
from qernel.observables.structure_factor import StructureFactor

if TYPE_CHECKING:
    from qernel.estimators.chains import Record
    from qernel.lattice import FloatArray
    from qernel.measure.state import State

OBSERVABLES: tuple[Observable, ...] = (Density(), StructureFactor())

CAVEAT = "2 mixed - variational"

_STRETCHES = 16
"""Stretches of imaginary time that count as chains: walkers have common ancestors within, hardly between them."""


def mixed_arrays(state: State, records: Sequence[Record], walkers: Samples, seed: int) -> tuple[Variable, ...]:
    """Every array of `OBSERVABLES` as ``X``, extrapolated, and as ``variational_X``.

    Args:
        state: a model at one point of its family.
        records: of chains of |ψ|².
        walkers: that are projected, as of `stretches`.
        seed: of the chains.
    """
    found: list[Variable] = []
    before = variables(OBSERVABLES, from_records(state, OBSERVABLES, records, seed))
    after = variables(OBSERVABLES, walkers)
    for mixed, variational in zip(after, before, strict=True):
        found += [extrapolated(mixed, variational), variational._replace(name=f"variational_{variational.name}")]
    return tuple(found)


def extrapolated(mixed: Variable, variational: Variable) -> Variable:
    """2·mixed − variational, with the error of both."""
    assert mixed.errors is not None and variational.errors is not None
    return mixed._replace(
        values=2.0 * mixed.values - variational.values,
        errors=np.hypot(2.0 * mixed.errors, variational.errors),
        description=f"{mixed.description}, {CAVEAT}",
    )


def stretches(state: State, snapshots: FloatArray, seed: int) -> Samples:
    """Stretches of imaginary time as chains of records; snapshots at the beginning that do not fill one are left over.

    Args:
        state: a model at one point of its family.
        snapshots: of projected walkers of equal weight ``[n, W, N, 2]``, at equal distances in imaginary time.
        seed: of the chains that they began as.
    """
    count = min(_STRETCHES, len(snapshots))
    whole = snapshots[len(snapshots) % count :].astype(np.float64)
    positions = whole.reshape(count, -1, *snapshots.shape[2:])
    return Samples(positions=positions, hamiltonian=state.model.hamiltonian, point=state.point, seed=seed)
