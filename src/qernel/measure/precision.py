"""Sampling until the error of the energy is as small as it was asked to be, instead of guessing a number of samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qernel.errors import QernelError, warn

if TYPE_CHECKING:
    from qernel.measure.energies import Energies
    from qernel.measure.state import State

FIRST, GROWTH = 20, 1.4
"""Records before the error is looked at, and by what factor they grow until the next time."""

MOST = 20_000
"""Records per chain after which it gives up."""


def require_precision(precision: float) -> None:
    """See that an error can be asked for.

    Raises:
        QernelError: unless it is a positive number.
    """
    if not 0 < precision < float("inf"):
        raise QernelError(f"precision = {precision:g} is no error of an energy per electron: give e.g. 0.003 (in E0)")


def to_precision(
    state: State,
    precision: float,
    *,
    walkers: int | None = None,
    seed: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> tuple[Energies, int]:
    """Energies whose total has at most this error, and the records per chain that it took.

    The chains are those of `State.energy`: with as many samples it gives the same numbers. They are looked at after
    numbers of records that grow in proportion, so that stopping where the error happens to be small hardly matters.

    Args:
        state: to sample.
        precision: one standard error of the energy per electron in E0.
        walkers: chains; default from the model's ``[sample]`` section.
        seed: likewise.
        progress: called with the fraction done, as the error so far tells it.
    """
    drawn, look = [], FIRST
    used = state.model.config.sample.seed if seed is None else seed
    chains = state.records(MOST, walkers, seed, energies=True, progress=None)
    for record in chains:
        drawn.append(record)
        if len(drawn) < min(look, MOST):
            continue
        found = state.energies_of(drawn, used)
        if found.energy.error <= precision:
            break
        look = int(look * GROWTH) + 1
        if progress is not None:
            progress(min(0.99, (precision / found.energy.error) ** 2))
    else:
        warn(
            f"after {MOST} records per chain the error is {found.energy.error:.2g} E0, more than the {precision:g} "
            "asked for: give more --walkers, or a larger --precision"
        )
    return found, len(drawn)
