"""What a scan makes of the records of each λ while it has them: observables, and energies at λ in between."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from qernel.errors import RunError

if TYPE_CHECKING:
    import xarray

    from qernel.estimators.chains import Record
    from qernel.measure import Energies, State
    from qernel.observables import Observable


class Kept:
    """Called with each state, its records and their seed.

    Args:
        points: λ of the scan, increasing.
        observables: to be measured on the same records.
        between: number of λ wanted between each two of ``points``, evenly spaced.

    Attributes:
        reweighted: energies there, from the records of the nearest of ``points`` (the lower one of two).
        refused: sentences about those that the records do not reach.
    """

    def __init__(self, points: Sequence[float], observables: Sequence[Observable], between: int) -> None:
        self._observables = observables
        self._measured: dict[float, xarray.Dataset] = {}
        self._wanted: dict[float, list[float]] = {lam: [] for lam in points}
        for low, high in itertools.pairwise(points):
            for step in range(1, between + 1):
                nearest = low if 2 * step <= between + 1 else high
                self._wanted[nearest].append(low + (high - low) * step / (between + 1))
        self.reweighted: list[Energies] = []
        self.refused: list[str] = []

    def __call__(self, state: State, records: Sequence[Record], seed: int) -> None:
        """Measure what is wanted of these records."""
        if self._observables:
            self._measured[state.lam] = self._observed(state, records, seed)
        for lam in self._wanted[state.lam]:
            try:
                self.reweighted.append(state.reweighted(lam, records, seed))
            except RunError as error:
                self.refused.append(str(error))
        self.reweighted.sort(key=lambda found: found.lam)

    @property
    def dataset(self) -> xarray.Dataset | None:
        """The observables along λ; None if there are none."""
        from qernel.measure.dataset import along_lam

        return along_lam([self._measured[lam] for lam in sorted(self._measured)]) if self._measured else None

    def _observed(self, state: State, records: Sequence[Record], seed: int) -> xarray.Dataset:
        from qernel.measure.dataset import to_dataset
        from qernel.measure.observe import from_records, variables

        samples = from_records(state, self._observables, records, seed)
        acceptance = sum(float(record.acceptance.mean()) for record in records) / len(records)
        return to_dataset(state, variables(self._observables, samples), samples, acceptance=acceptance)
