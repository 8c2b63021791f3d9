"""What else the same file says: Hellmann–Feynman, concavity, hysteresis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats
from scipy.interpolate import CubicSpline

from qernel.lattice import FloatArray
from qernel.transition.scan import SWEEPS, Curve, Curves


class Agreement(NamedTuple):
    """Differences between neighbouring points against the integral of a derivative over every gap between them.

    The errors of the two sides are added as if independent, though both come from the same chains.

    Attributes:
        chi2: of all gaps together, with their covariance.
        dof: gaps.
        p_value: how often χ² would be larger by chance.
        largest: the deviation that is largest in its errors.
        largest_error: its error.
        at: the middle of its gap.
    """

    chi2: float
    dof: int
    p_value: float
    largest: float
    largest_error: float
    at: float


class Concavity(NamedTuple):
    """Second differences of the energy, negative for ground states; ``worst`` is the largest in standard errors."""

    worst: float
    at: float
    violations: int
    tested: int


class Hysteresis(NamedTuple):
    """Chains carried up minus chains carried down."""

    name: str
    chi2: float
    dof: int
    p_value: float
    largest: float
    largest_error: float
    at: float
    loop: tuple[float, float] | None


def hellmann_feynman(scan: Curves, break_at: float | None = None) -> Agreement | None:
    """Compare the energies with the integral of their derivative, a cubic spline through ⟨∂H/∂p⟩ (`Curves.slope`).

    Args:
        scan: energies along a parameter.
        break_at: a transition: the gap around it is left out and both sides have splines of their own.

    Returns:
        None where no side has four points, or no energy is linear in the parameter.
    """
    known = scan.slope()
    if known is None:
        return None
    points, derivative = known
    energy = scan.energy.only(np.isin(scan.points, points))
    sides = [np.ones(len(points), bool)] if break_at is None else [points < break_at, points >= break_at]
    return against_integral([(points[s], energy.only(s), derivative.only(s)) for s in sides if s.sum() >= 4])


def against_integral(parts: Sequence[tuple[FloatArray, Curve, Curve]]) -> Agreement | None:
    """A curve against the integral of the cubic spline through its derivative.

    Args:
        parts: x ``[n]``, the curve and its derivative, each of which has a spline of its own.

    Returns:
        None where there are none.
    """
    gaps = [_gaps(*part) for part in parts]
    if not gaps:
        return None
    chi2 = sum(float(difference @ np.linalg.solve(covariance, difference)) for difference, covariance, _ in gaps)
    difference, middles = (np.concatenate([gap[i] for gap in gaps]) for i in (0, 2))
    error = np.sqrt(np.concatenate([np.diag(gap[1]) for gap in gaps]))
    worst = int(np.argmax(np.abs(difference) / error))
    p_value = float(stats.chi2.sf(chi2, len(difference)))
    numbers = float(difference[worst]), float(error[worst]), float(middles[worst])
    return Agreement(chi2, len(difference), p_value, *numbers)


def _gaps(x: FloatArray, curve: Curve, derivative: Curve) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Δ − ∫ in each gap ``[n − 1]``, the covariance of that, and the middles of the gaps."""
    # The integral of the spline is linear in its points: its columns are the integrals of unit vectors.
    primitive = CubicSpline(x, np.eye(len(x))).antiderivative()
    integrals = np.diff(primitive(x), axis=0)
    differences = np.diff(np.eye(len(x)), axis=0)
    covariance = (differences * curve.errors**2) @ differences.T + (integrals * derivative.errors**2) @ integrals.T
    return differences @ curve.values - integrals @ derivative.values, covariance, 0.5 * (x[1:] + x[:-1])


def concavity(scan: Curves) -> Concavity | None:
    """Second divided differences of the energy at every inner point, in units of their errors.

    Returns:
        None where H is not linear in the parameter, so that energies of ground states need not be concave.
    """
    if not scan.axis.multiplies:
        return None
    a, b, c = scan.points[:-2], scan.points[1:-1], scan.points[2:]
    weights = np.stack([1 / ((b - a) * (c - a)), -1 / ((b - a) * (c - b)), 1 / ((c - b) * (c - a))])
    E, dE = scan.energy
    second = weights[0] * E[:-2] + weights[1] * E[1:-1] + weights[2] * E[2:]
    error = np.sqrt((weights[0] * dE[:-2]) ** 2 + (weights[1] * dE[1:-1]) ** 2 + (weights[2] * dE[2:]) ** 2)
    z = second / error
    worst = int(np.argmax(z))
    # With as many tests as points, one at three standard errors is an event of a few percent.
    return Concavity(float(z[worst]), float(b[worst]), int(np.sum(z > 3.0)), len(z))


def hysteresis(scan: Curves) -> list[Hysteresis]:
    """Energy, interaction energy and order parameter of the two directions; empty where there are not both."""
    if not all(sweep in scan.sweeps for sweep in SWEEPS):
        return []
    up, down = (scan.sweeps[sweep] for sweep in SWEEPS)
    result = []
    for name in ("energy", "interaction", "order_parameter"):
        if name in up and name in down:
            difference = up[name].values - down[name].values
            error = np.hypot(up[name].errors, down[name].errors)
            keep = error > 0
            if keep.any():
                result.append(_loop(name, scan.points[keep], difference[keep], error[keep]))
    return result


def _loop(name: str, points: FloatArray, difference: FloatArray, error: FloatArray) -> Hysteresis:
    z = difference / error
    worst = int(np.argmax(np.abs(z)))
    # The bar at which one of n differences lies by chance in one scan of a hundred.
    bar = stats.norm.isf(0.005 / len(z))
    apart = points[np.abs(z) > bar]
    loop = (float(apart.min()), float(apart.max())) if apart.size else None
    chi2 = float((z**2).sum())
    p_value = float(stats.chi2.sf(chi2, len(z)))
    numbers = float(difference[worst]), float(error[worst]), float(points[worst])
    return Hysteresis(name, chi2, len(z), p_value, *numbers, loop)
