"""Optimisers of wavefunctions behind one protocol.

Adding an optimiser: write a module with ``init`` and ``update`` and enter its constructor in `OPTIMISERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qernel.optimise.adam import Adam
from qernel.optimise.base import NEUTRAL, Optimiser, Schedule, Tuning
from qernel.optimise.spring import Spring

OPTIMISERS: dict[str, Callable[[Any, Schedule], Optimiser]] = {
    "spring": lambda train, schedule: Spring(schedule, train.damping, train.momentum, train.norm_constraint),
    "adam": lambda train, schedule: Adam(schedule),
}
"""Constructors by the name used in ``[train] optimiser``."""


def build_optimiser(train: Any) -> Optimiser:
    """The optimiser described by a ``[train]`` section."""
    return OPTIMISERS[train.optimiser](train, Schedule(train.learning_rate, train.decay))


__all__ = ["NEUTRAL", "OPTIMISERS", "Adam", "Optimiser", "Schedule", "Spring", "Tuning", "build_optimiser"]
