"""Where a model is asked: values along one parameter, all others the same, and how much is sampled there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
import numpy.typing as npt

from qernel.along import Axis, named
from qernel.errors import QernelError, RunError, warn
from qernel.estimators.doubts import listed
from qernel.measure import place
from qernel.provenance import identity
from qernel.text import meant

if TYPE_CHECKING:
    from qernel.config import Config
    from qernel.hamiltonian.family import Hamiltonian
    from qernel.measure.energies import Energies
    from qernel.measure.model import Model
    from qernel.measure.shelf import Shelf
    from qernel.measure.state import State


@dataclass(frozen=True, eq=False)
class Points:
    """The points of a measurement, and the chains at each.

    Attributes:
        model: that is measured.
        axis: the parameter that is varied.
        values: of it, in the order in which they are measured.
        at: values of all other parameters of the family.
        samples: records per chain; None: as the model's ``[sample]`` says, and likewise:
        walkers: chains at each point.
        seed: of the chains.
        extrapolate: whether points far outside the trained range are answered.
        given: names in ``at`` that were asked for; the others are in the middle of their intervals.
    """

    model: Model
    axis: Axis
    values: tuple[float, ...]
    at: Mapping[str, float]
    samples: int | None = None
    walkers: int | None = None
    seed: int | None = None
    extrapolate: bool = False
    given: tuple[str, ...] = ()

    @property
    def states(self) -> list[State]:
        """The state at each value.

        Raises:
            RunError: for those far outside the trained range, unless ``extrapolate`` is set.
        """
        far: dict[str, Any] = {"extrapolate": True} if self.extrapolate else {}
        return [self.model.at(**self.everything(value), **far) for value in self.values]

    def require_reach(self) -> None:
        """Refuse values far outside the trained range before anything is drawn.

        Raises:
            RunError: as `states`.
        """
        _ = self.states

    def everything(self, value: float) -> dict[str, Any]:
        """All parameters where the varied one has a value."""
        return {**self.at, self.axis.name: value}

    @property
    def chains(self) -> dict[str, int | None]:
        """How much is sampled, as `State.energy` takes it."""
        return {"samples": self.samples, "walkers": self.walkers, "seed": self.seed}

    @property
    def request(self) -> dict[str, Any]:
        """Everything the numbers depend on; a measurement with an equal request would give them again."""
        sample = self.model.config.sample
        return {
            **identity(self.model),
            "model": self.model.name,
            self.axis.name: list(self.values),
            "at": dict(self.at),
            "samples": self.samples or sample.samples,
            "walkers": self.walkers or sample.walkers,
            "seed": sample.seed if self.seed is None else self.seed,
            # Only where it is chosen: earlier measurements do not have it.
            **({"start": self.model.start} if self.model.start else {}),
        }

    def of(self, model: Model) -> Points:
        """The same points of another model: one that keeps its chains, or starts them elsewhere."""
        return replace(self, model=model)

    def starting(self, start: str | None) -> Points:
        """The same points with chains that start there (`Model.with_start`); None: where they start already.

        Raises:
            RunError: for another start, or if the system has no registries.
        """
        return self.of(self.model.with_start(start)) if start else self


class Where(TypedDict, total=False):
    """Where a measurement takes place, and how much is sampled there: the arguments of `points`."""

    along: str
    at: Mapping[str, float] | None
    samples: int | None
    walkers: int | None
    seed: int | None
    extrapolate: bool


def points(
    model: Model,
    values: npt.ArrayLike,
    *,
    along: str = "lam",
    at: Mapping[str, float] | None = None,
    samples: int | None = None,
    walkers: int | None = None,
    seed: int | None = None,
    extrapolate: bool = False,
) -> Points:
    """The points of a measurement, each value once, before anything is drawn.

    Args:
        model: to measure.
        values: of the parameter ``along``, a number or several.
        along: a conditioning parameter of the model.
        at: values of others; the middle of the trained interval for those that are not given.
        samples: records per chain; default from the model's ``[sample]`` section.
        walkers: chains at each point; default likewise.
        seed: of the chains; default likewise.
        extrapolate: answer far outside the trained range as well, where numbers mean little.

    Raises:
        QernelError: for a parameter the model does not have, or one that is given twice.
        RunError: for values far outside the trained range.
    """
    middle = dict(model.hamiltonian.middle)
    if along not in middle:
        raise RunError(f"{model.name} is not conditioned on {along}, only on {', '.join(middle)}{meant(along, middle)}")
    del middle[along]
    for name in at or {}:
        if name == along:
            raise QernelError(f"{name} is given twice: its values are those along which is measured")
        if name not in middle:
            axis = named(along)
            known = (
                f"its other parameters are {', '.join(middle)}" if middle else f"{axis.symbol} is its only parameter"
            )
            raise QernelError(f"{model.name} is not conditioned on {name}, {known}{meant(name, middle)}")
    asked = numbers(along, values)
    if not asked:
        raise QernelError(f"there is no value of {along} to measure at: give at least one")
    others = middle | dict(at or {})
    found = Points(model, named(along), asked, others, samples, walkers, seed, extrapolate, tuple(at or ()))
    found.require_reach()
    return found


def numbers(name: str, values: npt.ArrayLike) -> tuple[float, ...]:
    """Values of a parameter, each once, in the order given.

    Raises:
        QernelError: if they are no numbers.
    """
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise QernelError(f"{name} = {values!r} is no number, nor several: give, for instance, [0.4, 0.5]") from error
    return tuple(dict.fromkeys(found.ravel().tolist()))


def warn_outside(model: Model | Shelf, axis: Axis, places: Sequence[tuple[float, State | Energies]]) -> None:
    """Say which points the model was not trained on, and whether its training is over.

    Args:
        model: that is asked.
        axis: the parameter that is varied.
        places: each value of it with the state, or the answer, there.
    """
    symbol = axis.symbol
    if untrained := str(place.known(model)):
        trained = "; ".join(one.label for one in place.origin(model).systems)
        warn(f"{untrained}: the model was trained on {trained}, and is asked for {model.config.system.label}")
    if model.training is not None and not model.training.complete:
        warn(f"{model.name} {model.training.sentence}")
    outside = [value for value, state in places if state.extrapolating]
    if outside:
        warn(f"extrapolating at {symbol} = {listed(outside)}: the model was trained on {_trained(model)}")
    between = [value for value, state in places if state.in_gap]
    if between:
        warn(f"{symbol} = {listed(between)} in a gap of the training: the model was trained on {_trained(model)}")


def intervals(parts: Sequence[tuple[float, float]]) -> str:
    """Intervals of λ, for a sentence.

    >>> intervals([(0.4, 0.7), (0.9, 1.4)])
    '[0.4, 0.7] and [0.9, 1.4]'
    """
    return " and ".join(f"[{low:g}, {high:g}]" for low, high in parts)


def _trained(model: Model | Shelf) -> str:
    low, high = model.ranges["lam"]
    parts = [f"λ in {intervals(model.hamiltonian.parts)}" if low < high else f"λ = {low:g} alone"]
    parts += [f"{name} in [{a:g}, {b:g}]" for name, (a, b) in model.ranges.items() if name != "lam"]
    return " and ".join(parts)


def about(model: Model | Shelf, at: Mapping[str, float]) -> dict[str, Any]:
    """What was measured: the system and the model."""
    said = {"name": model.name, "parameters": model.parameters}
    said |= {"training": model.training.as_dict()} if model.training is not None else {}
    return {"system": system(model.config, model.hamiltonian, at) | place.placed(model), "model": said}


def system(config: Config, hamiltonian: Hamiltonian, at: Mapping[str, float]) -> dict[str, Any]:
    """The electrons and forces that results are for."""
    up, down = config.system.electrons
    twist = {"supercell": config.system.supercell, "twist": hamiltonian.row_twist} if hamiltonian.twisted else {}
    return {
        "electrons": [up, down] if down else up,
        "cells": config.system.cells,
        **twist,
        **hamiltonian.described(at),
        "energy_unit_meV": config.energy_unit_meV,
    }
