"""Figures: phase diagrams, training curves and density maps.

Every function returns a `matplotlib.figure.Figure` made without pyplot: nothing global is touched, no
window opens, and the figure shows itself in a notebook. Matplotlib is imported on first use.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.float64]

# Okabe and Ito's palette: told apart with any colour vision; blue prints darker than vermillion.
BLUE, VERMILLION, INK, SHADE = "#0072B2", "#D55E00", "#222222", "#ECECEC"

_STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # ships with Matplotlib: the same figure on every machine
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.labelsize": 9.0,
    "axes.linewidth": 0.7,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.formatter.useoffset": False,
    "axes.ymargin": 0.08,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.0,
    "legend.framealpha": 1.0,
    "legend.edgecolor": "none",
    "lines.linewidth": 1.1,
    "lines.markersize": 4.5,
    "errorbar.capsize": 2.0,
    "savefig.dpi": 200.0,
    "savefig.bbox": "tight",
    "savefig.pad_inches": 0.06,
    "figure.dpi": 110.0,
    "pdf.fonttype": 42,  # text stays text
    "svg.fonttype": "none",
    "svg.hashsalt": "qernel",
}


def phase_diagram(
    lam: npt.ArrayLike,
    energy: npt.ArrayLike,
    energy_error: npt.ArrayLike,
    interaction: npt.ArrayLike,
    interaction_error: npt.ArrayLike,
    *,
    trained_range: tuple[float, float] | None = None,
    energy_unit_meV: float | None = None,
    title: str | None = None,
) -> Figure:
    """Total and interaction energy per electron against the moiré depth λ, in two panels.

    Args:
        lam: moiré depths λ in units of V0, shape ``[n]``, in any order.
        energy: total energy per electron in E0, ``[n]``.
        energy_error: its one-sigma error bars in E0, ``[n]``.
        interaction: interaction energy per electron in E0, ``[n]``; its kink marks the transition.
        interaction_error: its one-sigma error bars in E0, ``[n]``.
        trained_range: lowest and highest λ of the training; points outside are drawn open, on grey.
        energy_unit_meV: E0 in meV, for a second scale on the right.
        title: what the figure shows, for instance the system.
    """
    columns = _columns(
        lam=lam,
        energy=energy,
        energy_error=energy_error,
        interaction=interaction,
        interaction_error=interaction_error,
    )
    order = np.argsort(columns["lam"], kind="stable")
    x, E, dE, W, dW = (column[order] for column in columns.values())
    low, high = (-np.inf, np.inf) if trained_range is None else trained_range
    if low > high:
        raise ValueError(f"trained_range is {trained_range}: the lowest λ comes first")
    # λ comes out of linspace and configuration files: an end point belongs to the range.
    trained = (x >= low - 1e-9) & (x <= high + 1e-9)

    with _style():
        fig: Figure = _figure(4.8, 5.2)
        upper, lower = fig.subplots(2, 1, sharex=True)
        _panel(upper, x, E, dE, trained, BLUE, "o")
        _panel(lower, x, W, dW, trained, VERMILLION, "s")
        upper.set_ylabel("energy per electron  ($E_0$)")
        lower.set_ylabel("interaction energy\nper electron  ($E_0$)")
        lower.set_xlabel("moiré depth  $\\lambda = V/V_0$")
        margin = 0.04 * float(np.ptp(x)) or 0.05
        left, right = float(x[0]) - margin, float(x[-1]) + margin
        lower.set_xlim(left, right)
        for axes in (upper, lower):
            if not trained[0]:
                axes.axvspan(left, low, color=SHADE, linewidth=0, zorder=0)
            if not trained[-1]:
                axes.axvspan(high, right, color=SHADE, linewidth=0, zorder=0)
            _ticks(axes, right=energy_unit_meV is None)
            if energy_unit_meV is not None:
                _meV_axis(axes, energy_unit_meV)
        if not trained.all():
            _legend_of_extrapolation(lower)
        if title is not None:
            upper.set_title(title)
        fig.align_ylabels([upper, lower])
    return fig


def training_curves(metrics: Mapping[str, Any]) -> Figure:
    """Energy per electron, and the order parameter, against the training step, coloured by λ.

    A grid of at most 24 depths gives one line for each, with its error band; otherwise, as when λ is
    drawn afresh at every step, every row becomes a point. The vertical range is that of the last
    three quarters of the training: the descent from the initial state leaves through the top.

    Args:
        metrics: columns of equal length, one row per step and λ: ``step``; ``lam`` in units of V0;
            ``energy`` per electron and its one-sigma ``error`` in E0; and, if there is one,
            ``order_parameter`` (dimensionless). A pandas data frame will do, and so will a dictionary.
    """
    missing = [name for name in ("step", "lam", "energy", "error") if name not in metrics]
    if missing:
        raise ValueError(f"metrics lacks the columns {', '.join(missing)}: it has {', '.join(map(str, metrics))}")
    names = ["step", "lam", "energy", "error"] + ["order_parameter"] * ("order_parameter" in metrics)
    columns = _columns(**{name: metrics[name] for name in names})
    step, lam = columns["step"], columns["lam"]
    settled = step >= step.min() + 0.25 * np.ptp(step)

    with _style():
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        panels = len(names) - 3
        fig: Figure = _figure(5.6, 2.9 if panels == 1 else 4.9)
        all_axes = fig.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
        shades = ScalarMappable(Normalize(*_widened(lam)), _sequential())
        _curves(all_axes[0], shades, step, lam, columns["energy"], columns["error"])
        _show_settled(all_axes[0], columns["energy"][settled])
        all_axes[0].set_ylabel("energy per electron  ($E_0$)")
        if panels == 2:
            _curves(all_axes[1], shades, step, lam, columns["order_parameter"], None)
            all_axes[1].set_ylabel("order parameter")
            if columns["order_parameter"].min() >= 0.0:
                all_axes[1].set_ylim(bottom=0.0)
        all_axes[-1].set_xlabel("training step")
        all_axes[-1].set_xlim(*_widened(step))
        for axes in all_axes:
            _ticks(axes)
        fig.align_ylabels(list(all_axes))
        bar = fig.colorbar(shades, ax=list(all_axes), pad=0.02, aspect=30)
        bar.set_label("moiré depth  $\\lambda = V/V_0$")
        bar.outline.set_linewidth(0.0)
    return fig


def density_map(density: npt.ArrayLike, vectors: npt.ArrayLike, primitive: npt.ArrayLike) -> Figure:
    """The electron density in the plane, with the moiré cells and the supercell drawn on top.

    The supercell is shown in full colour, its periodic images around it faded. Moiré cells are the
    Wigner-Seitz cells around the lattice points, where the moiré potential is centred.

    Args:
        density: electrons per a_M² on the fractional grid of the supercell, ``[nx, ny]``; element
            ``[i, j]`` belongs to r = (i/nx) A_1 + (j/ny) A_2.
        vectors: supercell vectors A_1, A_2 as rows ``[2, 2]``, in a_M.
        primitive: moiré lattice vectors a_1, a_2 as rows ``[2, 2]``, in a_M.
    """
    n = np.asarray(density, dtype=np.float64)
    A, a = np.asarray(vectors, dtype=np.float64), np.asarray(primitive, dtype=np.float64)
    if n.ndim != 2 or n.size == 0:
        raise ValueError(f"density has shape {n.shape}: expected [nx, ny] on the grid of the supercell")
    for name, rows in (("vectors", A), ("primitive", a)):
        if rows.shape != (2, 2):
            raise ValueError(f"{name} has shape {rows.shape}: expected two lattice vectors as rows, [2, 2]")

    # Any translate of the supercell will do: this one keeps its edges away from the moiré lattice points.
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) @ A - 0.5 * a.sum(0)
    margin = 0.45 * float(np.linalg.norm(a[0]))
    (left, bottom), (right, top) = corners.min(0) - margin, corners.max(0) + margin

    with _style():
        from matplotlib.collections import LineCollection
        from matplotlib.patches import PathPatch, Polygon
        from matplotlib.path import Path as Outline

        aspect = (top - bottom) / (right - left)
        width = 4.2 if aspect < 1.2 else 3.0
        fig: Figure = _figure(width + 1.3, width * aspect + 0.6, layout="compressed")
        axes = fig.subplots()
        image = axes.imshow(
            _on_rectangle(n, A, (left, right, bottom, top), pixels=600),
            extent=(left, right, bottom, top),
            origin="lower",
            interpolation="bilinear",
            cmap="YlGnBu",  # light where nothing is: kind to printers, and monotone in grey
            vmin=min(0.0, float(n.min())),
            vmax=float(n.max()) or 1.0,
        )
        frame = np.array([[left, bottom], [right, bottom], [right, top], [left, top]])
        hole = corners if _clockwise(corners) else corners[::-1]  # the other way round than the frame
        ring = np.concatenate([frame, frame[:1], hole, hole[:1]])
        codes = ([Outline.MOVETO] + [Outline.LINETO] * 3 + [Outline.CLOSEPOLY]) * 2
        cells = _wigner_seitz_outlines(a, frame)
        axes.add_collection(LineCollection(cells, colors=INK, linewidths=0.5, alpha=0.35, zorder=2.1))
        axes.add_patch(PathPatch(Outline(ring, codes), facecolor="white", alpha=0.6, linewidth=0, zorder=2.2))
        outline = Polygon(corners, closed=True, fill=False, edgecolor=INK, linewidth=1.3, joinstyle="round", zorder=2.3)
        axes.add_patch(outline)
        axes.set_axisbelow(False)  # ticks (zorder 2.5) stay black where the images fade
        axes.set_xlim(left, right)
        axes.set_ylim(bottom, top)
        axes.set_xlabel("$x$  ($a_M$)")
        axes.set_ylabel("$y$  ($a_M$)")
        bar = fig.colorbar(image, ax=axes, pad=0.02, aspect=26)
        bar.set_label("density  (electrons per $a_M^2$)")
        bar.outline.set_linewidth(0.0)
    return fig


def save(fig: Figure, path_without_suffix: str | Path) -> tuple[Path, Path]:
    """Write ``fig`` as PNG and PDF, byte for byte the same for the same figure and Matplotlib version.

    Args:
        fig: any Matplotlib figure.
        path_without_suffix: where to, without ``.png``; dots in the name are kept (``density-1.05``).
            Missing folders are made.

    Returns:
        The paths of the PNG and of the PDF.
    """
    base = Path(path_without_suffix)
    base.parent.mkdir(parents=True, exist_ok=True)
    png, pdf = base.with_name(base.name + ".png"), base.with_name(base.name + ".pdf")
    with _style():
        fig.savefig(png, metadata={"Software": None})
        fig.savefig(pdf, metadata={"CreationDate": None, "Creator": None, "Producer": None})
    return png, pdf


def _style() -> AbstractContextManager[None]:
    """Our settings on top of Matplotlib's defaults, undone on leaving; the user's own are set aside."""
    import matplotlib

    settings: dict[Any, Any] = {**matplotlib.rcParamsDefault, **_STYLE}
    del settings["backend"]
    return matplotlib.rc_context(settings)


@functools.cache
def _figure_class() -> Any:
    from matplotlib.figure import Figure

    class NotebookFigure(Figure):
        """A figure that Jupyter displays without pyplot's help."""

        def _repr_png_(self) -> bytes:
            buffer = io.BytesIO()
            with _style():
                self.savefig(buffer, format="png", metadata={"Software": None})
            return buffer.getvalue()

    return NotebookFigure


