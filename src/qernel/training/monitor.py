"""Telling a run that has gone wrong from one that is only noisy, separately for every λ group.

Looked at are, per group, the *median* of the local energies over the walkers (a single walker near a node cannot
move it), the spread σ of the clipped local energies, and how many walkers are not finite. An iteration is
suspicious in a group if

- most of its walkers are not finite, or the update of the parameters is not;
- its median is `JUMP` scales from the median of the last `WINDOW` good iterations, the scale being the largest of
  the scatter of those medians, the usual σ, and 1 % of the energy. One σ is √W error bars of the mean, so noise does
  not reach this, and λ drifting through its stratum moves the median and its scatter together;
- σ is `SPREAD` times the lowest level it has settled at. σ measures the distance from an eigenstate; this is what
  finds a wavefunction that decays slowly enough for the window to follow.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from qernel.training.step import StepInfo

WINDOW = 50
"""Good iterations the present one is compared with."""
WARM_UP = 20
"""Good iterations before anything is compared."""
JUMP = 10.0
SPREAD = 20.0
_RELATIVE_FLOOR = 0.01
"""Smallest scale, as a share of the energy: a (nearly) exact state has no spread of its own."""

Array = npt.NDArray[np.float64]


class Suspicion(NamedTuple):
    """What is wrong in which group, in words that complete "in the group at λ = …".

    ``impossible``: no state of the Hamiltonian has such energies, or no walker moves, whatever went before.
    """

    group: int
    what: str
    impossible: bool = False


class Memory(NamedTuple):
    """Medians and spreads of recent good iterations, each ``[G]``, and the lowest level of the spread ``[G]``."""

    medians: tuple[Array, ...]
    spreads: tuple[Array, ...]
    calm: Array | None


class Monitor:
    """Remembers good iterations and judges the next one.

    Args:
        walkers: walkers per group: of all groups, or of each ``[G]``.
    """

    def __init__(self, walkers: int | npt.NDArray[np.int64]):
        self._walkers = walkers
        self._medians: deque[Array] = deque(maxlen=WINDOW)
        self._spreads: deque[Array] = deque(maxlen=WINDOW)
        self._calm: Array | None = None

    def judge(self, info: StepInfo, *, learning: bool) -> Suspicion | None:
        """The worst group of an iteration, or None if all is well.

        Args:
            info: what the iteration measured.
            learning: False during burn-in, when walkers that find their places change the energy at will.
        """
        median, spread = np.asarray(info.median, np.float64), np.asarray(info.deviation, np.float64)
        lost = np.asarray(info.bad_walkers)
        if (2 * lost > self._walkers).any() or not np.isfinite(median).all():
            group = int(np.argmax(lost / self._walkers))
            walkers = np.broadcast_to(self._walkers, lost.shape)[group]
            return Suspicion(group, f"{lost[group]} of {walkers} walkers have no finite energy")
        if info.skipped:
            return Suspicion(
                int(np.argmax(lost if lost.any() else spread)), "the update of the parameters is not finite"
            )
        if not learning:
            return None
        if len(self._medians) >= WARM_UP:
            found = self._compare(median, spread)
            if found is not None:
                return found
        self._medians.append(median)
        self._spreads.append(spread)
        if len(self._medians) == WINDOW:
            usual = np.median(self._spreads, axis=0)
            self._calm = usual if self._calm is None else np.minimum(self._calm, usual)
        return None

    def memory(self) -> Memory:
        """What is remembered now, for `restore`."""
        return Memory(tuple(self._medians), tuple(self._spreads), self._calm)

    def restore(self, memory: Memory) -> None:
        """Remember what was remembered then: after a jump back the same standards apply at once."""
        self._medians = deque(memory.medians, maxlen=WINDOW)
        self._spreads = deque(memory.spreads, maxlen=WINDOW)
        self._calm = memory.calm

    def _compare(self, median: Array, spread: Array) -> Suspicion | None:
        centre = np.median(self._medians, axis=0)
        usual = np.median(self._spreads, axis=0)
        floor = _RELATIVE_FLOOR * np.maximum(np.abs(centre), 1.0)
        scatter = 1.4826 * np.median(np.abs(np.asarray(self._medians) - centre), axis=0)
        scale = np.maximum(np.maximum(scatter, usual), floor)
        jump = np.abs(median - centre) / scale
        group = int(np.argmax(jump))
        if jump[group] > JUMP:
            return Suspicion(
                group,
                f"the energy per electron went from {centre[group]:.4g} to {median[group]:.4g} E0, "
                f"{jump[group]:.0f} times its usual spread",
            )
        level = np.maximum(usual if self._calm is None else self._calm, floor)
        growth = spread / level
        group = int(np.argmax(growth))
        if growth[group] > SPREAD:
            return Suspicion(
                group, f"the spread of the local energies grew from {level[group]:.2g} to {spread[group]:.2g} E0"
            )
        return None
