"""What else the same file says: Hellmann–Feynman, concavity, the jump of other curves, hysteresis."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats
from scipy.interpolate import CubicSpline

from qernel.lattice import FloatArray
from qernel.transition.scan import SWEEPS, Curve, Scan

NEIGHBOURS = 5
"""Points on each side from which the jump of a curve at λ_c is extrapolated."""


class HellmannFeynman(NamedTuple):
    """E(λ_b) − E(λ_a) against ∫ ⟨∂H/∂λ⟩ dλ over every gap between neighbouring λ, per electron in E0.

    The errors of the two sides are added as if independent, though both come from the same chains; the energy's is by
    far the smaller.
    """

    chi2: float
    dof: int
    p_value: float
    largest: float
    largest_error: float
    at: float


class Concavity(NamedTuple):
    """Second differences of E(λ), which are negative for ground states; ``worst`` is the largest in standard errors."""

    worst: float
    at: float
    violations: int
    tested: int


class Step(NamedTuple):
    """What a curve does at λ_c, from straight lines through the nearest points on both sides."""

    left: float
    right: float
    jump: float
    error: float


class Hysteresis(NamedTuple):
    """Chains carried up minus chains carried down in λ."""

    name: str
    chi2: float
    dof: int
    p_value: float
    largest: float
    largest_error: float
    at: float
    loop: tuple[float, float] | None


def slope(scan: Scan) -> tuple[FloatArray, Curve]:
    """λ and dE/dλ = V0⟨Σw⟩/N = moire/λ per electron, without λ = 0."""
    keep = np.abs(scan.lam) > 1e-9
    lam = scan.lam[keep]
    return lam, Curve(scan.moire.values[keep] / lam, scan.moire.errors[keep] / np.abs(lam))


def hellmann_feynman(scan: Scan, break_at: float | None = None) -> HellmannFeynman | None:
    """Compare the energies with the integral of their derivative, a cubic spline through moire/λ.

    Args:
        scan: energies along λ.
        break_at: a transition: the gap around it is left out and both sides have splines of their own.

    Returns:
        None where no side has four points.
    """
    lam, derivative = slope(scan)
    keep = np.abs(scan.lam) > 1e-9
    energy = Curve(scan.energy.values[keep], scan.energy.errors[keep])
    sides = [np.ones(len(lam), bool)] if break_at is None else [lam < break_at, lam >= break_at]
    parts = [_gaps(lam[s], *(Curve(c.values[s], c.errors[s]) for c in (energy, derivative)))
             for s in sides if s.sum() >= 4]  # fmt: skip
    if not parts:
        return None
    chi2 = sum(float(difference @ np.linalg.solve(covariance, difference)) for difference, covariance, _ in parts)
    difference, middles = (np.concatenate([part[i] for part in parts]) for i in (0, 2))
    error = np.sqrt(np.concatenate([np.diag(part[1]) for part in parts]))
    worst = int(np.argmax(np.abs(difference) / error))
    p_value = float(stats.chi2.sf(chi2, len(difference)))
    numbers = float(difference[worst]), float(error[worst]), float(middles[worst])
    return HellmannFeynman(chi2, len(difference), p_value, *numbers)


def _gaps(lam: FloatArray, energy: Curve, derivative: Curve) -> tuple[FloatArray, FloatArray, FloatArray]:
    """ΔE − ∫ in each gap ``[n − 1]``, the covariance of that, and the middles of the gaps."""
    # The integral of the spline is linear in its points: its columns are the integrals of unit vectors.
    primitive = CubicSpline(lam, np.eye(len(lam))).antiderivative()
    integrals = np.diff(primitive(lam), axis=0)
    differences = np.diff(np.eye(len(lam)), axis=0)
    covariance = (differences * energy.errors**2) @ differences.T + (integrals * derivative.errors**2) @ integrals.T
    return differences @ energy.values - integrals @ derivative.values, covariance, 0.5 * (lam[1:] + lam[:-1])


def concavity(scan: Scan) -> Concavity:
    """Second divided differences of E(λ) at every inner λ, in units of their errors."""
    a, b, c = scan.lam[:-2], scan.lam[1:-1], scan.lam[2:]
    weights = np.stack([1 / ((b - a) * (c - a)), -1 / ((b - a) * (c - b)), 1 / ((c - b) * (c - a))])
    E, dE = scan.energy
    second = weights[0] * E[:-2] + weights[1] * E[1:-1] + weights[2] * E[2:]
    error = np.sqrt((weights[0] * dE[:-2]) ** 2 + (weights[1] * dE[1:-1]) ** 2 + (weights[2] * dE[2:]) ** 2)
    z = second / error
    worst = int(np.argmax(z))
    # With as many tests as points, one at three standard errors is an event of a few percent.
    return Concavity(float(z[worst]), float(b[worst]), int(np.sum(z > 3.0)), len(z))


def step_at(lam: FloatArray, curve: Curve, place: float, place_error: float) -> Step | None:
    """The jump of a curve at λ_c.

    Errors are widened by √(χ²/dof) of the lines where that is above 1, and hold what λ_c being off by its error would
    do to the extrapolation.

    Returns:
        None where a side has fewer than three points.
    """
    ends = []
    for side in (np.flatnonzero(lam < place)[-NEIGHBOURS:], np.flatnonzero(lam >= place)[:NEIGHBOURS]):
        if len(side) < 3:
            return None
        A = np.stack([np.ones(len(side)), lam[side] - place], axis=1) / curve.errors[side, None]
        target = curve.values[side] / curve.errors[side]
        solved = np.linalg.lstsq(A, target, rcond=None)[0]
        reduced = float(((target - A @ solved) ** 2).sum()) / (len(side) - 2)
        ends.append((solved, np.linalg.inv(A.T @ A)[0, 0] * max(1.0, reduced)))
    (left, left_variance), (right, right_variance) = ends
    shift = (right[1] - left[1]) * place_error
    error = float(np.sqrt(left_variance + right_variance + shift**2))
    return Step(float(left[0]), float(right[0]), float(right[0] - left[0]), error)


def hysteresis(scan: Scan) -> list[Hysteresis]:
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
                result.append(_loop(name, scan.lam[keep], difference[keep], error[keep]))
    return result


def _loop(name: str, lam: FloatArray, difference: FloatArray, error: FloatArray) -> Hysteresis:
    z = difference / error
    worst = int(np.argmax(np.abs(z)))
    # The bar at which one of n differences lies by chance in one scan of a hundred.
    bar = stats.norm.isf(0.005 / len(z))
    apart = lam[np.abs(z) > bar]
    loop = (float(apart.min()), float(apart.max())) if apart.size else None
    chi2 = float((z**2).sum())
    p_value = float(stats.chi2.sf(chi2, len(z)))
    numbers = float(difference[worst]), float(error[worst]), float(lam[worst])
    return Hysteresis(name, chi2, len(z), p_value, *numbers, loop)
