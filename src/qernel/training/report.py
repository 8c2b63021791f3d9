"""Progress of a run, for whoever watches it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from qernel.training.step import StepInfo

REPORT_SECONDS = 0.5
_SMOOTHING = 20
"""Iterations a progress report averages over."""


class Report(NamedTuple):
    """Progress of a run: means over recent iterations per group ``[G]``, energies per electron in E0.

    ``first`` is how many seconds passed before the first step was complete: nearly all of them compilation.
    ``systems`` names the system of each group; it is empty where there is one.
    """

    stage: str
    iteration: int
    iterations: int
    seconds: float
    points: npt.NDArray[np.float64]
    energy: npt.NDArray[np.float64]
    error: npt.NDArray[np.float64]
    acceptance: npt.NDArray[np.float64]
    order_parameter: npt.NDArray[np.float64]
    first: float = 0.0
    systems: tuple[str, ...] = ()


class Reporter:
    """Calls ``report`` about twice a second.

    Args:
        report: receives the reports; None: nobody.
        iterations: at which iteration the run ends.
        burn_in: iterations before the first update.
        systems: see `Report`.
    """

    def __init__(
        self,
        report: Callable[[Report], None] | None,
        iterations: int,
        burn_in: int,
        systems: tuple[str, ...] = (),
    ):
        self._report = report
        self._systems = systems
        self._iterations = iterations
        self._burn_in = burn_in
        self._recent: deque[StepInfo] = deque(maxlen=_SMOOTHING)
        self._start = self._last = time.monotonic()
        self._first: float | None = None

    @property
    def seconds(self) -> float:
        """Time since the run was started or resumed."""
        return time.monotonic() - self._start

    @property
    def stepping(self) -> float:
        """Time since the first step was complete: what came before it is mostly compilation."""
        return 0.0 if self._first is None else time.monotonic() - self._first

    def begin(self, iteration: int) -> None:
        """Say that the first step is being compiled."""
        self._start = self._last = time.monotonic()
        self._send("compiling", iteration, 0.0)

    def step(self, iteration: int, info: StepInfo, *, last: bool) -> None:
        """Take note of an iteration."""
        self._recent.append(info)
        now = time.monotonic()
        self._first = now if self._first is None else self._first
        if now - self._last > REPORT_SECONDS or last:
            self._last = now
            self._send("burn-in" if iteration <= self._burn_in else "training", iteration, now - self._start)

    def forget(self) -> None:
        """Start the averages anew, after a jump back."""
        self._recent.clear()

    def _send(self, stage: str, iteration: int, seconds: float) -> None:
        if self._report is None:
            return
        # Consecutive iterations share their walkers, so averaging them is not counted as more data.
        self._report(
            Report(
                stage,
                iteration,
                self._iterations,
                seconds,
                self._mean("point") if self._recent else np.zeros((0, 1)),
                self._mean("energy"),
                self._mean("error"),
                self._mean("acceptance"),
                self._mean("order_parameter"),
                0.0 if self._first is None else self._first - self._start,
                self._systems,
            )
        )

    def _mean(self, name: str) -> npt.NDArray[np.float64]:
        return np.mean([getattr(info, name) for info in self._recent], axis=0) if self._recent else np.zeros(0)
