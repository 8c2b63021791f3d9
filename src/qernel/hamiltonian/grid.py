"""Grids of points of a family, and the way through them for what is followed from one point to the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np


def steps(shape: Sequence[int], start: int = 0) -> Iterator[tuple[int, int]]:
    """The way from one point of a grid to all others, from neighbour to neighbour.

    λ, the first axis, changes last: what is followed goes through all λ for every combination of the other parameters,
    so that it depends on these smoothly as well.

    Args:
        shape: number of points along each axis; points are counted with the last axis fastest.
        start: where the way begins.

    Yields:
        (point, the neighbour it is reached from), the neighbour before the point.
    """
    origin = np.array(np.unravel_index(start, shape))
    grid = np.stack(np.unravel_index(np.arange(np.prod(shape)), shape), axis=-1)
    distance = np.abs(grid - origin)
    # By the distance in λ, then by those in the others.
    for point in np.lexsort((*distance[:, 1:].T, distance[:, 0])).tolist():
        apart = np.flatnonzero(distance[point])
        if len(apart):
            before = grid[point].copy()
            before[apart[0]] -= np.sign(grid[point] - origin)[apart[0]]
            yield point, int(np.ravel_multi_index(tuple(before), shape))
