"""The line between two phases over two parameters: where each scan of a map changes, and whether the scans agree.

On the line the energies of both phases are equal, so that along it (Clausius–Clapeyron)

    dp_c/dq = −Δ⟨∂H/∂q⟩ / Δ⟨∂H/∂p⟩,

with Δ the jumps of the two phases, p the parameter of the scans and q the other one. Left and right are measured
independently of each other: places, and jumps at them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from qernel.along import Axis
from qernel.errors import RunError
from qernel.estimators.quantity import Quantity
from qernel.lattice import FloatArray
from qernel.transition.analysis import Transition, analyse
from qernel.transition.compare import penalty
from qernel.transition.consistency import Agreement, against_integral
from qernel.transition.line import Line, Point
from qernel.transition.line_words import record, sentences
from qernel.transition.phase_map import PhaseMap
from qernel.transition.phases import Phases, compare_phases
from qernel.transition.polynomial import Polynomial, fitted
from qernel.transition.scan import Curve, Curves
from qernel.transition.shown import Evident

DEGREES = (0, 1, 2, 3)
"""Of the curves that a boundary is described with."""

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEWEST = 4
"""Points of a boundary below which no curve is drawn through it."""

LEAST_CHANCE = 0.01
"""p of χ² below which a curve does not describe the boundary."""

_SIGMAS = 3.0
"""Standard errors from zero at which the jump of ⟨∂H/∂p⟩ may be divided by."""


class Boundary(Evident, Line):
    """The boundary of two phases over two parameters: numbers (`Line`), sentences and plain data."""

    @property
    def evidence(self) -> list[str]:
        """Sentences that can be quoted."""
        return sentences(self)

    def plot(self, variable: str | None = None, *, ax: Axes | None = None) -> Axes:
        """The boundary on a number of the map as colour (`Map.plot`); into ``ax``, or a figure of its own."""
        from qernel.plots.over_two import draw_phase_map
        from qernel.plots.style import axes_of

        axes = axes_of(ax, 5.4, 3.8)
        draw_phase_map(axes, self.map, self, variable)
        return axes

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain data."""
        return record(self)


def boundary(
    scans: PhaseMap,
    against: PhaseMap | None = None,
    *,
    between: tuple[float, float] | None = None,
    resamples: int = 400,
    seed: int = 0,
) -> Boundary:
    """Where the phases of a map meet.

    Args:
        scans: one scan for each value of the second parameter; each is judged alone, as by `analyse`.
        against: the same of chains that started in the other phase: then each pair is compared as by
            `compare_phases`. Values that only one of them has are ignored.
        between: the range of the first parameter to fit.
        resamples: data sets drawn for the errors of each scan.
        seed: of these.

    Raises:
        RunError: if the two maps are over different parameters, or no value is in both.
    """
    pairs = _paired(scans, against)
    points = tuple(_point(scans, value, group, between, resamples, seed) for value, group in pairs)
    places = [point for point in points if point.place is not None]
    q, curve = np.array([point.value for point in places]), _curve([point.place for point in places])
    described, reason = _described(q, curve, min((point.grid for point in places), default=0.0))
    return Boundary(scans, points, described, reason, _agreement(points), resamples, seed, against)


def _paired(scans: PhaseMap, against: PhaseMap | None) -> list[tuple[float, list[Curves | str]]]:
    """The scans of each value."""
    if against is None:
        return [(value, [scan]) for value, scan in scans.scans()]
    if (scans.along, scans.over) != (against.along, against.over):
        raise RunError(
            f"{scans.source} is a map of {scans.along.symbol} over {scans.over.symbol}, {against.source} one of "
            f"{against.along.symbol} over {against.over.symbol}: compare maps over the same parameters"
        )
    first, second = list(scans.scans()), list(against.scans())
    pairs = [(first[row][0], [first[row][1], second[there][1]]) for row, there in scans.partners(against).items()]
    if not pairs:
        raise RunError(f"{scans.source} and {against.source} have no {scans.over.symbol} in common: scan them alike")
    return pairs


