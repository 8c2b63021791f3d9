"""How far two densities are apart, free of the bias that noise gives to a distance.

Densities are folded into one moiré cell: the registries of a crystal are equivalent, and which of them a model prefers
says nothing about its accuracy.
"""

from __future__ import annotations

import numpy as np

from qernel.lattice import FloatArray, Supercell
from qernel.observables.grids import cell_index, counts

GRID = 12
"""Parts of the moiré cell along each of its vectors."""


def folded(positions: FloatArray, cell: Supercell, grid: int = GRID) -> FloatArray:
    """The density of every chain on a grid of the moiré cell, ``[chains, grid, grid]`` in electrons per a_M².

    Args:
        positions: ``[chains, samples, N, 2]`` in a_M.
        cell: the supercell.
        grid: parts along each moiré vector.
    """
    index = cell_index(positions, cell.primitive, grid)
    mean = counts(index, grid * grid, [slice(None)])[:, 0]
    return mean.reshape(-1, grid, grid) * grid * grid / cell.area


def squared_difference(first: FloatArray, second: FloatArray) -> tuple[float, float]:
    """⟨(n − n')²⟩/n̄² over the cell, with n̄ the mean of n', and its standard error.

    The square of a mean over chains contains the noise of each chain squared. Here every product takes two different
    chains, which are independent, so that the estimate has no bias (and may be negative); the error is a jackknife
    over chains.

    Args:
        first: densities of chains ``[C, g, g]``.
        second: of the other model, ``[C, g, g]``.

    Raises:
        ValueError: for fewer than three chains, or different shapes.
    """
    if first.shape != second.shape or len(first) < 3:
        raise ValueError(f"densities have shapes {first.shape} and {second.shape}: alike, of at least three chains")
    chains = len(first)
    difference = (first - second).reshape(chains, -1)
    scale = difference.shape[1] * second.mean() ** 2
    total = difference.sum(0)
    squares = (difference**2).sum(1)

    def between(sums: FloatArray, own: FloatArray, count: int) -> FloatArray:
        return np.asarray(((sums**2).sum(-1) - own) / (count * (count - 1)) / scale)

    value = float(between(total, squares.sum(), chains))
    left_out = between(total - difference, squares.sum() - squares, chains - 1)
    error = np.sqrt((chains - 1) / chains * ((left_out - left_out.mean()) ** 2).sum())
    return value, float(error)
