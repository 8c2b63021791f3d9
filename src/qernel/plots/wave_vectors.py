"""Functions of the wave vector in the plane, with the moiré Brillouin zones drawn on top."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from qernel.plots.lattice import wigner_seitz_cell, wigner_seitz_outlines
from qernel.plots.style import INK, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_wave_vectors(
    axes: Axes,
    q: npt.ArrayLike,
    values: npt.ArrayLike,
    supercell: npt.ArrayLike,
    moire: npt.ArrayLike,
    *,
    label: str,
    title: str = "",
) -> None:
    """A value at every wave vector: each fills its Wigner–Seitz cell of the supercell's reciprocal lattice.

    Args:
        axes: drawn into.
        q: wave vectors of the supercell ``[n, 2]`` in 1/a_M.
        values: ``[n]``.
        supercell: reciprocal vectors of the supercell as rows ``[2, 2]``.
        moire: reciprocal vectors of the moiré lattice as rows ``[2, 2]``; their Brillouin zones are outlined.
        label: of the colour scale.
        title: what the figure shows, for instance λ.
    """
    points, heights = np.asarray(q, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if points.shape != (heights.size, 2) or heights.size == 0:
        raise ValueError(f"q has shape {points.shape} and values {heights.shape}: expected [n, 2] and [n]")
    step, zone = np.asarray(supercell, dtype=np.float64), np.asarray(moire, dtype=np.float64)
    reach = 1.08 * float(np.abs(points).max()) + 0.5 * float(np.linalg.norm(step[0]))
    frame = reach * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    tile = wigner_seitz_cell(step)
    with style():
        from matplotlib.collections import LineCollection, PolyCollection

        tiles = PolyCollection([tile + point for point in points], cmap="YlGnBu", edgecolors="face", linewidths=0.3)
        tiles.set_array(heights)
        tiles.set_clim(min(0.0, float(heights.min())), float(heights.max()) or 1.0)
        axes.add_collection(tiles)
        outlines = wigner_seitz_outlines(zone, frame)
        axes.add_collection(LineCollection(outlines, colors=INK, linewidths=0.6, alpha=0.5))
        axes.set_xlim(-reach, reach)
        axes.set_ylim(-reach, reach)
        axes.set_aspect("equal")
        axes.set_xlabel("$q_x$  ($1/a_M$)")
        axes.set_ylabel("$q_y$  ($1/a_M$)")
        axes.set_title(title)
        bar = axes.figure.colorbar(tiles, ax=axes, pad=0.02, aspect=26)
        bar.set_label(label)
        bar.outline.set_linewidth(0.0)
