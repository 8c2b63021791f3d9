"""Walkers of one point on their way through imaginary time: block by block, kept in the journal."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from qernel.projection.time_steps import HALVINGS, chosen
from qernel.stopping import check

if TYPE_CHECKING:
    from qernel.estimators.chains import Record
    from qernel.measure.state import State
    from qernel.projection.engine import Progress, Projector

_KEEP_SECONDS = 10.0
"""Between two times that a projection under way is written down."""

_SNAPSHOTS = 64
"""Times at which configurations are kept, at most: they are about an autocorrelation time apart."""


class Walked(NamedTuple):
    """How far walkers have come.

    Attributes:
        progress: positions and series.
        snapshots: configurations ``[n, W, N, 2]`` at equal distances in time, the last of every so many blocks.
    """

    progress: Progress
    snapshots: npt.NDArray[Any]


@dataclass(frozen=True)
class Walkers:
    """Walkers of one point, before projection.

    Attributes:
        state: the model there.
        projector: of its wavefunction.
        records: of the chains that walkers begin as.
        reference: their energy in E0, total.
        seed: of the random numbers.
    """

    state: State
    projector: Projector
    records: Sequence[Record]
    reference: float
    seed: int

    def time_steps(self) -> tuple[float, ...]:
        """The time step with the acceptance of `qernel.projection.time_steps.ACCEPTANCE`, its half, and so on."""
        hamiltonian = self.state.model.hamiltonian
        begin = self._begun()

        def acceptance(tau: float) -> float:
            check()
            moved = self._advanced(begin, tau, _seed(self.seed, 0), branching=False)
            return float(moved.series.acceptance.mean())

        first = 0.05 / (2.0 * math.pi * hamiltonian.density) / hamiltonian.count ** (2.0 / 3.0)
        largest = chosen(acceptance, first)
        return tuple(largest / 2**halving for halving in range(HALVINGS))

    def through(
        self,
        tau: float,
        blocks: int,
        index: int,
        told: Callable[[int, float], None],
        start: npt.NDArray[Any] | None = None,
    ) -> Walked:
        """Walkers projected for so many blocks, from where they were left when the same was asked for before.

        Args:
            tau: time step in 1/E0.
            blocks: of `engine.GENERATIONS`.
            index: of the time step, for its random numbers.
            told: called with the blocks done and the energy so far.
            start: walkers ``[W, N, 2]`` to begin with; default: the chains.
        """
        from qernel.projection.engine import GENERATIONS

        journal = self.state.model.journal
        about = {"point": self.state.point.tolist(), "tau": tau, "seed": self.seed, "index": index}
        about |= {"walkers": self.projector.walkers, "reference": self.reference, "records": len(self.records)}
        walked = self._taken_up(None if journal is None else journal.kept(about), self._begun(start))
        apart = -(-blocks // _SNAPSHOTS)
        kept = time.monotonic()
        for block in range(len(walked.progress.series.weight) // GENERATIONS, blocks):
            try:
                check()
            except BaseException:
                if journal is not None:
                    journal.keep(about, walked)
                raise
            progress, snapshots = self._advanced(walked.progress, tau, _seed(self.seed, index + 1)), walked.snapshots
            if (block + 1) % apart == 0:
                snapshots = np.concatenate([snapshots, progress.positions[None]])
            walked = Walked(progress, snapshots)
            told(block + 1, progress.series.reference)
            if journal is not None and (time.monotonic() - kept > _KEEP_SECONDS or block + 1 == blocks):
                journal.keep(about, walked)
                kept = time.monotonic()
        return walked

    def _begun(self, start: npt.NDArray[Any] | None = None) -> Progress:
        return self.projector.begun(self.records[-1].positions if start is None else start)

    def _taken_up(self, tensors: dict[str, Any] | None, begun: Progress) -> Walked:
        """Walkers as they were kept; the beginning if they were not, or by an earlier version."""
        if tensors is None or "snapshots" not in tensors:
            return Walked(begun, begun.positions[None][:0])
        series = type(begun.series)(*(tensors[f"progress.series.{name}"] for name in begun.series._fields))
        return Walked(type(begun)(tensors["progress.positions"], series), tensors["snapshots"])

    def _advanced(self, progress: Progress, tau: float, seed: int, **options: bool) -> Progress:
        point: npt.NDArray[np.float64] = self.state.point
        return self.projector.advanced(progress, point, tau, reference=self.reference, seed=seed, **options)


def _seed(seed: int, index: int) -> int:
    """A seed of its own for each time step: their walkers are to be independent."""
    return int(np.random.SeedSequence([seed, 25, index]).generate_state(1)[0])
