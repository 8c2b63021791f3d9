"""When an error bar is not to be trusted: the reasons, in words that are the same everywhere.

Where the limits come from: docs/errors.md, measured by studies/error_bars/coverage.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import xarray

    from qernel.estimators.statistics import Summary

RHAT_LIMIT: Final = 1.05
"""Beyond this the chains have not come to agree."""

FEW_CHAINS: Final = 16
"""Below this error bars are too small where chains stay longer in a phase than they are measured."""

FEW_SAMPLES: Final = 30
"""Independent samples below which `FEW_CHAINS` chains and more have less than two each: burn-in is as short."""

SHORTEST_FOR_RHAT: Final = 4
"""Records per chain below which there is no R̂."""

CHAINS: Final = f"fewer than {FEW_CHAINS} chains"
DISAGREE: Final = f"rhat above {RHAT_LIMIT}"
UNKNOWN: Final = "rhat unknown"
SAMPLES: Final = f"fewer than {FEW_SAMPLES} independent samples"

_SENTENCES = {
    CHAINS: f"error bars from {CHAINS} can be too small{{}}: measure with more --walkers",
    DISAGREE: f"the chains disagree ({DISAGREE}){{}}: measure with more --samples",
    UNKNOWN: f"too few records to see whether the chains disagree ({UNKNOWN}){{}}: measure with more --samples",
    SAMPLES: f"error bars from {SAMPLES} can be too small{{}}: measure with more --samples or --walkers",
}


def doubts(chains: int, error: float, rhat: float, effective_samples: float) -> tuple[str, ...]:
    """Why an error bar may be too small; empty if nothing speaks against it.

    Args:
        chains: number of independent chains.
        error: the error bar; 0 (a series without any scatter) is not doubted.
        rhat: rank-normalised split R̂; nan where it cannot be computed.
        effective_samples: independent samples; nan where they cannot be counted.

    >>> doubts(64, 0.1, 1.01, 500.0), doubts(2, 0.1, float("nan"), 500.0)
    ((), ('fewer than 16 chains', 'rhat unknown'))
    """
    if error == 0:
        return ()
    reasons = {
        CHAINS: chains < FEW_CHAINS,
        DISAGREE: rhat > RHAT_LIMIT,
        UNKNOWN: rhat != rhat,
        SAMPLES: not effective_samples >= FEW_SAMPLES,
    }
    return tuple(reason for reason, holds in reasons.items() if holds)


def doubts_of(summary: Summary, chains: int) -> tuple[str, ...]:
    """`doubts` about the mean of a series of ``chains`` chains."""
    return doubts(chains, summary.error, summary.rhat, summary.effective_samples)


def stored_doubts(point: xarray.Dataset, name: str) -> tuple[str, ...]:
    """`doubts` about a variable of a data set at one point; of arrays as far as numbers of chains and records tell.

    Files without the number of chains (those of ``qernel scan``) are taken to have enough.
    """
    rhat, effective = f"{name}_rhat", f"{name}_effective_samples"
    seen = int(point.attrs.get("samples", SHORTEST_FOR_RHAT)) >= SHORTEST_FOR_RHAT
    single = not point[name].ndim
    return doubts(
        int(point.attrs.get("walkers", FEW_CHAINS)),
        float(point[f"{name}_error"]) if single and f"{name}_error" in point else float("inf"),
        float(point[rhat]) if rhat in point else 1.0 if seen else float("nan"),
        float(point[effective]) if effective in point else float("inf"),
    )


def sentences(found: Iterable[tuple[str, float, tuple[str, ...]]], symbol: str = "λ") -> list[str]:
    """A sentence for each reason, with what it concerns and what to do.

    Args:
        found: name of a number, where it was measured, doubts about it.
        symbol: of the parameter that was varied.

    >>> sentences([("energy", 1.0, ()), ("interaction", 1.0, (DISAGREE,)), ("interaction", 1.1, (DISAGREE,))])
    ['the chains disagree (rhat above 1.05) on interaction at λ = 1, 1.1: measure with more --samples']
    """
    rows = list(found)
    result = []
    for reason, sentence in _SENTENCES.items():
        places: dict[str, list[float]] = {}
        for name, lam, reasons in rows:
            if reason in reasons:
                places.setdefault(name, []).append(lam)
        if places:
            result.append(sentence.format(_where(places, symbol)))
    return result


def _where(places: dict[str, list[float]], symbol: str) -> str:
    """Names and where they were measured, those of the same points together."""
    names: dict[tuple[float, ...], list[str]] = {}
    for name, lams in places.items():
        names.setdefault(tuple(dict.fromkeys(lams)), []).append(name)
    return " on " + "; ".join(f"{', '.join(group)} at {symbol} = {listed(lams)}" for lams, group in names.items())


def listed(values: Iterable[float]) -> str:
    """The first few λ, for a sentence.

    >>> listed([1.0, 1.25])
    '1, 1.25'
    """
    every = list(values)
    shown = ", ".join(f"{value:g}" for value in every[:6])
    return shown if len(every) <= 6 else f"{shown} and {len(every) - 6} more"
