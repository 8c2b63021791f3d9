"""Recovery from numerical faults: back to a good state, more careful, a few times, then a diagnosis.

A step that runs into NaN or away does not have to end a run of days. The last few good states stay in memory (JAX
arrays do not change, so a snapshot costs no copy). After `STRIKES` suspicious iterations in a row the run continues
from the newest of them with other random numbers, half the learning rate and four times the damping; if that fails
too, from an older one. The factors are part of the state (`qernel.optimise.base.Tuning`), so a resumed run has them,
and they return to 1 by themselves (`qernel.training.state.relaxed`).
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from qernel.errors import RunError
from qernel.optimise.base import Tuning
from qernel.training.limits import Limits
from qernel.training.members import Groups
from qernel.training.monitor import Memory, Monitor, Suspicion
from qernel.training.state import TrainState
from qernel.training.step import StepInfo

STRIKES = 5
"""Suspicious iterations in a row that make a fault: walkers and steps recover from less by themselves."""
TRIES = 4
"""Faults without a stretch of `CALM` iterations between them before giving up."""
CALM = 100
SNAPSHOTS = 3
SNAPSHOT_EVERY = 25
RATE, DAMPING = 0.5, 4.0
"""What a fault does to learning rate and damping."""


class Snapshot(NamedTuple):
    """A good state, and what was known about good states then."""

    iteration: int
    state: TrainState
    memory: Memory


class Passed(NamedTuple):
    """A state whose own energies have been measured, and found possible."""

    iteration: int
    state: TrainState


class Fault(NamedTuple):
    """A fault and where the run goes on.

    Attributes:
        state: the state to continue from.
        message: one sentence.
        details: the same as data, for the event log.
    """

    state: TrainState
    message: str
    details: dict[str, float | int | str]


class Guard:
    """Watches the iterations of a run.

    Args:
        state: the state the run starts from, taken for good.
        groups: their walkers, and the systems whose bounds the energies have to keep.
        burn_in: iterations before the first update.
    """

    def __init__(self, state: TrainState, *, groups: Groups, burn_in: int):
        self.good = state
        self._burn_in = burn_in
        self._groups = groups
        self._monitor = Monitor(groups.walkers)
        self._limits = Limits(groups.hamiltonian)
        # An iteration measures the state it begins from: what it led to is known to be sound one iteration later.
        self._passed: Passed | None = None
        first = Snapshot(int(state.iteration), state, self._monitor.memory())
        self._snapshots = deque([first], maxlen=SNAPSHOTS)
        self._strikes = 0
        self._tries = 0
        self._last_fault = 0
        self._back = 0

    @property
    def settled(self) -> bool:
        """Whether the last iteration was above suspicion; if not, only `good` is worth saving."""
        return self._strikes == 0

    def review(self, iteration: int, state: TrainState, info: StepInfo, *, last: bool = False) -> Fault | None:
        """Judge an iteration.

        Args:
            iteration: its number.
            state: the state it led to.
            info: what it measured.
            last: whether there are no more to come, so that impossible energies are a fault at once.

        Returns:
            None to go on; a fault to go on from its state instead.

        Raises:
            RunError: after too many faults, naming iteration, λ and walkers; `good` is the state to keep then.
        """
        learning = iteration > self._burn_in
        suspicion = (self._limits.judge(info) if learning else None) or self._monitor.judge(info, learning=learning)
        if suspicion is None:
            if learning and self._strikes == 0:
                self._passed = Passed(iteration - 1, self.good)
            self._strikes = 0
            self.good = state
            if iteration - self._snapshots[-1].iteration >= SNAPSHOT_EVERY:
                self._snapshots.append(Snapshot(iteration, state, self._monitor.memory()))
            if iteration - self._last_fault >= CALM:
                self._tries = 0
            return None
        self._strikes += 1
        if suspicion.impossible:
            self._condemn()
        at_once = last and suspicion.impossible
        return self._fault(iteration, state, info, suspicion) if self._strikes >= STRIKES or at_once else None

    def confirm(self, iteration: int, state: TrainState, info: StepInfo) -> Fault | None:
        """Judge the last state of a run, which no iteration has measured yet.

        Args:
            iteration: its number.
            state: the last one.
            info: what an iteration that begins from it measures.

        Returns:
            None if its energies are possible, else as `review`.

        Raises:
            RunError: as `review`.
        """
        suspicion = self._limits.judge(info) if iteration > self._burn_in else None
        if suspicion is None:
            return None
        self._condemn()
        return self._fault(iteration, state, info, suspicion)

    def _condemn(self) -> None:
        """The newest state has impossible energies: the one before is the newest good one."""
        if self._passed is None:
            return
        self.good = self._passed.state
        while len(self._snapshots) > 1 and self._snapshots[-1].iteration > self._passed.iteration:
            self._snapshots.pop()

    def _fault(self, iteration: int, state: TrainState, info: StepInfo, suspicion: Suspicion) -> Fault:
        self._tries += 1
        self._last_fault = iteration
        self._strikes = 0
        of = self._groups.of(suspicion.group)
        where = f"at iteration {iteration} in the group{of} at λ = {float(info.point[suspicion.group, 0]):.4g}"
        if self._tries > TRIES:
            if self._passed is not None:
                self.good = self._passed.state
            raise RunError(
                f"training was given up {where}, after {TRIES} returns to an earlier state: {suspicion.what}; "
                f"{self._what_is_left()}; a run of its own with a lower train.learning_rate or train.norm_constraint, "
                "or a higher train.damping, promises more"
            )
        # What was tried last led to a fault as well, which may have begun before it.
        while self._tries > 1 and len(self._snapshots) > 1 and self._snapshots[-1].iteration >= self._back:
            self._snapshots.pop()
        back, snapshot, memory = self._snapshots[-1]
        self._back = back
        self._limits = self._limits.anew()
        tuning = Tuning(state.tuning.rate * RATE, state.tuning.damping * DAMPING)
        key = jax.random.fold_in(jax.random.wrap_key_data(snapshot.key), self._tries)
        careful = snapshot._replace(tuning=tuning, key=jax.random.key_data(key))
        careful = jax.device_put(careful, jax.tree.map(lambda leaf: jnp.asarray(leaf).sharding, snapshot))
        self.good = careful
        known = self._passed is not None and self._passed.iteration >= back
        self._passed = Passed(back, careful) if known else None
        self._monitor.restore(memory)
        rate, damping = float(np.asarray(tuning.rate)), float(np.asarray(tuning.damping))
        message = (
            f"{where} {suspicion.what}: going back to iteration {back} with {rate:.3g} times the learning rate "
            f"and {damping:.3g} times the damping (try {self._tries} of {TRIES})"
        )
        details: dict[str, float | int | str] = {
            "reason": suspicion.what,
            "lam": float(info.point[suspicion.group, 0]),
            "group": suspicion.group,
            "bad_walkers": int(info.bad_walkers[suspicion.group]),
            "back_to": back,
            "rate": rate,
            "damping": damping,
            "try": self._tries,
        }
        return Fault(careful, message, details)

    def _what_is_left(self) -> str:
        """What the newest checkpoint is worth when a run is given up."""
        if self._passed is None:
            return (
                f"the checkpoint at iteration {int(self.good.iteration)} is not good either, none since had possible "
                "energies: remove it to resume from an older one"
            )
        if self._passed.iteration <= self._burn_in:
            return "the checkpoint that is left is that of an untrained wavefunction"
        return (
            f"the checkpoint at iteration {self._passed.iteration} is the last with energies above all bounds of the "
            "Hamiltonian, and --resume tries again from there"
        )
