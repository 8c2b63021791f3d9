"""What no iteration may show, whatever went before: energies that the Hamiltonian forbids, walkers that do not move.

The standards of `qernel.training.monitor` are those of the run itself: one that diverges at once would set its own.
Here the standard is the Hamiltonian (`qernel.hamiltonian.bounds`). Looked at are, per group,

- the potential energy, which no configuration can have below its bound;
- the *median* of the local energies: that of sound walkers is near the mean, far above the bound, and a few walkers
  near nodes do not move it;
- the mean of the kinetic energy over the last iterations, which cannot be negative beyond its error;
- the acceptance over the last iterations, once the step width has had the time to adapt.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from qernel.estimators.possible import STUCK
from qernel.hamiltonian.bounds import SLACK, bounds
from qernel.hamiltonian.family import Hamiltonian
from qernel.training.monitor import Suspicion
from qernel.training.step import StepInfo

WINDOW = 50
"""Iterations over which kinetic energies and acceptances are averaged."""
ADAPTION = 100
"""Iterations in which the step width finds its place: it can change by a factor of e⁵."""
_SIGMAS = 5.0
_CORRELATED = 5.0
"""Iterations that count as one: walkers move only so far between two of them."""

Array = npt.NDArray[np.float64]


class Limits:
    """Judges iterations, from the first update on.

    Args:
        hamiltonian: of a group, by its number.
    """

    def __init__(self, hamiltonian: Callable[[int], Hamiltonian]):
        self._hamiltonian = hamiltonian
        self._kinetic: deque[Array] = deque(maxlen=WINDOW)
        self._acceptance: deque[Array] = deque(maxlen=WINDOW)
        self._seen = 0

    def anew(self) -> Limits:
        """The same without memory, for a run that went back."""
        return Limits(self._hamiltonian)

    def judge(self, info: StepInfo) -> Suspicion | None:
        """The first group in which an iteration shows what cannot be, or None."""
        self._seen += 1
        self._kinetic.append(np.asarray(info.kinetic, np.float64))
        self._acceptance.append(np.asarray(info.acceptance, np.float64))
        negative = self._negative_kinetic()
        for group, point in enumerate(np.asarray(info.point, np.float64)):
            what = self._below(info, group, point) or negative.get(group) or self._stuck(info, group)
            if what:
                return Suspicion(group, what, impossible=True)
        return None

    def _below(self, info: StepInfo, group: int, point: Array) -> str:
        least = bounds(self._hamiltonian(group), point)
        slack = SLACK * least.scale
        potential = float(info.moire[group]) + float(info.interaction[group])
        if potential < least.potential - slack:
            return (
                f"the potential energy per electron is {potential:.4g} E0, where no configuration of electrons is "
                f"below {least.potential:.4g} E0"
            )
        median = float(info.median[group])
        if median < least.total - slack:
            return (
                f"the energy per electron is {median:.4g} E0, where no state of the Hamiltonian is below "
                f"{least.total:.4g} E0"
            )
        return ""

    def _negative_kinetic(self) -> dict[int, str]:
        """Groups whose kinetic energy is negative beyond its error, with words for it."""
        if len(self._kinetic) < WINDOW:
            return {}
        series = np.asarray(self._kinetic)
        mean = series.mean(0)
        error = series.std(0) * np.sqrt(_CORRELATED / WINDOW)
        return {
            int(group): f"the mean kinetic energy per electron is {mean[group]:.4g} E0, which cannot be below 0"
            for group in np.flatnonzero(mean < -_SIGMAS * error - SLACK)
        }

    def _stuck(self, info: StepInfo, group: int) -> str:
        if self._seen < ADAPTION:
            return ""
        acceptance = float(np.mean([values[group] for values in self._acceptance]))
        if acceptance < STUCK:
            return f"{acceptance:.1%} of the moves are accepted: the walkers stand still"
        hamiltonian = self._hamiltonian(group)
        largest = hamiltonian.supercell.inscribed_radius
        # Alone of its spin and without forces, an electron is everywhere alike.
        alone = max(hamiltonian.electrons) < 2
        if acceptance > 1 - STUCK and float(info.width[group]) > 0.99 * largest and not alone:
            return f"{acceptance:.1%} of the widest moves are accepted: the wavefunction is the same everywhere"
        return ""
