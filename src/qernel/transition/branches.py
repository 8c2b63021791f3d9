"""The two sides of a transition, continued to it: jumps of other curves, and where the energies cross."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qernel.lattice import FloatArray
from qernel.transition.polynomial import fitted
from qernel.transition.scan import Curve, Scan

NEIGHBOURS = 5
"""Points on each side from which the jump of a curve at λ_c is extrapolated."""


class Step(NamedTuple):
    """What a curve does at λ_c, from straight lines through the nearest points on both sides."""

    left: float
    right: float
    jump: float
    error: float


class Crossing(NamedTuple):
    """λ at which parabolas through E(λ) on both sides cross, its error, and dE/dλ of both there."""

    value: float
    error: float
    left: float
    right: float


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
        line = fitted(lam[side], Curve(curve.values[side], curve.errors[side]), 1, place)
        ends.append((line.coefficients, line.covariance[0, 0]))
    (left, left_variance), (right, right_variance) = ends
    shift = (right[1] - left[1]) * place_error
    error = float(np.sqrt(left_variance + right_variance + shift**2))
    return Step(float(left[0]), float(right[0]), float(right[0] - left[0]), error)


def crossing(scan: Scan, place: float, width: float = 0.0) -> Crossing | None:
    """Where the total energies of the two phases cross: the first-order transition of the true ground states.

    A wavefunction that is smooth in λ, or was trained too little, can change phase somewhere else than its own energies
    say. Parabolas go through the `NEIGHBOURS` + 1 nearest λ on each side, without those within a gap, or two widths,
    of ``place``.

    Args:
        scan: energies along λ.
        place: λ_c of the interaction energy.
        width: of its step.

    Returns:
        None where a side has fewer than five such points, or the parabolas do not cross between them.
    """
    lam, margin = scan.lam, max(2 * width, float(np.diff(scan.lam).max()))
    branches = []
    for side in (np.flatnonzero(lam < place - margin)[-NEIGHBOURS - 1 :], np.flatnonzero(lam > place + margin)):
        side = side[: NEIGHBOURS + 1]
        if len(side) < NEIGHBOURS:
            return None
        parabola = fitted(lam[side], Curve(scan.energy.values[side], scan.energy.errors[side]), 2, place)
        branches.append((parabola.coefficients, parabola.covariance, lam[side[len(side) // 2]]))
    (left, left_covariance, low), (right, right_covariance, high) = branches
    roots = np.polynomial.polynomial.polyroots(left - right)
    real = [float(root.real) for root in roots if abs(root.imag) < 1e-9 and low < place + root.real < high]
    if not real:
        return None
    u = min(real, key=abs)
    powers = u ** np.arange(3)
    slopes = [float(one[1] + 2 * one[2] * u) for one in (left, right)]
    error = float(np.sqrt(powers @ (left_covariance + right_covariance) @ powers)) / abs(slopes[1] - slopes[0])
    return Crossing(place + u, error, *slopes)
