"""What a scan is asked for: points in order, kinds of chains, observables, and everything its numbers depend on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from qernel.errors import QernelError
from qernel.measure.chains import kinds_of
from qernel.measure.points import Points
from qernel.observables.registry import made

if TYPE_CHECKING:
    from qernel.observables import Observable


def ascending(where: Points) -> Points:
    """The same points in increasing order."""
    return replace(where, values=tuple(sorted(where.values)))


class Options(TypedDict, total=False):
    """What a scan does besides measuring energies on fresh chains: the arguments of `asked`."""

    sweeps: Sequence[str]
    exchange: bool
    start: str | None
    reweight: int
    observables: Sequence[str | Observable]


class Asked(NamedTuple):
    """What a scan was asked for: points, kinds of chains, observables, and everything the numbers depend on."""

    where: Points
    kinds: list[str]
    observables: list[Observable]
    request: dict[str, Any]


def asked(
    where: Points,
    *,
    sweeps: Sequence[str] = ("fresh",),
    exchange: bool = False,
    start: str | None = None,
    reweight: int = 0,
    observables: Sequence[str | Observable] = (),
) -> Asked:
    """What `scan` is asked for with such arguments.

    Raises:
        QernelError: for chains that do not go together, or observables that do not exist.
        RunError: for a start that there is not.
    """
    where = ascending(where).starting(start)
    kinds = kinds_of(where, sweeps, exchange)
    chosen = made(observables)
    if reweight < 0:
        raise QernelError(f"reweight = {reweight} is no number of values in between: give 0 or more")
    request = where.request
    # Only where they differ from the default: earlier scans do not have them.
    request |= {"sweeps": kinds} if kinds != ["fresh"] else {}
    request |= {"reweight": reweight} if reweight else {}
    request |= {"observables": [repr(item) for item in chosen]} if chosen else {}
    return Asked(where, kinds, chosen, request)
