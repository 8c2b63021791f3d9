"""The two sides of a transition, continued to it: jumps of other curves, and where the energies cross."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qernel.lattice import FloatArray
from qernel.transition.polynomial import fitted
from qernel.transition.scan import Curve, Curves

NEIGHBOURS = 5
"""Points on each side from which the jump of a curve is extrapolated."""


class Step(NamedTuple):
    """What a curve does at a transition, from straight lines through the nearest points on both sides."""

    left: float
    right: float
    jump: float
    error: float


class Crossing(NamedTuple):
    """Where parabolas through the energy on both sides cross, its error, and the slopes of both there."""

    value: float
    error: float
    left: float
    right: float


def step_at(points: FloatArray, curve: Curve, place: float, place_error: float, margin: float = 0.0) -> Step | None:
    """The jump of a curve at a transition.

    Errors are widened by √(χ²/dof) of the lines where that is above 1, and hold what the place being off by its error
    would do to the extrapolation.

    Args:
        points: ``[n]``.
        curve: at these points.
        place: of the transition.
        place_error: its standard error.
        margin: around the place within which points belong to neither side: for a step that is rounded.

    Returns:
        None where a side has fewer than three points.
    """
    ends = []
    below, above = np.flatnonzero(points < place - margin), np.flatnonzero(points >= place + margin)
    for side in (below[-NEIGHBOURS:], above[:NEIGHBOURS]):
        if len(side) < 3:
            return None
        line = fitted(points[side], Curve(curve.values[side], curve.errors[side]), 1, place)
        ends.append((line.coefficients, line.covariance[0, 0]))
    (left, left_variance), (right, right_variance) = ends
    shift = (right[1] - left[1]) * place_error
    error = float(np.sqrt(left_variance + right_variance + shift**2))
    return Step(float(left[0]), float(right[0]), float(right[0] - left[0]), error)


def crossing(scan: Curves, place: float, width: float = 0.0) -> Crossing | None:
    """Where the total energies of the two phases cross: the first-order transition of the true ground states.

    A wavefunction that is smooth in the parameter, or was trained too little, can change phase somewhere else than its
    own energies say. Parabolas go through the `NEIGHBOURS` + 1 nearest points on each side, without those within a
    gap, or two widths, of ``place``.

    Args:
        scan: energies along a parameter.
        place: of the transition of the interaction energy.
        width: of its step.

    Returns:
        None where a side has fewer than five such points, or the parabolas do not cross between them.
    """
    points, margin = scan.points, max(2 * width, float(np.diff(scan.points).max()))
    branches = []
    for side in (np.flatnonzero(points < place - margin)[-NEIGHBOURS - 1 :], np.flatnonzero(points > place + margin)):
        side = side[: NEIGHBOURS + 1]
        if len(side) < NEIGHBOURS:
            return None
        parabola = fitted(points[side], Curve(scan.energy.values[side], scan.energy.errors[side]), 2, place)
        branches.append((parabola.coefficients, parabola.covariance, points[side[len(side) // 2]]))
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
