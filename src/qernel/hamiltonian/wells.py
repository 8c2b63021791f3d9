"""Where a periodic potential is lowest: its minima inside one moiré cell."""

from __future__ import annotations

from typing import Any

import numpy as np

from qernel.lattice import FloatArray, Integers, Supercell

_GRID = 48
"""Points along each moiré vector at which minima are looked for."""

_STEPS = 30
"""Newton steps that refine one: it starts at most half a grid step away."""

_DIGITS = 9
"""Depths in E0 are compared in so many digits: the order of equal ones is that of the grid."""


Levels = tuple[FloatArray, ...]
"""Places inside one moiré cell ``[m, 2]`` in a_M, those of one depth together, the deepest first."""


def minima(waves: Integers, amplitudes: Any, cell: Supercell) -> Levels:
    """Local minima of V(r) = Σ c exp(i G·r).

    Args:
        waves: G in reciprocal vectors of the moiré lattice ``[n, 2]``.
        amplitudes: c in E0 ``[n]``.
        cell: gives the moiré lattice.

    Returns:
        At least one level; of a valley without a lowest place, and of a constant, one place stands for all.
    """
    waves, c = np.asarray(waves), np.asarray(amplitudes, dtype=complex)

    def depth(turns: FloatArray) -> FloatArray:
        result: FloatArray = np.round((np.exp(2j * np.pi * turns @ waves.T) @ c).real, _DIGITS)
        return result

    turns = np.stack(np.meshgrid(np.arange(_GRID), np.arange(_GRID), indexing="ij"), axis=-1) / _GRID
    grid = depth(turns)
    if np.ptp(grid) == 0.0:
        return (np.zeros((1, 2)),)
    around = [np.roll(grid, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
    found: list[FloatArray] = []
    for start in turns[np.all([grid <= other for other in around], axis=0)]:
        place = _refined(start, waves, c)
        # From every known minimum to this one in a straight line: a way without a rise is one valley.
        ways = [other + along * (place - other - np.rint(place - other)) for other in found for along in _WAY]
        if not found or (np.ptp(depth(np.array(ways)).reshape(len(found), -1), axis=1) > 0).all():
            found.append(place)
    depths, places = depth(np.array(found)), (np.array(found) % 1.0) @ cell.primitive
    return tuple(places[depths == value] for value in np.unique(depths))


_WAY = np.linspace(0.0, 1.0, 9)


def _refined(place: FloatArray, waves: Integers, c: Any) -> FloatArray:
    """A stationary point near a grid point, in turns: Newton's method where the potential bends upwards."""
    start = place
    for _ in range(_STEPS):
        terms = c * np.exp(2j * np.pi * waves @ place)
        gradient = (2j * np.pi * terms @ waves).real
        curvature = -4 * np.pi**2 * np.einsum("n,ni,nj->ij", terms.real, waves, waves)
        bends, directions = np.linalg.eigh(curvature)
        stiff = bends > 1e-9 * np.abs(bends).max()
        step = (directions[:, stiff] / bends[stiff]) @ (directions[:, stiff].T @ gradient)
        if np.abs(place - step - start).max() > 1.0 / _GRID:
            return start
        place = place - step
        if np.abs(step).max(initial=0.0) < 1e-13:
            break
    return place
