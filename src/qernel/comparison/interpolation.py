"""A model trained on part of the λ range, and what it is held against at the same cost.

Three kinds of models: ``gaps`` is trained as configured, ``whole`` on all of the λ asked for, and ``single`` is one
model for each λ. All of them are the same wavefunction, and each kind costs the same number of updates × walkers,
unless the updates of single-λ models are given.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from qernel.comparison.conditions import Budget, Entry, require_one_system
from qernel.config import Config
from qernel.config.sections import FamilyConfig
from qernel.errors import QernelError

KINDS = ("gaps", "whole", "single")
Region = Literal["trained", "gap", "edge"]
REGIONS: tuple[Region, ...] = ("trained", "gap", "edge")
"""Where a λ lies for the model ``gaps``: in what it is trained on, in a gap, or beyond the ends."""

_NEAR = 1e-9


class Plan(NamedTuple):
    """What is trained.

    Attributes:
        lam: where all models are measured, increasing ``[L]``.
        regions: of each λ ``[L]``.
        shared: the models ``gaps`` and ``whole``.
        budget: of each of them.
        singles: one model for each λ.
        single_budget: of each of these.
    """

    lam: tuple[float, ...]
    regions: tuple[Region, ...]
    shared: list[Entry]
    budget: Budget
    singles: list[Entry]
    single_budget: Budget

    @property
    def cost(self) -> dict[str, int]:
        """Updates × walkers of each kind of model."""
        walkers = self.shared[0].config.train
        alone = self.singles[0].config.train
        together = self.budget.iterations * walkers.groups * walkers.walkers
        single = len(self.lam) * self.single_budget.iterations * alone.groups * alone.walkers
        return {"gaps": together, "whole": together, "single": single}


def plan(
    config: Config, lam: Sequence[float], iterations: int, single_groups: int, single_iterations: int | None = None
) -> Plan:
    """The models and budgets for a configuration with gaps.

    Args:
        config: trained on ``family.lam`` without ``family.gaps``.
        lam: where to measure; ``whole`` is trained from the lowest to the highest of them and of ``family.lam``.
        iterations: updates of the shared models.
        single_groups: groups of ``train.walkers`` walkers, all at one λ, of a single-λ model: fewer groups leave it
            more updates.
        single_iterations: updates of each single-λ model; None: as many as make both kinds cost the same.

    Raises:
        QernelError: if there is nothing to interpolate or extrapolate, no update is left for a single-λ model, or there
            are several systems.
    """
    require_one_system(config.name or "the configuration", config)
    points = tuple(sorted(set(lam)))
    regions = tuple(region(config.family, value) for value in points)
    low, high = config.family.lam
    if low == high or set(regions) == {"trained"}:
        raise QernelError(
            f"no λ of {', '.join(f'{value:g}' for value in points)} lies in a gap of the training or beyond its ends: "
            "give --lam values there, or family.gaps = [[low, high], ...] around some of them"
        )
    equal = round(iterations * config.train.groups / (len(points) * single_groups))
    alone = equal if single_iterations is None else single_iterations
    if alone < 1:
        raise QernelError(
            f"--single-groups {single_groups} leaves no update for {len(points)} single-λ models that together cost "
            f"{iterations} iterations of {config.train.groups} groups: give a smaller one, or more --iterations"
        )
    config = _on(config, config.family.lam, config.family.gaps)
    span = (min(low, points[0]), max(high, points[-1]))
    shared = [Entry("gaps", "gaps", config), Entry("whole", "whole", _on(config, span))]
    singles = [
        Entry(f"single-{value:g}", "single", _on(config, (value, value), groups=single_groups)) for value in points
    ]
    return Plan(points, regions, shared, Budget(iterations, None), singles, Budget(alone, None))


def region(family: FamilyConfig, lam: float) -> Region:
    """Where a λ lies for a model trained on a family."""
    low, high = family.lam
    if not low - _NEAR <= lam <= high + _NEAR:
        return "edge"
    return "gap" if any(a + _NEAR < lam < b - _NEAR for a, b in family.gaps or ()) else "trained"


def default_points(family: FamilyConfig) -> list[float]:
    """The middle of every gap and of every part between them, and a fifth of the range beyond both ends."""
    low, high = family.lam
    ends = [low, *(end for gap in family.gaps or () for end in gap), high]
    middles = [0.5 * (a + b) for a, b in itertools.pairwise(ends)]
    beyond = 0.2 * (high - low)
    points = [max(0.0, low - beyond), *middles, high + beyond]
    return sorted({float(f"{value:.12g}") for value in points})


def _on(config: Config, lam: tuple[float, float], gaps: Any = None, **train: Any) -> Config:
    """The configuration with another range of λ, at whose ends training ends: no margin."""
    family = config.family.model_copy(update={"lam": lam, "gaps": gaps})
    changed = config.train.model_copy(update={"margin": 0.0, **train})
    return config.model_copy(update={"family": family, "train": changed})
