"""From a state to a labelled data set: one sampling run for all observables asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from qernel.errors import QernelError
from qernel.measure.dataset import to_dataset
from qernel.observables.base import Observable, Samples, Variable
from qernel.observables.registry import made
from qernel.stopping import check

if TYPE_CHECKING:
    import xarray

    from qernel.estimators.chains import Record
    from qernel.measure.state import State

_ENERGIES = ("kinetic", "moire", "interaction", "kinetic_imaginary")


def observe(
    state: State,
    observables: Sequence[str | Observable],
    *,
    samples: int | None = None,
    walkers: int | None = None,
    seed: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> xarray.Dataset:
    """Measure observables of a state on the same samples.

    Args:
        state: a model at one point of its family.
        observables: names, or instances where options differ from the defaults.
        samples: records per chain; default from the model's ``[sample]`` section.
        walkers: independent chains; default likewise.
        seed: of the chains; default likewise.
        progress: called with the fraction of the sampling done.

    Returns:
        A data set with a variable ``X`` and its standard error ``X_error`` for everything measured.

    Raises:
        QernelError: if there is no such observable, or it is not defined for this system.
    """
    chosen = made(observables)
    if not chosen:
        raise QernelError("no observable was asked for: name at least one")
    energies = "energies" in _needs(chosen)
    records = list(state.records(samples, walkers, seed, energies=energies, progress=progress))
    return observed(state, chosen, records, state.model.config.sample.seed if seed is None else seed)


def observed(state: State, observables: Sequence[Observable], records: Sequence[Record], seed: int) -> xarray.Dataset:
    """The same from records that are there; arguments as of `from_records`."""
    drawn = from_records(state, observables, records, seed)
    acceptance = float(np.mean([record.acceptance for record in records]))
    return to_dataset(state, variables(observables, drawn), drawn, acceptance=acceptance)


def variables(observables: Sequence[Observable], samples: Samples) -> list[Variable]:
    """Everything that observables say about samples."""
    found: list[Variable] = []
    for observable in observables:
        check()
        found += observable.measure(samples)
    return found


def from_records(state: State, observables: Sequence[Observable], records: Sequence[Record], seed: int) -> Samples:
    """Records of a state as samples with what the observables need.

    Args:
        state: that the records were drawn from.
        observables: to be measured.
        records: with local energies, if one of the observables needs them.
        seed: they were drawn with.
    """
    needs = _needs(observables)

    def stacked(name: str) -> Any:
        return np.stack([getattr(record, name) for record in records], axis=1)

    return Samples(
        positions=stacked("positions"),
        hamiltonian=state.model.hamiltonian,
        point=state.point,
        energies={name: stacked(name) for name in _ENERGIES} if "energies" in needs else {},
        psi=state.amplitude if "psi" in needs else None,
        seed=seed,
    )


def _needs(observables: Sequence[Observable]) -> frozenset[str]:
    needs = frozenset[str]().union(*(observable.needs for observable in observables))
    unknown = sorted(needs - {"energies", "psi"})
    if unknown:
        raise QernelError(f"an observable needs {', '.join(unknown)}: there are only energies and psi")
    return needs
