"""A boundary in sentences that say no more than the data do, and as plain data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from qernel.estimators.quantity import Quantity
from qernel.transition.line import Line, Point
from qernel.transition.record import unit
from qernel.transition.verdict import CHANCE
from qernel.units import Laboratory


def converted(scale: Laboratory, quantity: Quantity) -> Quantity:
    """A value and its error in laboratory units."""
    value, error = quantity.value, quantity.error
    return Quantity(scale.convert(value), 0.5 * abs(scale.convert(value + error) - scale.convert(value - error)))


def sentences(line: Line) -> list[str]:
    """Where the boundary is, where there is none, its curve, and what checks it."""
    return [*_where(line), *_nowhere(line), *_curve(line), *_clausius_clapeyron(line), *_chance(line)]


def _where(line: Line) -> Iterator[str]:
    along, over, found = line.map.along, line.map.over, line.found
    name = f"{along.symbol}_c({over.symbol})"
    if not found:
        yield f"None of {len(line.points)} scans shows a transition: no {name}."
        return
    places = ", ".join(f"{point.place.number} at {over.at(point.value)}" for point in found if point.place is not None)
    yield f"{name}: {places} ({len(found)} of {len(line.points)} scans show a transition)."
    scales = [(axis, line.map.laboratory(axis)) for axis in (over, along)]
    if all(scale is not None for _, scale in scales):
        for point in (found[0], found[-1])[: len(found)]:
            yield _in_laboratory(line, point)


def _in_laboratory(line: Line, point: Point) -> str:
    """One point of the boundary in laboratory units."""
    along, over = line.map.along, line.map.over
    first, second = line.map.laboratory(along), line.map.laboratory(over)
    assert first is not None and second is not None and point.place is not None
    place = converted(first, point.place).number
    name = first.symbol or along.symbol
    return (
        f"In the laboratory, {over.at(point.value)} is {second.text(point.value)}: {name} {place} {first.unit}".rstrip()
        + "."
    )


def _nowhere(line: Line) -> Iterator[str]:
    along, over = line.map.along, line.map.over
    for point in line.points:
        if point.place is None:
            yield f"No {along.symbol}_c at {over.at(point.value)}: {point.reason}."


def _curve(line: Line) -> Iterator[str]:
    along, over, fit = line.map.along, line.map.over, line.curve
    name = f"{along.symbol}_c({over.symbol})"
    if fit is None:
        if line.found:
            yield f"No curve is drawn through {name}: {line.reason}."
        return
    degree = len(fit.coefficients) - 1
    constant = fit.at(fit.origin)
    what = {0: "does not depend on", 1: "is linear in", 2: "is quadratic in", 3: "is cubic in"}[degree]
    text = f"{name} {what} {over.symbol} within errors: {constant.number} at {over.at(fit.origin)}"
    if degree:
        text += f", with the slope {fit.slope_at(fit.origin).number}"
    yield f"{text} (χ²/dof = {fit.chi2:.1f}/{fit.dof}, p = {fit.p_value:.2g}; the degree with the smallest AICc)."


def _clausius_clapeyron(line: Line) -> Iterator[str]:
    along, over, check = line.map.along, line.map.over, line.clausius_clapeyron
    if not line.found:
        return
    no_factor = [axis.symbol for axis in (along, over) if not axis.multiplies]
    if no_factor:
        yield f"No energy is proportional to {' or '.join(no_factor)}: no test of Clausius–Clapeyron."
    elif check is None:
        yield (
            f"No test of Clausius–Clapeyron: fewer than two neighbouring points of the boundary have a jump of "
            f"dE/d{along.symbol} beyond three errors."
        )
    else:
        jumps = f"−Δ({over.multiplies}/{over.symbol})/Δ({along.multiplies}/{along.symbol})"
        worst = Quantity(check.largest, check.largest_error).number
        yield (
            f"Clausius–Clapeyron: the boundary {'does not agree' if check.p_value < 0.01 else 'agrees'} with the "
            f"integral of {jumps} (χ² = {check.chi2:.1f} for {check.dof} gaps, p = {check.p_value:.2g}; largest "
            f"deviation {worst} near {over.at(check.at)})."
        )


def _chance(line: Line) -> Iterator[str]:
    if line.found:
        count = len(line.points)
        yield (
            f"Each scan is judged alone: of scans without a transition at most {CHANCE:.0%} would be given one, up to "
            f"{count * CHANCE:.2g} of {count} by chance."
        )


def record(line: Line) -> dict[str, Any]:
    """The boundary as plain data; null for what the data do not show."""
    along, over = line.map.along, line.map.over
    check, fit = line.clausius_clapeyron, line.curve
    return {
        "source": line.map.source,
        "along": along.name,
        "over": over.name,
        "at": line.map.others,
        "boundary": [_entry(line, point) for point in line.points],
        "curve": None
        if fit is None
        else {
            "degree": len(fit.coefficients) - 1,
            "origin": fit.origin,
            "coefficients": fit.coefficients.tolist(),
            "covariance": fit.covariance.tolist(),
            "chi2": fit.chi2,
            "dof": fit.dof,
            "p_value": fit.p_value,
        },
        "no_curve": line.reason,
        "clausius_clapeyron": None if check is None else check._asdict(),
        "resamples": line.resamples,
        "seed": line.seed,
        "units": {axis.name: unit(axis) for axis in (along, over)},
        "evidence": sentences(line),
    }


def _entry(line: Line, point: Point) -> dict[str, Any]:
    along, over = line.map.along, line.map.over
    entry: dict[str, Any] = {
        over.name: point.value,
        f"{along.stem}_c": None if point.place is None else point.place.as_dict(),
        "reason": point.reason,
        "clausius_clapeyron_slope": None if point.slope is None else point.slope.as_dict(),
        "source": point.source,
    }
    scale = line.map.laboratory(over)
    if scale is not None:
        entry["laboratory"] = {over.name: scale.text(point.value)}
        depth = line.map.laboratory(along)
        if depth is not None and point.place is not None:
            entry["laboratory"][f"{along.stem}_c"] = {**converted(depth, point.place).as_dict(), "unit": depth.unit}
    return entry


def table(line: Line) -> list[list[str]]:
    """A row for each value of the second parameter, below a row of names."""
    along, over = line.map.along, line.map.over
    second, first = line.map.laboratory(over), line.map.laboratory(along)
    rows = [[over.symbol, f"{along.symbol}_c", f"d{along.symbol}_c/d{over.symbol} by Clausius–Clapeyron"]]
    if second is not None:
        rows[0].insert(1, second.symbol or second.unit)
    if first is not None:
        rows[0].insert(-1, f"{first.symbol} ({first.unit})" if first.unit else first.symbol)
    for point in line.points:
        place, slope = point.place, point.slope
        row = [f"{point.value:g}", "none" if place is None else place.number, "" if slope is None else slope.number]
        if second is not None:
            row.insert(1, f"{second.convert(point.value):.3g}")
        if first is not None:
            row.insert(-1, "" if place is None else converted(first, place).number)
        rows.append(row)
    return rows