def _point(
    scans: PhaseMap,
    value: float,
    group: Sequence[Curves | str],
    between: tuple[float, float] | None,
    resamples: int,
    seed: int,
) -> Point:
    source = " and ".join(scan.source for scan in group if isinstance(scan, Curves))
    found: Transition | Phases
    try:
        parts = [_cut(scan, between) for scan in group]
        found = (analyse if len(parts) == 1 else compare_phases)(*parts, resamples=resamples, seed=seed)
    except RunError as error:
        return Point(value, None, str(error), None, 0.0, source)
    reason = found.reason if isinstance(found, Phases) else "; ".join(found.reasons)
    slope = clausius_clapeyron(found, scans.along, scans.over, value)
    return Point(value, found.place, reason, slope, _grid(found), source)


def _grid(found: Transition | Phases) -> float:
    """The error of a place between two points of its scan, if all of it were due to that."""
    if isinstance(found, Phases) or found.place is None:
        return 0.0
    points = found.scan.points
    above = int(np.clip(np.searchsorted(points, found.place.value), 1, len(points) - 1))
    return min(found.place.error, float(points[above] - points[above - 1]) / math.sqrt(12))


def _cut(scan: Curves | str, between: tuple[float, float] | None) -> Curves:
    if isinstance(scan, str):
        raise RunError(scan)
    return scan if between is None else scan.between(*between)


def clausius_clapeyron(found: Transition | Phases, along: Axis, over: Axis, value: float) -> Quantity | None:
    """The slope dp_c/dq of a boundary from the jumps at one of its points.

    The errors of the two jumps are taken as independent.

    Args:
        found: of the scan, or the two scans, at this point.
        along: p.
        over: q.
        value: of q.

    Returns:
        None where H is not linear in both parameters, one of them is 0, or Δ⟨∂H/∂p⟩ is not three errors from 0.
    """
    place = found.place
    if place is None or not (along.multiplies and over.multiplies) or place.value == 0 or value == 0:
        return None
    first, second = found.jump_of(along.multiplies), found.jump_of(over.multiplies)
    if first is None or second is None:
        return None
    below, above = first / place.value, second / value
    if not abs(below.value) > _SIGMAS * below.error:
        return None
    ratio = -above.value / below.value
    return Quantity(ratio, math.hypot(above.error, ratio * below.error) / abs(below.value))


def _curve(quantities: Sequence[Quantity | None]) -> Curve:
    known = [one for one in quantities if one is not None]
    return Curve(np.array([one.value for one in known]), np.array([one.error for one in known]))


def _described(q: FloatArray, places: Curve, shared: float) -> tuple[Polynomial | None, str]:
    """The polynomial of the smallest AICc, and why there is none; ``shared`` is an error common to all places."""
    if len(q) < FEWEST:
        return None, f"{len(q)} points of it are known, {FEWEST} are needed"
    if not (places.errors > 0).all():
        return None, "a point of it has no error"
    origin = float(q.mean())
    fits = [fitted(q, places, degree, origin) for degree in DEGREES if len(q) > degree + 2]
    best = min(fits, key=lambda fit: fit.chi2 + penalty(len(fit.coefficients), len(q)))
    if best.p_value < LEAST_CHANCE:
        return None, f"no polynomial up to degree {len(fits) - 1} describes it (p = {best.p_value:.2g} for the best)"
    # Fitted as if independent, which averages it away.
    covariance = best.covariance.copy()
    covariance[0, 0] += shared**2
    return replace(best, covariance=covariance), ""


def _agreement(points: Sequence[Point]) -> Agreement | None:
    """Places of neighbours against the integral of the slopes between them."""
    runs: list[list[Point]] = [[]]
    for point in points:
        if point.place is None or point.slope is None or not point.place.error > 0:
            runs.append([])
        else:
            runs[-1].append(point)
    parts = [
        (np.array([one.value for one in run]), _curve([one.place for one in run]), _curve([one.slope for one in run]))
        for run in runs
        if len(run) > 1
    ]
    return against_integral(parts)
