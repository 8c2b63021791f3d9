"""Density and structure factor of the projected state, as 2·mixed − variational, and the phase of its walkers.

Walkers are distributed as ψφ, φ the projected state, and not as φ²: what they say of anything that does not commute
with H is a mixed estimate. With φ = ψ + δ, ⟨φ|A|φ⟩ = 2⟨ψ|A|φ⟩ − ⟨ψ|A|ψ⟩ + O(δ²), all of them normalised: right to first
order in what ψ lacks, and no bound. Errors are those of both, independent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from qernel.estimators.doubts import doubts_of
from qernel.estimators.order_parameter import crystal_order
from qernel.estimators.quantity import Quantity
from qernel.estimators.statistics import summarise
from qernel.lattice import holds_root_three
from qernel.measure.observe import from_records, variables
from qernel.observables.base import Observable, Samples, Variable
from qernel.observables.density import Density
from qernel.observables.phases import sampled_phase
from qernel.observables.structure_factor import StructureFactor
from qernel.structure import Phase

if TYPE_CHECKING:
    from qernel.estimators.chains import Record
    from qernel.lattice import FloatArray
    from qernel.measure.state import State

OBSERVABLES: tuple[Observable, ...] = (Density(), StructureFactor())

CAVEAT = "2 mixed - variational"

_STRETCHES = 16
"""Stretches of imaginary time that count as chains: walkers have common ancestors within, hardly between them."""


def mixed_arrays(state: State, records: Sequence[Record], snapshots: FloatArray, seed: int) -> tuple[Variable, ...]:
    """Every array of `OBSERVABLES` as ``X``, extrapolated, and as ``variational_X``.

    Args:
        state: a model at one point of its family.
        records: of chains of |ψ|².
        snapshots: of projected walkers of equal weight ``[n, W, N, 2]``, at equal distances in imaginary time.
        seed: of the chains.
    """
    found: list[Variable] = []
    before = variables(OBSERVABLES, from_records(state, OBSERVABLES, records, seed))
    after = variables(OBSERVABLES, _samples(state, snapshots, seed))
    for mixed, variational in zip(after, before, strict=True):
        found += [extrapolated(mixed, variational), variational._replace(name=f"variational_{variational.name}")]
    return tuple(found)


class Ending(NamedTuple):
    """Where walkers have come to.

    Attributes:
        order: their |ρ_K|², a mixed estimate, where the supercell holds the √3×√3 crystal.
        rhat: of it, between stretches of imaginary time.
        phase: they are in.
    """

    order: Quantity | None
    rhat: float
    phase: Phase


def ending(state: State, snapshots: FloatArray, seed: int) -> Ending:
    """The phase of projected walkers, which branching may have led into another one than their chains were in.

    Args:
        state: a model at one point of its family.
        snapshots: of projected walkers, as of `mixed_arrays`.
        seed: of the chains.
    """
    samples = _samples(state, snapshots, seed)
    cell = state.model.hamiltonian.supercell
    if not holds_root_three(cell):
        return Ending(None, math.nan, sampled_phase(samples))
    found = summarise(np.asarray(crystal_order(samples.positions, cell)))
    source = f"{len(snapshots)} snapshots of {snapshots.shape[1]} projected walkers"
    order = Quantity(found.mean, found.error, "", source, doubts=doubts_of(found, samples.chains))
    return Ending(order, found.rhat, sampled_phase(samples, found))


def extrapolated(mixed: Variable, variational: Variable) -> Variable:
    """2·mixed − variational, with the error of both."""
    assert mixed.errors is not None and variational.errors is not None
    return mixed._replace(
        values=2.0 * mixed.values - variational.values,
        errors=np.hypot(2.0 * mixed.errors, variational.errors),
        description=f"{mixed.description}, {CAVEAT}",
    )


def _samples(state: State, snapshots: FloatArray, seed: int) -> Samples:
    """Snapshots as chains of records; those at the beginning that do not fill a stretch are left over."""
    count = min(_STRETCHES, len(snapshots))
    whole = snapshots[len(snapshots) % count :].astype(np.float64)
    positions = whole.reshape(count, -1, *snapshots.shape[2:])
    return Samples(positions=positions, hamiltonian=state.model.hamiltonian, point=state.point, seed=seed)
