"""``qernel query``: answers that are stored where there are such, sampled where there are none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from qernel.along import Axis, named
from qernel.errors import QernelError, StopRequested
from qernel.measure.energies import INTERPOLATED, SAMPLED, Energies
from qernel.measure.kept_answers import Chains, keep, kept
from qernel.measure.points import about, numbers, warn_outside
from qernel.measure.precision import require_precision, to_precision
from qernel.measure.shelf import Shelf, shelved
from qernel.measure.stored import Results
from qernel.measure.tables import energy_table
from qernel.stopping import expendable

if TYPE_CHECKING:
    from qernel.measure.model import Model
    from qernel.measure.state import State
    from qernel.progress import Told


class Wanted(NamedTuple):
    """What is asked.

    Attributes:
        values: of the parameter, in the order in which they are wanted.
        along: the parameter.
        at: values of others; the middle of the trained interval for those that are not given.
        samples: records per chain; None: as the model's ``[sample]`` says, and likewise:
        walkers: chains.
        seed: of the chains.
        precision: the error of the energy per electron in E0 that is small enough; None: any.
        fresh: sample, whatever is stored.
        extrapolate: answer far outside the trained range as well.
    """

    values: Sequence[float]
    along: str = "lam"
    at: Mapping[str, float] | None = None
    samples: int | None = None
    walkers: int | None = None
    seed: int | None = None
    precision: float | None = None
    fresh: bool = False
    extrapolate: bool = False

    def require(self) -> None:
        """See that it can be answered.

        Raises:
            QernelError: for a precision that is none, or one beside a number of samples.
        """
        if self.precision is None:
            return
        require_precision(self.precision)
        if self.samples is not None:
            raise QernelError("samples and precision say both how long to sample: give one of them")

    @property
    def chosen(self) -> bool:
        """Whether chains of one kind are asked for, of which no other ones are an answer."""
        return any(value is not None for value in (self.samples, self.walkers, self.seed))


@dataclass(frozen=True)
class Answers:
    """Energies at several points of one model.

    Attributes:
        model: that was asked.
        axis: the parameter along which.
        results: at each of its values.
        at: all other parameters.
    """

    model: Shelf
    axis: Axis
    results: list[Energies]
    at: Mapping[str, float]

    @property
    def impossible(self) -> dict[float, str]:
        """Why numbers are no answer, at the values where they are not."""
        return {one.values[self.axis.name]: one.impossible for one in self.results if one.impossible}

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain data, which ``--json`` prints (imports JAX)."""
        data = about(self.model, self.at)
        return {**data, "results": [row.as_row(self.axis.name) for row in self.results]}

    def table(self) -> str:
        """The energies as a table for people, and below it where those come from that were not sampled now."""
        text = energy_table(self.model, self.results, self.at, along=self.axis.name)
        places: dict[str, list[str]] = {}
        for one in self.results:
            if one.origin != SAMPLED:
                places.setdefault(one.source, []).append(f"{one.values[self.axis.name]:g}")
        lines = [f"{self.axis.symbol} = {', '.join(values)}: {source}" for source, values in places.items()]
        lines += ["(--fresh samples anew)"] if places else []
        return "\n".join([text, *lines])


def on_the_shelf(run: str | Path, system: Mapping[str, Any]) -> tuple[Shelf, Callable[[], Model]]:
    """A model with its results, and how to open it with its wavefunction, which takes longer.

    Args:
        run: as of `qernel.load`.
        system: electrons, supercell and twist of the system that it is asked in (`Model.on`); empty: its own.

    Raises:
        RunError: as `qernel.load`.
    """
    from qernel import measure
    from qernel.measure.place import shelf_on

    @cache
    def loaded() -> Model:
        model = measure.load(run)
        return model.on(**system) if system else model

    found = shelved(run)
    if found is None:
        return Shelf.of(loaded()), loaded
    return shelf_on(found, **system) if system else found, loaded


