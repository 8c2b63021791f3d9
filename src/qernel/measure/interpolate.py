"""Numbers between two points at which they were measured, with the errors that this makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from qernel.lattice import FloatArray

POINTS = 4
"""Most points that a polynomial goes through: a cubic."""

FEWEST = 3
"""With fewer there is nothing to judge the polynomial by."""


class Between(NamedTuple):
    """Weights of measured numbers in one between them.

    Attributes:
        used: indices of the points.
        weights: of the polynomial through them ``[n]``.
        lower: of the one of one degree less, through the nearest of them; 0 where it has none.
    """

    used: tuple[int, ...]
    weights: FloatArray
    lower: FloatArray

    def of(self, values: FloatArray, errors: FloatArray, *, alike: bool = False) -> tuple[float, float]:
        """The number and its standard error: of the noise, and of the polynomial, by its difference to the lower one.

        Args:
            values: measured, at all points.
            errors: one standard error of each, independent of each other.
            alike: whether errors may have one sign: they are added as they are then, not their squares.
        """
        chosen = list(self.used)
        y, e = np.asarray(values, np.float64)[chosen], np.asarray(errors, np.float64)[chosen]
        parts = np.abs(self.weights * e)
        noise = float(parts.sum() if alike else np.sqrt(np.sum(parts**2)))
        return float(self.weights @ y), float(np.hypot(noise, (self.weights - self.lower) @ y))


def between(x: FloatArray, value: float, words: Sequence[str]) -> Between | None:
    """How a number at ``value`` follows from those at points around it.

    Only points of the phase of both neighbours count, without another phase on the way: a polynomial knows nothing of
    a transition. None where the neighbours are in different phases, or fewer than `FEWEST` points are left.

    Args:
        x: the points, increasing ``[n]``.
        value: between the first and the last.
        words: the phase at each ``[n]``; empty where a point is not to be used.

    >>> between(np.array([0.0, 1.0, 2.0]), 0.5, ["liquid", "liquid", "crystal"]) is None
    True
    """
    right = int(np.searchsorted(x, value))
    if not 0 < right < len(x) or words[right] != words[right - 1] or not words[right]:
        return None
    first, last = right - 1, right
    while first > 0 and words[first - 1] == words[right]:
        first -= 1
    while last < len(x) - 1 and words[last + 1] == words[right]:
        last += 1
    near = sorted(range(first, last + 1), key=lambda index: (abs(float(x[index]) - value), index))[:POINTS]
    if len(near) < FEWEST:
        return None
    lower = np.append(_lagrange(x[near[:-1]], value), 0.0)
    return Between(tuple(near), _lagrange(x[near], value), lower)


def _lagrange(x: FloatArray, value: float) -> FloatArray:
    """Weights ``[n]`` of the values at ``x`` in the polynomial through them, at ``value``."""
    weights = np.ones(len(x))
    for i, here in enumerate(x):
        for j, other in enumerate(x):
            if i != j:
                weights[i] *= (value - other) / (here - other)
    return weights