def _figure(width: float, height: float, layout: str = "constrained") -> Any:
    """An empty figure of the given size in inches."""
    return _figure_class()(figsize=(width, height), layout=layout)


def _columns(**columns: Any) -> dict[str, FloatArray]:
    """The columns as float arrays of one common length."""
    arrays = {name: np.asarray(column, dtype=np.float64) for name, column in columns.items()}
    lengths = {name: array.shape for name, array in arrays.items()}
    if len(set(lengths.values())) > 1 or next(iter(arrays.values())).ndim != 1:
        raise ValueError(f"columns must all have shape [n], got {lengths}")
    if next(iter(arrays.values())).size == 0:
        raise ValueError("there is nothing to draw: the columns are empty")
    return arrays


def _sequential() -> Any:
    """Viridis without its last, lightest part, in which lines fade on white paper."""
    import matplotlib
    from matplotlib.colors import ListedColormap

    return ListedColormap(matplotlib.colormaps["viridis"](np.linspace(0.0, 0.92, 256)))


def _ticks(axes: Axes, *, right: bool = True) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.tick_params(top=True, right=right)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))


def _panel(axes: Axes, x: FloatArray, y: FloatArray, error: FloatArray, solid: Any, color: str, marker: str) -> None:
    """One curve with error bars; full markers where ``solid``, open ones elsewhere."""
    axes.plot(x, y, color=color, linewidth=0.8, alpha=0.45, zorder=1)
    for chosen, face in ((solid, color), (~solid, "white")):
        if chosen.any():
            axes.errorbar(
                x[chosen],
                y[chosen],
                error[chosen],
                linestyle="none",
                marker=marker,
                color=color,
                markerfacecolor=face,
                markeredgewidth=1.0,
                elinewidth=1.0,
                zorder=3,
            )