def answered(
    model: Shelf, wanted: Wanted, loaded: Callable[[], Model], *, remember: bool = True, tell: Told | None = None
) -> Answers:
    """What is stored, and for the other values what is sampled.

    Args:
        model: whose results are looked for.
        wanted: what is asked.
        loaded: the same model with its wavefunction, called where something has to be sampled.
        remember: keep what is sampled.
        tell: called with what is measured and the fraction done of everything.

    Raises:
        QernelError: as `qernel.measure.points.points`, and for a precision that is none.
        RunError: for values far outside the trained range.
    """
    wanted.require()
    values = numbers(wanted.along, wanted.values)
    ready: dict[float, Energies] = {}
    if wanted.along in model.ranges and set(wanted.at or {}) <= set(model.ranges) - {wanted.along}:
        ready = {value: found for value in values if (found := _stored(model, wanted, value)) is not None}
    missing = [value for value in values if value not in ready]
    if missing or not values:
        _sample(loaded(), model, wanted._replace(values=missing), ready, remember, tell)
    else:
        warn_outside(model, named(wanted.along), [(one.values[wanted.along], one) for one in ready.values()])
    others = model.middle(wanted.at or {}, wanted.along)
    return Answers(model, named(wanted.along), [ready[value] for value in values], others)


def _stored(model: Shelf, wanted: Wanted, value: float) -> Energies | None:
    """The best answer that is there, if it is good enough."""
    if wanted.fresh:
        return None
    others = model.middle(wanted.at or {}, wanted.along)
    place = {**others, wanted.along: value}
    answers = [(chains, answer) for chains, answer in kept(model, place) if _is_it(chains, wanted)]
    found = [answer for _, answer in answers]
    if not wanted.chosen and (stored := Results(model).at(wanted.along, value, others)) is not None:
        found.append(stored)
    good = [one for one in found if wanted.precision is None or one.energy.error <= wanted.precision]
    # What was measured at this very point comes before what was interpolated, whatever the errors say.
    return min(good, key=lambda one: (one.origin == INTERPOLATED, one.energy.error), default=None)


def _is_it(chains: Chains, wanted: Wanted) -> bool:
    asked = (wanted.samples, wanted.walkers, wanted.seed)
    return all(value is None or value == had for value, had in zip(asked, chains, strict=True))


def _sample(
    model: Model, about_it: Shelf, wanted: Wanted, ready: dict[float, Energies], remember: bool, tell: Told | None
) -> None:
    """Add what is sampled now to the answers."""
    from qernel.measure.chains import measured
    from qernel.measure.points import points

    chains: dict[str, Any] = {"samples": wanted.samples, "walkers": wanted.walkers, "seed": wanted.seed}
    options: dict[str, Any] = {"along": wanted.along, "at": wanted.at, "extrapolate": wanted.extrapolate}
    where = points(model, wanted.values, **options, **chains)
    sample, there = model.config.sample, []

    def draw(state: State, progress: Callable[[float], None]) -> Energies:
        """An answer, kept at once: others may be stopped."""
        if wanted.precision is None:
            answer, samples = state.energy(**chains, progress=progress), wanted.samples or sample.samples
        else:
            some = {"walkers": wanted.walkers, "seed": wanted.seed}
            answer, samples = to_precision(state, wanted.precision, **some, progress=progress)
        seed = sample.seed if wanted.seed is None else wanted.seed
        if remember and keep(about_it, answer, Chains(samples, wanted.walkers or sample.walkers, seed)):
            there.append(f"{answer.values[wanted.along]:g}")
        return answer

    def left() -> str:
        """What is there after a stop."""
        again = "asked again without fresh" if wanted.fresh else "the same question"
        return f"kept is {where.axis.symbol} = {', '.join(there)}; {again} goes on from there" if there else ""

    try:
        with expendable(lambda _: f"stopped, {left() or 'nothing was written'}"):
            found = measured(where, draw=draw, tell=tell).sweeps["fresh"]
    except StopRequested as stop:
        raise StopRequested(stop.signal, left()) from None
    ready.update(zip(where.values, found, strict=True))
