"""What a scan makes of the records of each point while it has them: observables, and energies at values in between."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from qernel.errors import RunError

if TYPE_CHECKING:
    import xarray

    from qernel.estimators.chains import Record
    from qernel.measure.energies import Energies
    from qernel.measure.state import State
    from qernel.observables import Observable


class Kept:
    """Called with each state, its records and their seed.

    Args:
        values: of the scan, increasing.
        observables: to be measured on the same records.
        between: number of values wanted between each two of ``values``, evenly spaced.
        along: the parameter they belong to.

    Attributes:
        reweighted: energies there, from the records of the nearest of ``values`` (the lower one of two).
        refused: sentences about those that the records do not reach.
    """

    def __init__(
        self, values: Sequence[float], observables: Sequence[Observable], between: int, along: str = "lam"
    ) -> None:
        self._observables, self._along = observables, along
        self._measured: dict[float, xarray.Dataset] = {}
        self._wanted: dict[float, list[float]] = {value: [] for value in values}
        for low, high in itertools.pairwise(values):
            for step in range(1, between + 1):
                nearest = low if 2 * step <= between + 1 else high
                self._wanted[nearest].append(low + (high - low) * step / (between + 1))
        self.reweighted: list[Energies] = []
        self.refused: list[str] = []

    def __call__(self, state: State, records: Sequence[Record], seed: int) -> None:
        """Measure what is wanted of these records."""
        here = state.values[self._along]
        if self._observables:
            self._measured[here] = self._observed(state, records, seed)
        for value in self._wanted[here]:
            try:
                self.reweighted.append(state.reweighted(value, records, seed, along=self._along))
            except RunError as error:
                self.refused.append(str(error))
        self.reweighted.sort(key=lambda found: found.values[self._along])

    @property
    def dataset(self) -> xarray.Dataset | None:
        """The observables along the parameter; None if there are none."""
        from qernel.measure.dataset import joined

        return (
            joined([self._measured[value] for value in sorted(self._measured)], self._along) if self._measured else None
        )

    def _observed(self, state: State, records: Sequence[Record], seed: int) -> xarray.Dataset:
        from qernel.measure.observe import observed

        return observed(state, self._observables, records, seed)