def _meV_axis(axes: Axes, unit: float) -> None:
    """A right-hand scale in meV."""
    from matplotlib.ticker import MaxNLocator

    functions: Any = (lambda E: E * unit, lambda E: E / unit)
    right = axes.secondary_yaxis("right", functions=functions)
    right.yaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10]))
    right.set_ylabel("(meV)")
    right.yaxis.set_label_coords(1.12, 0.5, transform=axes.transAxes)  # the same in both panels, whatever their numbers


def _legend_of_extrapolation(axes: Axes) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    full = Line2D([], [], linestyle="none", marker="s", color=INK)
    empty = Line2D([], [], linestyle="none", marker="s", color=INK, markerfacecolor="white")
    handles: Any = [full, (Patch(facecolor=SHADE), empty)]
    axes.legend(handles, ["within the trained $\\lambda$", "extrapolated"], loc="best")


def _curves(axes: Axes, shades: Any, x: FloatArray, lam: FloatArray, y: FloatArray, error: FloatArray | None) -> None:
    """A line for each λ of a grid, or a point for each row."""
    depths = np.unique(np.round(lam, 9))
    if depths.size > 24:
        axes.scatter(x, y, s=3.0, c=shades.to_rgba(lam), linewidths=0, rasterized=True)
        return
    for depth in depths:
        rows = np.flatnonzero(np.abs(lam - depth) < 1e-8)
        rows = rows[np.argsort(x[rows], kind="stable")]
        color = shades.to_rgba(depth)
        if error is not None:
            spread = error[rows]
            axes.fill_between(x[rows], y[rows] - spread, y[rows] + spread, color=color, alpha=0.25, linewidth=0)
        axes.plot(x[rows], y[rows], color=color, linewidth=0.9)


