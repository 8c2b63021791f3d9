"""Maps in the plane: the density, and other functions on the supercell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from qernel.plots.lattice import clockwise, on_rectangle, wigner_seitz_cell, wigner_seitz_outlines
from qernel.plots.style import INK, figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.path import Path as Outline


DENSITY = "density  (electrons per $a_M^2$)"


def density_map(
    density: npt.ArrayLike,
    vectors: npt.ArrayLike,
    primitive: npt.ArrayLike,
    *,
    origin: float = 0.0,
    label: str = DENSITY,
    title: str = "",
) -> Figure:
    """The electron density in the plane, with the moiré cells and the supercell drawn on top.

    The supercell is shown in full colour, its periodic images around it faded. Moiré cells are the
    Wigner-Seitz cells around the lattice points, where the moiré potential is centred.

    Args:
        density: electrons per a_M² on the fractional grid of the supercell, ``[nx, ny]``; element
            ``[i, j]`` belongs to r = (o + i/nx) A_1 + (o + j/ny) A_2 with o the ``origin``.
        vectors: supercell vectors A_1, A_2 as rows ``[2, 2]``, in a_M.
        primitive: moiré lattice vectors a_1, a_2 as rows ``[2, 2]``, in a_M.
        origin: fractional coordinates of element ``[0, 0]``: half a step where elements are averages over parts.
        label: of the colour scale, for other functions on the supercell.
        title: what the figure shows, for instance λ.
    """
    with style():
        fig: Figure = figure(*figure_size(vectors, primitive), layout="compressed")
        draw_density(fig.subplots(), density, vectors, primitive, origin=origin, label=label, title=title)
    return fig


def figure_size(vectors: npt.ArrayLike, primitive: npt.ArrayLike, *, centred: bool = False) -> tuple[float, float]:
    """Width and height of a figure with one map, in inches."""
    (left, right), (bottom, top) = extent(vectors, primitive, centred=centred)
    aspect = (top - bottom) / (right - left)
    width = 4.2 if aspect < 1.2 else 3.0
    return width + 1.3, width * aspect + 0.6


def extent(
    vectors: npt.ArrayLike, primitive: npt.ArrayLike, *, centred: bool = False
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The part of the plane that is shown, along x and along y, in a_M: the supercell and some of its images."""
    corners = _corners(vectors, primitive, centred)
    margin = 0.45 * float(np.linalg.norm(np.asarray(primitive)[0]))
    (left, bottom), (right, top) = corners.min(0) - margin, corners.max(0) + margin
    return (float(left), float(right)), (float(bottom), float(top))


def draw_density(
    axes: Axes,
    density: npt.ArrayLike,
    vectors: npt.ArrayLike,
    primitive: npt.ArrayLike,
    *,
    origin: float = 0.0,
    label: str = DENSITY,
    title: str = "",
    centred: bool = False,
) -> None:
    """`density_map` inside given axes, with a colour scale of its own beside them.

    A function of a displacement is ``centred``: around zero, which is marked, in the Wigner–Seitz cell of the
    supercell, without the cells of the moiré potential, which say nothing about displacements.
    """
    n = np.asarray(density, dtype=np.float64)
    if n.ndim != 2 or n.size == 0:
        raise ValueError(f"density has shape {n.shape}: expected [nx, ny] on the grid of the supercell")
    corners = _corners(vectors, primitive, centred)
    (left, right), (bottom, top) = extent(vectors, primitive, centred=centred)
    A, a = np.asarray(vectors, dtype=np.float64), np.asarray(primitive, dtype=np.float64)
    with style():
        from matplotlib.collections import LineCollection
        from matplotlib.patches import PathPatch, Polygon

        image = axes.imshow(
            on_rectangle(n, A, (left, right, bottom, top), pixels=600, origin=origin),
            extent=(left, right, bottom, top),
            origin="lower",
            interpolation="bilinear",
            cmap="YlGnBu",  # light where nothing is: kind to printers, and monotone in grey
            vmin=min(0.0, float(n.min())),
            vmax=float(n.max()) or 1.0,
        )
        frame = np.array([[left, bottom], [right, bottom], [right, top], [left, top]])
        axes.add_patch(PathPatch(_around(corners, frame), facecolor="white", alpha=0.6, linewidth=0, zorder=2.2))
        if centred:
            axes.plot(0.0, 0.0, marker="+", color=INK, markersize=7.0, zorder=2.4)
        else:
            cells = wigner_seitz_outlines(a, frame)
            axes.add_collection(LineCollection(cells, colors=INK, linewidths=0.5, alpha=0.35, zorder=2.1))
        outline = Polygon(corners, closed=True, fill=False, edgecolor=INK, linewidth=1.3, joinstyle="round", zorder=2.3)
        axes.add_patch(outline)
        axes.set_axisbelow(False)  # ticks (zorder 2.5) stay black where the images fade
        axes.set_xlim(left, right)
        axes.set_ylim(bottom, top)
        axes.set_title(title)
        axes.set_xlabel("$\\Delta x$  ($a_M$)" if centred else "$x$  ($a_M$)")
        axes.set_ylabel("$\\Delta y$  ($a_M$)" if centred else "$y$  ($a_M$)")
        # As high as the map, whatever space there is.
        bar = axes.figure.colorbar(image, cax=axes.inset_axes((1.03, 0.0, 0.035, 1.0)))
        bar.set_label(label)
        bar.outline.set_linewidth(0.0)


def _around(corners: npt.NDArray[np.float64], frame: npt.NDArray[np.float64]) -> Outline:
    """What lies inside a frame and outside a polygon, both ``[n, 2]``."""
    from matplotlib.path import Path as Outline

    hole = corners if clockwise(corners) else corners[::-1]  # the other way round than the frame
    ring = np.concatenate([frame, frame[:1], hole, hole[:1]])
    codes = [
        code
        for part in (frame, hole)
        for code in (Outline.MOVETO, *[Outline.LINETO] * (len(part) - 1), Outline.CLOSEPOLY)
    ]
    return Outline(ring, codes)


def _corners(vectors: npt.ArrayLike, primitive: npt.ArrayLike, centred: bool) -> npt.NDArray[np.float64]:
    """Corners of the supercell ``[n, 2]``. Any translate will do: this one keeps off the moiré lattice points.

    Centred: those of its Wigner–Seitz cell around zero.
    """
    A, a = np.asarray(vectors, dtype=np.float64), np.asarray(primitive, dtype=np.float64)
    for name, rows in (("vectors", A), ("primitive", a)):
        if rows.shape != (2, 2):
            raise ValueError(f"{name} has shape {rows.shape}: expected two lattice vectors as rows, [2, 2]")
    if centred:
        return wigner_seitz_cell(A)[:-1]
    return np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) @ A - 0.5 * a.sum(0)
