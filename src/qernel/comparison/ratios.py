"""What one series of models needs, over what another needs, to be equally accurate.

A series is a curve of excess energy against cost (parameters, or seconds). What it has *attained* at a cost is its best
point up to there; what it *needs* for an accuracy is found between neighbouring points, linearly on logarithmic axes.
Curves are compared in the middle of the accuracies that both of them reach, and nowhere else: nothing is extrapolated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

RESAMPLES = 2000
DEFINED = 0.9
"""Share of the resamples in which the curves must overlap for a ratio to be given."""


class Point(NamedTuple):
    """One model (at one time): what it costs, its excess energy per electron in E0 and the standard error of that."""

    cost: float
    excess: float
    error: float


class Ratio(NamedTuple):
    """Cost of one series over that of another at equal accuracy.

    Attributes:
        value: the ratio; None where there is none.
        low: lower end of its central 68 % interval.
        high: upper end.
        accuracy: the excess energy per electron at which they are compared, in E0.
        reason: why there is no ratio; None if there is one.
    """

    value: float | None
    low: float | None
    high: float | None
    accuracy: float | None
    reason: str | None


def ratio(first: Sequence[Point], second: Sequence[Point], *, seed: int = 0) -> Ratio:
    """Cost of ``first`` over cost of ``second`` at equal accuracy, with an interval from resampled excess energies.

    Args:
        first: points of one series, in any order.
        second: points of the other.
        seed: of the resampling.
    """
    found = _compare(attained(first), attained(second))
    if isinstance(found, str):
        return Ratio(None, None, None, None, found)
    value, accuracy = found
    rng = np.random.default_rng(seed)
    logs = []
    for _ in range(RESAMPLES):
        again = _compare(attained(_resampled(first, rng)), attained(_resampled(second, rng)))
        if not isinstance(again, str):
            logs.append(math.log(again[0]))
    if len(logs) < DEFINED * RESAMPLES:
        return Ratio(None, None, None, None, "the accuracies overlap only within their error bars")
    # Around the value found: the distribution gives the width, not the place.
    down, up = np.quantile(np.array(logs) - np.median(logs), [0.16, 0.84])
    return Ratio(value, value * math.exp(float(down)), value * math.exp(float(up)), accuracy, None)


def attained(points: Sequence[Point]) -> list[tuple[float, float]]:
    """(log cost, log excess) of the points that improve on all cheaper ones, cheapest first.

    An excess that is not positive is not resolved from the reference and takes no part.
    """
    curve: list[tuple[float, float]] = []
    for point in sorted(points, key=lambda p: (p.cost, p.excess)):
        usable = point.cost > 0 and point.excess > 0 and math.isfinite(point.cost) and math.isfinite(point.excess)
        if usable and (not curve or math.log(point.excess) < curve[-1][1]):
            curve.append((math.log(point.cost), math.log(point.excess)))
    return curve


def needed(curve: Sequence[tuple[float, float]], accuracy: float) -> float | None:
    """Logarithm of the cost at which a curve of `attained` reaches a logarithm of the excess; None outside of it."""
    slack = 1e-12 * max(1.0, abs(accuracy))
    if not curve or not curve[-1][1] - slack <= accuracy <= curve[0][1] + slack:
        return None
    costs, excesses = np.array(curve).T
    return float(np.interp(-accuracy, -excesses, costs))


def _compare(first: list[tuple[float, float]], second: list[tuple[float, float]]) -> tuple[float, float] | str:
    """(ratio, accuracy), or why there is none."""
    if not first or not second:
        return "no excess energy is resolved from the reference"
    finest, coarsest = max(first[-1][1], second[-1][1]), min(first[0][1], second[0][1])
    if finest > coarsest:
        return "no accuracy is reached by both"
    accuracy = 0.5 * (finest + coarsest)
    one, other = needed(first, accuracy), needed(second, accuracy)
    assert one is not None and other is not None, "inside both curves"
    return math.exp(one - other), math.exp(accuracy)


def _resampled(points: Sequence[Point], rng: np.random.Generator) -> list[Point]:
    return [point._replace(excess=point.excess + point.error * rng.normal()) for point in points]
