"""The iterations of a run in one process: step, judge, record, save, until the end or until something stops them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from qernel.config.sections import TrainConfig
from qernel.errors import Interrupted, RunError
from qernel.stopping import expendable, stop_signals
from qernel.training import processes
from qernel.training.folder import RunFolder
from qernel.training.guard import Fault, Guard
from qernel.training.progress import COMPLETE, GOING_ON, TIME_LIMIT
from qernel.training.report import Reporter
from qernel.training.state import TrainState
from qernel.training.step import StepInfo
from qernel.training.watchdog import Watchdog


class Loop:
    """Steps from a state to the end of a run.

    Args:
        train: when to record, save and stop.
        state: to begin with, laid out over the devices.
        step: one iteration.
        routed: what experts do after an iteration; None without experts.
        guard: leads back from a fault.
        reporter: is told of every iteration.
        folder: is written; None in processes that do not write.
        mesh: the devices.
    """

    def __init__(
        self,
        train: TrainConfig,
        state: TrainState,
        step: Callable[[TrainState], tuple[TrainState, StepInfo]],
        routed: Callable[..., Any] | None,
        guard: Guard,
        reporter: Reporter,
        folder: RunFolder | None,
        mesh: Mesh,
    ):
        self._train = train
        self._state = state
        self._step = step
        self._routed = routed
        self._guard = guard
        self._reporter = reporter
        self._folder = folder
        self._mesh = mesh
        self._iteration = int(state.iteration)
        self._total = train.burn_in + train.iterations
        self._compiling = True

    def run(self, watchdog: Watchdog, after_step: Callable[[int, float], bool] | None) -> None:
        """Step to the end; ``after_step`` as of `qernel.training.run.train`.

        Raises:
            RunError: if the run is given up.
            Interrupted: after a signal, in the process that writes.
        """
        limit, every = self._train.time_limit_s, self._train.checkpoint_every
        with stop_signals() as stopped, watchdog:
            ended = COMPLETE if self._iteration >= self._total else GOING_ON
            while ended == GOING_ON:
                info = self._advanced(watchdog)
                if info is None:
                    continue
                # From the first complete step on: before it there is compilation, however long that takes.
                late = limit is not None and self._reporter.stepping > limit
                self._reporter.step(self._iteration, info, last=self._iteration == self._total or late)
                done = after_step is not None and after_step(self._iteration, self._reporter.stepping)
                stop, over, enough = processes.agreed(stopped[0] if stopped else 0, late, done)
                if enough or self._iteration == self._total:
                    ended = COMPLETE if self._confirmed(watchdog) else GOING_ON
                elif stop:
                    self._save(GOING_ON)
                    if self._folder is None:
                        return
                    raise self._interrupted(self._folder.path, stop)
                elif over:
                    ended = TIME_LIMIT
                elif self._iteration % every == 0 and self._guard.settled:
                    self._save(GOING_ON)
        if not self._guard.settled:
            self._go_back()
        self._save(ended)

    def _interrupted(self, path: Path, number: int) -> Interrupted:
        return Interrupted(f"stopped at iteration {self._iteration} of {self._total}", path, number)

    def _advanced(self, watchdog: Watchdog) -> StepInfo | None:
        """One iteration, recorded; None if it was a fault, after which the run goes on from an earlier state."""
        with self._first_step() if self._compiling else nullcontext():
            self._state, device_info = self._step(self._state)
            info: StepInfo = jax.device_get(device_info)
        self._compiling = False
        watchdog.beat()
        self._iteration += 1
        last = self._iteration == self._total
        if self._faulty(lambda: self._guard.review(self._iteration, self._state, info, last=last)):
            return None
        if self._iteration % self._train.record_every == 0:
            routed = None if self._routed is None else jax.device_get(self._routed(self._state, device_info.point))
            if self._folder is not None:
                self._folder.record(self._iteration, info, routed)
        return info

    def _first_step(self) -> AbstractContextManager[None]:
        """The step that is compiled: the state before it lies on the disk, and other processes end by themselves."""
        path = None if self._folder is None or processes.several() else self._folder.path
        return expendable(None if path is None else lambda number: str(self._interrupted(path, number)))

    def _confirmed(self, watchdog: Watchdog) -> bool:
        """Whether the energies of the last state are possible; if not, the run goes on from an earlier one.

        No iteration has measured it, so one more is made, of which nothing is kept.
        """
        if self._iteration <= self._train.burn_in or not self._guard.settled:
            return True
        info: StepInfo = jax.device_get(self._step(self._state)[1])
        watchdog.beat()
        return not self._faulty(lambda: self._guard.confirm(self._iteration, self._state, info))

    def _faulty(self, judge: Callable[[], Fault | None]) -> bool:
        """Whether there is a fault; the run has gone back then."""
        try:
            fault = judge()
        except RunError:
            self._go_back()
            raise
        if fault is None:
            return False
        if self._folder is not None:
            self._folder.events.append("rollback", self._iteration, fault.message, **fault.details)
        self._go_back()
        self._state, self._iteration = fault.state, int(fault.state.iteration)
        self._reporter.forget()
        return True

    def _save(self, ended: str) -> None:
        good = processes.complete(self._guard.good, self._mesh)
        if self._folder is not None:
            self._folder.save(good, ended)

    def _go_back(self) -> None:
        good = processes.complete(self._guard.good, self._mesh)
        if self._folder is not None:
            self._folder.go_back(good)
