"""Energies at several points: chains that start afresh, are carried along, or swap configurations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from qernel.along import Axis
from qernel.errors import QernelError, warn
from qernel.estimators.doubts import sentences
from qernel.lattice import FloatArray
from qernel.measure.points import Points, warn_outside
from qernel.measure.replicas import exchanged
from qernel.measure.sweeps import swept
from qernel.progress import Parts, Told

if TYPE_CHECKING:
    from qernel.estimators.chains import Record
    from qernel.measure.energies import Energies
    from qernel.measure.state import State

    Keep = Callable[[State, Sequence[Record], int], None]
    Draw = Callable[[State, Callable[[float], None]], Energies]

SWAPS_LIMIT = 0.05
"""Accepted fraction of swaps between two points below which hardly any configuration passes."""


class Measured(NamedTuple):
    """Energies at each point for each kind of chains, and the accepted fraction of swaps between neighbours."""

    sweeps: dict[str, list[Energies]]
    swaps: FloatArray | None


def measured(
    where: Points,
    sweeps: Sequence[str] = ("fresh",),
    keep: Keep | None = None,
    tell: Told | None = None,
    *,
    draw: Draw | None = None,
) -> Measured:
    """Energies at every point, with warnings about them. Every command and verb measures energies by this function.

    Args:
        where: the points, with increasing values unless all chains are fresh.
        sweeps: of ``fresh``, ``up``, ``down``; or ``exchange`` alone.
        keep: called with each state, its records and their seed, for the first of the sweeps.
        tell: called with what is measured and the fraction done of everything.
        draw: measures the energies of a state with fresh chains, told the fraction done; default: as ``where`` says.
    """
    states, symbol = where.states, where.axis.symbol
    warn_outside(where.model, where.axis, list(zip(where.values, states, strict=True)))
    results: dict[str, list[Energies]] = {}
    swaps = None
    parts = Parts(tell, 1 if "exchange" in sweeps else len(states) * len(sweeps))

    def begin(state: State) -> None:
        parts.begin(f"measuring {symbol} = {state.values[where.axis.name]:g}")

    for sweep in sweeps:
        kept: dict[str, Any] = {**where.chains, "keep": keep if sweep == sweeps[0] else None, "progress": parts}
        if sweep == "fresh":
            results[sweep] = []
            for state in states:
                begin(state)
                results[sweep].append(state.energy(**kept) if draw is None else draw(state, parts))
        elif sweep == "exchange":
            parts.begin(f"measuring {symbol} = {where.values[0]:g} to {where.values[-1]:g} together")
            results[sweep], swaps = exchanged(states, **kept)
        else:
            results[sweep] = swept(states, sweep, begin=begin, **kept)
    _warn(where.axis, results, swaps)
    return Measured(results, swaps)


def kinds_of(where: Points, sweeps: Sequence[str], exchange: bool) -> list[str]:
    """The kinds of chains asked for, as `measured` takes them.

    Raises:
        QernelError: if there are none such, or they do not go together.
    """
    kinds = list(dict.fromkeys([sweeps] if isinstance(sweeps, str) else sweeps))
    unknown = [kind for kind in kinds if kind not in ("fresh", "up", "down")]
    if unknown or not kinds:
        raise QernelError(f"there are no chains {', '.join(unknown) or 'asked for'}: use fresh, up or down")
    if not exchange:
        return kinds
    symbol = where.axis.symbol
    if kinds != ["fresh"]:
        raise QernelError(
            f"exchange samples all {symbol} together, sweeps {' '.join(kinds)} one after the other: use one of them"
        )
    if len(where.values) < 2:
        raise QernelError(f"exchange swaps configurations between values of {symbol}: give at least two")
    return ["exchange"]


def _warn(axis: Axis, results: Mapping[str, Sequence[Energies]], swaps: FloatArray | None) -> None:
    """Warnings about error bars that may be too small, and about swaps."""
    found = [result for rows in results.values() for result in rows]
    doubted = [(name, one.values[axis.name], why) for one in found for name, why in one.doubts.items()]
    for sentence in sentences(doubted, axis.symbol):
        warn(sentence)
    values = [result.values[axis.name] for result in results.get("exchange", [])]
    pairs = zip(values, values[1:], () if swaps is None else swaps.tolist(), strict=False)
    few = [f"{low:g} and {high:g} ({value:.1%})" for low, high, value in pairs if value < SWAPS_LIMIT]
    if few:
        warn(
            f"less than {SWAPS_LIMIT:.0%} of the swaps are accepted between {axis.symbol} = {'; '.join(few)}: "
            f"take values of {axis.symbol} closer together there"
        )
