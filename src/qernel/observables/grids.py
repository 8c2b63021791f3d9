"""Counting electrons on the grid of a cell, and grids as coordinates."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from qernel.lattice import FloatArray
from qernel.observables.base import Coordinate


def cell_index(positions: FloatArray, vectors: FloatArray, grid: int, origin: float = 0.0) -> npt.NDArray[np.int64]:
    """Which of the ``grid × grid`` parts of a cell each position lies in, ``[...]``.

    Args:
        positions: ``[..., 2]`` in a_M; folded into the cell.
        vectors: cell vectors as rows ``[2, 2]``.
        grid: parts along each vector.
        origin: fractional coordinate at which the cell begins: 0, or −½ for a cell around the origin.
    """
    fractions = (positions @ np.linalg.inv(vectors) - origin) % 1.0
    parts = np.minimum((fractions * grid).astype(np.int64), grid - 1)
    return parts[..., 0] * grid + parts[..., 1]


def counts(index: npt.NDArray[np.int64], bins: int, stretches: list[slice]) -> FloatArray:
    """Entries in each bin per record, averaged over stretches of records.

    Args:
        index: ``[chains, samples, ...]`` with values from 0 to ``bins``, ``bins`` itself meaning none.
        bins: how many there are.
        stretches: records of a chain that are averaged.

    Returns:
        ``[chains, stretches, bins]``.
    """
    result = np.empty((len(index), len(stretches), bins))
    for chain, row in enumerate(index):
        for number, records in enumerate(stretches):
            part = row[records]
            result[chain, number] = np.bincount(part.ravel(), minlength=bins + 1)[:bins] / len(part)
    return result


def grid_coordinates(
    prefix: str, vectors: FloatArray, grid: int, what: str, origin: float = 0.0
) -> tuple[tuple[str, str], list[Coordinate]]:
    """Axes and coordinates of a grid on a cell: fractional along the axes, x and y in a_M for every point.

    Args:
        prefix: of the axes' names.
        vectors: cell vectors as rows ``[2, 2]``.
        grid: points along each.
        what: the cell, in words.
        origin: fractional coordinate at which the cell begins.
    """
    first, second = f"{prefix}1", f"{prefix}2"
    middles = origin + (np.arange(grid) + 0.5) / grid
    points = np.stack(np.meshgrid(middles, middles, indexing="ij"), axis=-1) @ vectors
    axes = (first, second)
    return axes, [
        Coordinate(first, (first,), middles, "1", f"fractional coordinate along the first vector of {what}"),
        Coordinate(second, (second,), middles, "1", f"fractional coordinate along the second vector of {what}"),
        Coordinate(f"{prefix}x", axes, points[..., 0], "a_M", f"x on the grid of {what}"),
        Coordinate(f"{prefix}y", axes, points[..., 1], "a_M", f"y on the grid of {what}"),
    ]
