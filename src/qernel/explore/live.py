"""Sampling in the background: a first density soon, better ones while the slider rests, nothing once it has moved."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from qernel.errors import QernelError, RunError
from qernel.lattice import holds_root_three
from qernel.measure.dataset import to_dataset
from qernel.observables import Observable, Samples, make

if TYPE_CHECKING:
    import xarray

    from qernel.estimators.chains import Record
    from qernel.measure import State

TURN_S = 0.3
"""How long one stream samples before the next one has its turn."""

FIRST, GROWTH = 2, 2.0
"""Records before the first result, and by what factor they grow until the next one."""

_FOR_CONDITIONAL = 8
"""Records per chain before densities around an electron are worth the second that their errors take."""


class Stopped(QernelError):
    """Nobody waits for this sampling any more."""


class LiveSampling:
    """Chains of one state, advanced in short turns on one thread, measured on any other.

    The records are those of ``state.observe`` with the model's settings: when all are drawn, the numbers are the same.

    Attributes:
        fraction: of the sampling that is done, burn-in included; readable from other threads.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self.total = state.model.config.sample.samples
        self.fraction = 0.0
        self._observables = shown(state)
        self._records: list[Record] = []
        self._stop = threading.Event()
        self._iterator = self._all()

    def stop(self) -> None:
        """End the sampling within one block of moves, from any thread."""
        self._stop.set()

    @property
    def count(self) -> int:
        """Records drawn so far."""
        return len(self._records)

    @property
    def finished(self) -> bool:
        """Whether all records are drawn."""
        return self.count >= self.total

    def advance(self) -> None:
        """Draw records for one turn, at least one.

        Raises:
            Stopped: after `stop`.
        """
        end = time.monotonic() + TURN_S
        self._checkpoint(self.fraction)
        for record in self._iterator:
            self._records.append(record)
            if time.monotonic() > end:
                return

    def walkers(self, count: int) -> list[Any]:
        """The electrons of the first chains at the last record, ``[count][N][2]`` in a_M."""
        return np.round(self._records[-1].positions[:count], 4).tolist() if self._records else []

    def measure(self) -> xarray.Dataset:
        """Everything the page shows, from the records there are."""
        records = self._records[:]
        stacked = {
            name: np.stack([getattr(record, name) for record in records], axis=1)
            for name in ("positions", "kinetic", "moire", "interaction", "kinetic_imaginary")
        }
        hamiltonian = self.state.model.hamiltonian
        samples = Samples(
            stacked.pop("positions"), hamiltonian, self.state.point, stacked, seed=self.state.model.config.sample.seed
        )
        variables = []
        for observable in self._observables:
            if observable.name == "conditional_density" and len(records) < _FOR_CONDITIONAL:
                continue
            try:
                variables += observable.measure(samples)
            except RunError:  # no electron near the place so far
                continue
        acceptance = float(np.mean([record.acceptance for record in records]))
        return to_dataset(self.state, variables, samples, acceptance=acceptance)

    def _all(self) -> Iterator[Record]:
        yield from self.state.records(None, None, None, energies=True, progress=self._checkpoint)

    def _checkpoint(self, fraction: float) -> None:
        self.fraction = fraction
        if self._stop.is_set():
            raise Stopped("the sampling was stopped")


def shown(state: State) -> list[Observable]:
    """The observables of the page, on grids of about ten parts along a moiré cell."""
    cell = state.model.hamiltonian.supercell
    grid = max(10 * round(cell.cells**0.5), 20)
    chosen = [
        make("energy"),
        make("density", {"grid": grid, "cell_grid": 10}),
        make("conditional_density", {"grid": grid, "at": deepest_place(state)}),
        make("snapshots", {"count": 8}),
    ]
    return [*chosen, make("order_parameter")] if holds_root_three(cell) else chosen


def deepest_place(state: State) -> tuple[float, float]:
    """Where in its cell the potential is deepest, in a_M."""
    hamiltonian = state.model.hamiltonian
    x, y = hamiltonian.minima(hamiltonian.numbers(state.point))[0][0].tolist()
    return x, y
