"""Projection of a trained model: diffusion Monte Carlo at points of its family.

DIR/projection.nc        energies along the parameter, variational, at each time step and without one, with provenance
DIR/projection.json      `qernel.measure.projections.Projections.as_dict`, with units and provenance
DIR/projection.png/.pdf  energies against the time step

At each point chains of |ψ|² come first: they give the variational energies and the walkers to begin with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qernel import outputs, runtime
from qernel.errors import QernelError, warn
from qernel.measure.folder import remembering
from qernel.measure.mixed import mixed_arrays, stretches
from qernel.measure.points import Points, warn_outside
from qernel.measure.projected import Projected, TimeStep
from qernel.measure.projecting import Walkers
from qernel.measure.projections import FILES, RECORD, Projections
from qernel.observables.phases import ordered
from qernel.progress import Parts, Told
from qernel.projection.time_steps import require
from qernel.records import stored_request
from qernel.stopping import stoppable

if TYPE_CHECKING:
    from qernel.measure.state import State
    from qernel.projection.engine import Projector

TIME = 8.0
"""Imaginary time in 1/E0 for which walkers are projected at each time step."""

_LEAST_BLOCKS = 16

_SHARE = 0.1
"""Of the progress of a point that the chains take."""


@dataclass(frozen=True)
class Settings:
    """How walkers are projected.

    Attributes:
        time_steps: in 1/E0, the largest first; none: chosen at each point by their acceptance.
        time: imaginary time at each of them in 1/E0.
        fit: a key of `qernel.projection.time_steps.DEGREES`.
    """

    time_steps: tuple[float, ...] = ()
    time: float = TIME
    fit: str = "linear"

    @classmethod
    def asked(
        cls, time_steps: Iterable[float] | float = (), time: float | None = None, fit: str = "linear"
    ) -> Settings:
        """The settings of a request.

        Raises:
            QernelError: for time steps, a time or a fit that make no sense.
        """
        steps = np.atleast_1d(np.asarray(time_steps, np.float64)).tolist()
        time = TIME if time is None else float(time)
        if not 0 < time < math.inf:
            raise QernelError(f"time = {time:g} is no imaginary time: give a positive number in 1/E0, for instance 8")
        return cls(require(steps, fit), time, fit)

    def blocks(self, tau: float) -> int:
        """How many blocks there are of a time step; a few where the time is too short for an error."""
        from qernel.projection.engine import GENERATIONS, STEPS

        return max(math.ceil(self.time / (tau * STEPS * GENERATIONS) - 1e-9), _LEAST_BLOCKS)

    def as_dict(self) -> dict[str, Any]:
        """As plain data: what numbers depend on."""
        return {"time_steps": list(self.time_steps), "time": self.time, "fit": self.fit}


@stoppable
def project(
    state: State,
    *,
    time_steps: Sequence[float] | float = (),
    time: float | None = None,
    fit: str = "linear",
    samples: int | None = None,
    walkers: int | None = None,
    seed: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Projected:
    """Energies that diffusion Monte Carlo makes of ψ: what its nodes, or for complex ψ its phase, leave of the error.

    Args:
        state: a model at one point of its family.
        time_steps: in 1/E0; default: that with an acceptance of 99%, its half and its quarter.
        time: imaginary time at each time step in 1/E0.
        fit: of the energies against the time step, ``linear`` or ``quadratic``.
        samples: records per chain of |ψ|²; default from the model's ``[sample]`` section.
        walkers: chains of |ψ|², and walkers that are projected; default likewise.
        seed: of chains and walkers; default likewise.
        progress: called with the fraction done.

    Raises:
        QernelError: for time steps, a time or a fit that make no sense.
        NotFinite: if a walker has a local energy that is not finite.

    >>> import qernel
    >>> found = qernel.load("n6").at(1.0).project(time_steps=0.01, time=0.1, samples=4, walkers=16)
    >>> round(found.energy.value)
    -18
    """
    settings = Settings.asked(time_steps, time, fit)
    return _projected(state, settings, _projector(state, walkers), samples, walkers, seed, progress)


def projections(
    where: Points,
    *,
    time_steps: Sequence[float] | float = (),
    time: float | None = None,
    fit: str = "linear",
    start: str | None = None,
    out: Path | None = None,
    command: str | None = None,
    tell: Told | None = None,
) -> Projections:
    """The same over values of one parameter; arguments as of `qernel.measure.verbs.project`.

    Raises:
        QernelError: for time steps, a time or a fit that make no sense.
        RunError: for a start that there is not; if ``out`` holds another projection, is in use or cannot be written.
        Interrupted: when a projection into a folder is stopped.
    """
    settings = Settings.asked(time_steps, time, fit)
    where = where.starting(start)
    request = where.request | {"projection": settings.as_dict()}

    def measure(points: Points) -> Projections:
        states = points.states
        warn_outside(points.model, points.axis, list(zip(points.values, states, strict=True)))
        parts, found, projector = Parts(tell, len(states)), [], None
        for value, state in zip(points.values, states, strict=True):
            parts.begin(f"projecting {points.axis.at(value)}")
            projector = projector or _projector(state, points.walkers)
            chains = points.samples, points.walkers, points.seed
            found.append(_projected(state, settings, projector, *chains, parts, said=parts.found))
        result = Projections(where, found, settings.fit, request, command or Projections.command)
        for sentence in result.sentences():
            warn(sentence)
        return result

    if out is None:
        return measure(where)
    with outputs.held(out, FILES):
        outputs.refuse_overwriting(out, FILES, request, stored_request(out / RECORD), "projection")
        with remembering(where.model, out, command or outputs.AGAIN) as remembered:
            result = measure(where.of(remembered))
            # Within, because what is kept goes when the block ends: stopped here, no number is lost.
            result.write(out)
    return result


def _projector(state: State, walkers: int | None) -> Projector:
    runtime.refuse_forked()
    from qernel.projection.engine import Projector

    config = state.model.config
    options: dict[str, Any] = {"laplacian": config.train.laplacian, "chunk": config.train.chunk}
    return Projector.of(state.model.wavefunction, walkers or config.sample.walkers, **options)


def _projected(
    state: State,
    settings: Settings,
    projector: Projector,
    samples: int | None,
    walkers: int | None,
    seed: int | None,
    progress: Callable[[float], None] | None,
    said: Callable[[str], None] = lambda _: None,
) -> Projected:
    tell = progress or (lambda _: None)
    records = list(state.records(samples, walkers, seed, energies=True, progress=lambda done: tell(_SHARE * done)))
    seed = state.model.config.sample.seed if seed is None else seed
    energies = state.energies_of(records, seed)
    work = Walkers(state, projector, records, energies.energy.value * projector.electrons, seed)
    taus = settings.time_steps or work.time_steps()
    cost = [settings.blocks(tau) for tau in taus]
    steps: list[TimeStep] = []
    start: npt.NDArray[Any] | None = None
    for index, tau in enumerate(taus):

        def told(done: int, energy: float, before: int = sum(cost[:index])) -> None:
            said(f"energy {energy / projector.electrons:.4f} E0")
            tell(_SHARE + (1 - _SHARE) * (before + done) / sum(cost))

        walked = work.through(tau, cost[index], index, told, start)
        # Walkers that have settled at one time step are nearly at home at the next, and soon forget the last one.
        start = walked.progress.positions
        steps.append(TimeStep.of(tau, walked.progress.series, projector.electrons))
    # Those of the smallest time step, which is the last.
    later = walked.snapshots[math.floor(steps[-1].left_out * len(walked.snapshots)) :]
    ended = stretches(state, later, seed)
    source = f"{len(later)} snapshots of {projector.walkers} projected walkers"
    found = ordered(ended, source), mixed_arrays(state, records, ended, seed)
    return Projected(energies, tuple(steps), settings.fit, projector.walkers, projector.electrons, *found)
