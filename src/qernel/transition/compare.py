"""Which curve describes a scan: information criteria, how often chance would do as well, errors by bootstrap.

With n points, k free numbers and χ² of a fit, up to a constant that all curves share,

    AICc = χ²/s + 2k + 2k(k + 1)/(n − k − 1)        BIC = χ²/s + k ln n

where s ≥ 1 is the smallest χ² per degree of freedom of all curves: where not even the best of them fits, error bars are
taken to be too small for all alike (Burnham and Anderson, Model Selection and Multimodel Inference, §2.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from qernel.lattice import FloatArray
from qernel.transition.candidates import DEGREES, PARAMETERS, TRANSITIONS, Fit, fit

SMOOTH = tuple(f"smooth{degree}" for degree in DEGREES)
_ONE_SIGMA = (15.8655, 84.1345)


class Candidate(NamedTuple):
    """A fitted curve and how it compares; criteria are relative to nothing, only differences matter."""

    model: str
    fit: Fit
    parameters: int
    dof: int
    chi2: float
    p_value: float
    aicc: float
    bic: float


class Errors(NamedTuple):
    """One standard error each (half of the central 68%) and the central 95% of the place."""

    place: float
    left: float
    right: float
    jump: float
    width: float
    interval: tuple[float, float]


def usable(points: int) -> list[str]:
    """The curves that so many points can be compared by: AICc needs n > k + 1."""
    return [model for model, count in PARAMETERS.items() if points > count + 1]


def candidates(x: FloatArray, errors: FloatArray, data: FloatArray) -> tuple[list[Candidate], float]:
    """All curves fitted to one data set, best AICc first, and s."""
    models = usable(len(x))
    fits = {model: fit(model, x, errors, data) for model in models}
    aicc, bic, scale = _criteria(len(x), {model: found.chi2 for model, found in fits.items()})
    result = []
    for model in models:
        dof, chi2 = len(x) - PARAMETERS[model], float(fits[model].chi2[0])
        p_value = float(stats.chi2.sf(chi2, dof))
        criteria = float(aicc[model][0]), float(bic[model][0])
        result.append(Candidate(model, fits[model], PARAMETERS[model], dof, chi2, p_value, *criteria))
    return sorted(result, key=lambda candidate: candidate.aicc), float(scale[0])


def first(ranking: Sequence[Candidate], models: Sequence[str]) -> Candidate | None:
    """The best of some kinds of curves."""
    return next((candidate for candidate in ranking if candidate.model in models), None)


def false_alarm(
    x: FloatArray, errors: FloatArray, null: Candidate, lead: float, *, scale: float, resamples: int, seed: int
) -> float:
    """How often data from a smooth curve would favour a transition by as much as these data do.

    The places that are searched for a transition count as one free number in AICc; that this is enough is not taken
    on trust. Data sets are drawn from the smooth curve and go through the whole comparison.

    Args:
        x: ``[n]``.
        errors: standard errors ``[n]``.
        null: the best smooth curve.
        lead: AICc of the best smooth curve minus that of the best transition.
        scale: s of the comparison: noise is √s times the errors, no more than the curve that fits best asks for.
        resamples: number of data sets R.
        seed: of their noise.

    Returns:
        (1 + number that lead by as much)/(1 + R).
    """
    rng = np.random.default_rng([seed, 1])
    noise = errors * np.sqrt(scale)
    data = null.fit.curve(x) + noise * rng.normal(size=(resamples, len(x)))
    aicc, _, _ = _criteria(len(x), {model: fit(model, x, errors, data).chi2 for model in usable(len(x))})
    transitions = np.min([aicc[model] for model in TRANSITIONS if model in aicc], axis=0)
    leads = np.min([aicc[model] for model in SMOOTH if model in aicc], axis=0) - transitions
    return float((1 + np.sum(leads >= lead)) / (1 + resamples))


def bootstrap(x: FloatArray, errors: FloatArray, chosen: Candidate, *, resamples: int, seed: int) -> Errors:
    """Errors of a fitted transition from data sets drawn from it, each fitted again.

    Error bars are widened by √(χ²/dof) where that is above 1. A jump between two neighbouring points can be anywhere in
    the gap: its place is drawn evenly from the gap that each fit finds. So is that of a step narrower than half a gap.
    """
    rng = np.random.default_rng([seed, 2])
    noise = errors * np.sqrt(max(1.0, chosen.chi2 / chosen.dof))
    data = chosen.fit.curve(x) + noise * rng.normal(size=(resamples, len(x)))
    again = fit(chosen.model, x, errors, data)
    gap = np.clip(np.searchsorted(x, again.place), 1, len(x) - 1)
    anywhere = rng.uniform(x[gap - 1], x[gap])
    unresolved = (chosen.model != "kink") & (again.width < 0.5 * (x[gap] - x[gap - 1]))
    place = np.where(unresolved, anywhere, again.place)
    low, high = np.percentile(place, [2.5, 97.5])
    place_error, left, right, jump, width = (
        _half(values) for values in (place, again.left, again.right, again.jump, again.width)
    )
    return Errors(place_error, left, right, jump, width, (float(low), float(high)))


def _half(values: FloatArray) -> float:
    low, high = np.percentile(values, _ONE_SIGMA)
    return float(high - low) / 2


def penalty(parameters: int, points: int) -> float:
    """What AICc adds to χ² for a curve with so many free numbers."""
    return 2 * parameters * points / (points - parameters - 1)


def _criteria(
    points: int, chi2: dict[str, FloatArray]
) -> tuple[dict[str, FloatArray], dict[str, FloatArray], FloatArray]:
    """AICc and BIC of each model and the common s, for B data sets ``[B]``."""
    reduced = {model: values / (points - PARAMETERS[model]) for model, values in chi2.items()}
    # One or two degrees of freedom say next to nothing about the size of the errors.
    judges = [values for model, values in reduced.items() if points - PARAMETERS[model] >= 3] or list(reduced.values())
    scale = np.maximum(1.0, np.min(judges, axis=0))
    aicc, bic = {}, {}
    for model, values in chi2.items():
        k = PARAMETERS[model]
        aicc[model] = values / scale + penalty(k, points)
        bic[model] = values / scale + k * np.log(points)
    return aicc, bic, scale