def _show_settled(axes: Axes, y: FloatArray) -> None:
    """Limits the vertical range to the values ``y``, with some air."""
    finite = y[np.isfinite(y)]
    if finite.size:
        low, high = float(finite.min()), float(finite.max())
        air = 0.06 * (high - low) or 0.01 * abs(high) or 1.0
        axes.set_ylim(low - air, high + 3.0 * air)


def _widened(values: FloatArray) -> tuple[float, float]:
    """Smallest and largest value, kept apart."""
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _on_rectangle(n: FloatArray, A: FloatArray, box: tuple[float, float, float, float], pixels: int) -> FloatArray:
    """The periodic function ``n`` interpolated linearly on a rectangle (left, right, bottom, top)."""
    from scipy.ndimage import map_coordinates

    left, right, bottom, top = box
    size = (right - left) / pixels
    x = left + size * (np.arange(pixels) + 0.5)
    rows = max(1, round((top - bottom) / size))
    y = bottom + (top - bottom) / rows * (np.arange(rows) + 0.5)
    points = np.stack(np.meshgrid(x, y), axis=-1) @ np.linalg.inv(A) * n.shape
    result: FloatArray = map_coordinates(n, np.moveaxis(points, -1, 0), order=1, mode="grid-wrap")
    return result


def _wigner_seitz_outlines(a: FloatArray, frame: FloatArray) -> list[FloatArray]:
    """Closed outlines ``[k, 2]`` of the Wigner-Seitz cells that meet the rectangle with corners ``frame``."""
    from scipy.spatial import Voronoi

    reach = np.arange(-3, 4)
    neighbours = np.stack(np.meshgrid(reach, reach), axis=-1).reshape(-1, 2) @ a
    cells = Voronoi(neighbours)
    home = int(np.argmin(np.linalg.norm(neighbours, axis=1)))
    corners = cells.vertices[cells.regions[cells.point_region[home]]]
    corners = corners[np.argsort(np.arctan2(corners[:, 1], corners[:, 0]))]
    outline = np.concatenate([corners, corners[:1]])
    radius = float(np.linalg.norm(corners, axis=1).max())
    span = frame @ np.linalg.inv(a)
    first, last = np.floor(span.min(0)).astype(int) - 1, np.ceil(span.max(0)).astype(int) + 1
    centres = np.stack(np.meshgrid(*(np.arange(i, j + 1) for i, j in zip(first, last, strict=True))), axis=-1)
    points = centres.reshape(-1, 2) @ a
    inside = np.all((points > frame.min(0) - radius) & (points < frame.max(0) + radius), axis=1)
    return [outline + point for point in points[inside]]


def _clockwise(corners: FloatArray) -> bool:
    """Whether the parallelogram runs clockwise."""
    return bool(np.linalg.det(corners[1:3] - corners[0]) < 0)
