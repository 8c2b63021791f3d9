"""Lattices in figures: periodic functions on a rectangle, outlines of cells."""

from __future__ import annotations

import numpy as np

from qernel.lattice import lattice_points
from qernel.plots.style import FloatArray


def on_rectangle(
    n: FloatArray, A: FloatArray, box: tuple[float, float, float, float], pixels: int, origin: float = 0.0
) -> FloatArray:
    """The periodic function ``n`` interpolated linearly on a rectangle (left, right, bottom, top).

    Element ``[0, 0]`` of ``n`` belongs to the fractional coordinates (origin, origin) of the cell ``A``.
    """
    from scipy.ndimage import map_coordinates

    left, right, bottom, top = box
    size = (right - left) / pixels
    x = left + size * (np.arange(pixels) + 0.5)
    rows = max(1, round((top - bottom) / size))
    y = bottom + (top - bottom) / rows * (np.arange(rows) + 0.5)
    points = np.stack(np.meshgrid(x, y), axis=-1) @ np.linalg.inv(A)
    points = (points - origin) * n.shape
    result: FloatArray = map_coordinates(n, np.moveaxis(points, -1, 0), order=1, mode="grid-wrap")
    return result


def wigner_seitz_cell(a: FloatArray) -> FloatArray:
    """Closed outline ``[k, 2]`` of the Wigner-Seitz cell of the lattice ``a`` around the origin."""
    from scipy.spatial import Voronoi

    # Its sides belong to vectors no longer than |a_1| + |a_2|, however skew the basis is.
    cells = Voronoi(lattice_points(a, float(np.linalg.norm(a, axis=1).sum())))
    corners = cells.vertices[cells.regions[cells.point_region[0]]]
    corners = corners[np.argsort(np.arctan2(corners[:, 1], corners[:, 0]))]
    outline: FloatArray = np.concatenate([corners, corners[:1]])
    return outline


def wigner_seitz_outlines(a: FloatArray, frame: FloatArray) -> list[FloatArray]:
    """Closed outlines ``[k, 2]`` of the Wigner-Seitz cells that meet the rectangle with corners ``frame``."""
    outline = wigner_seitz_cell(a)
    radius = float(np.linalg.norm(outline, axis=1).max())
    span = frame @ np.linalg.inv(a)
    first, last = np.floor(span.min(0)).astype(int) - 1, np.ceil(span.max(0)).astype(int) + 1
    centres = np.stack(np.meshgrid(*(np.arange(i, j + 1) for i, j in zip(first, last, strict=True))), axis=-1)
    points = centres.reshape(-1, 2) @ a
    inside = np.all((points > frame.min(0) - radius) & (points < frame.max(0) + radius), axis=1)
    return [outline + point for point in points[inside]]


def clockwise(corners: FloatArray) -> bool:
    """Whether the parallelogram runs clockwise."""
    return bool(np.linalg.det(corners[1:3] - corners[0]) < 0)
