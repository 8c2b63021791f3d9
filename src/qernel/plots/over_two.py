"""Two parameters at once: a measured number as colour, and the boundary of the phases with its errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from qernel.along import Axis, named, trained
from qernel.errors import QernelError
from qernel.plots.axes import at, label
from qernel.plots.of_points import titled
from qernel.plots.style import INK, VERMILLION, FloatArray, figure, literal, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from qernel.transition.line import Line
    from qernel.transition.phase_map import PhaseMap
    from qernel.units import Laboratory

COLOURED = ("order_parameter", "interaction")
"""What the colour shows where nothing else is asked for: the first of these that was measured."""

_LABELS = {
    "order_parameter": r"order parameter  $\langle |\rho_K|^2\rangle$",
    "interaction": "interaction energy per electron  ($E_0$)",
}


def phase_map(scans: PhaseMap, line: Line | None = None, variable: str | None = None) -> Figure:
    """`draw_phase_map` in a figure of its own."""
    with style():
        fig: Figure = figure(5.4, 3.8)
        draw_phase_map(fig.subplots(), scans, line, variable)
    return fig


def draw_phase_map(axes: Axes, scans: PhaseMap, line: Line | None = None, variable: str | None = None) -> None:
    """A map over two parameters, with the boundary where one is given.

    Each measured point is drawn as the rectangle that is nearest to it; the trained intervals are framed by dots.

    Args:
        axes: drawn into.
        scans: the map.
        line: its boundary, from `qernel.transition.boundary`; points without a transition are left out.
        variable: a single number with an error that every scan has; default: how far the energy of the second phase is
            above that of the first, where ``line`` is of two maps, else the first of `COLOURED`.

    Raises:
        QernelError: if a scan does not have it.
    """
    against = None if line is None else line.against
    if variable is None and against is not None:
        x, values = map(list, zip(*_differences(scans, against), strict=True))
        _drawn(axes, scans, line, x, values, _difference(scans, against), diverging=True)
        return
    chosen = variable or next((name for name in COLOURED if all(name in data for data in scans.datasets)), "")
    lacking = [source for data, source in zip(scans.datasets, scans.sources, strict=True) if chosen not in data]
    if lacking:
        raise QernelError(f"{lacking[0]} has no {chosen or ' or '.join(COLOURED)}: name another --variable")
    x = [np.asarray(data[scans.along.name].values, float) for data in scans.datasets]
    values = [np.asarray(data[chosen].values, float) for data in scans.datasets]
    if any(column.shape != points.shape for column, points in zip(values, x, strict=True)):
        raise QernelError(f"{chosen} is no single number against {scans.along.symbol}: name another --variable")
    unit = scans.datasets[0][chosen].attrs.get("units", "1")
    name = _LABELS.get(chosen, literal(chosen.replace("_", " ") + ("" if unit == "1" else f"  ({unit})")))
    _drawn(axes, scans, line, x, values, name)


def _difference(scans: PhaseMap, against: PhaseMap) -> str:
    first, second = (
        each.datasets[0].attrs.get("phase_alone", name) for each, name in ((scans, "first"), (against, "second"))
    )
    return f"energy of {second} $-$ {first}, per electron  ($E_0$)"


def _differences(scans: PhaseMap, against: PhaseMap) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Where both maps have an energy, and by how much that of the second is above; nan where there is none."""
    name, partners = scans.along.name, scans.partners(against)
    for row, data in enumerate(scans.datasets):
        x = np.asarray(data[name].values, float)
        if row not in partners:
            yield x, np.full(len(x), np.nan)
            continue
        other = against.datasets[partners[row]]["energy"].reindex({name: x}, method="nearest", tolerance=1e-9)
        yield x, np.asarray(other.values, float) - np.asarray(data["energy"].values, float)


def _drawn(
    axes: Axes,
    scans: PhaseMap,
    line: Line | None,
    x: list[FloatArray],
    values: list[FloatArray],
    name: str,
    *,
    diverging: bool = False,
) -> None:
    """Colours, frame, boundary and labels."""
    with style():
        _coloured(axes, scans, x, values, name, diverging)
        _frame(axes, scans)
        if line is not None:
            _boundary(axes, line)
        axes.set_xlabel(label(scans.along))
        axes.set_ylabel(label(scans.over))
        second = scans.laboratory(scans.over)
        if second is not None:
            _scale(axes, scans.over, second)
        axes.set_title(titled(scans.datasets[0], *(at(named(name), value) for name, value in scans.others.items())))


def _coloured(
    axes: Axes, scans: PhaseMap, x: list[FloatArray], values: list[FloatArray], name: str, diverging: bool
) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    together = np.concatenate(values)
    finite = together[np.isfinite(together)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if diverging:
        high = max(abs(low), abs(high))
        low = -high
    norm, colours = Normalize(low, high if high > low else low + 1.0), "RdBu" if diverging else "YlGnBu"
    heights = _edges(np.array(scans.values))
    for row, (points, numbers) in enumerate(zip(x, values, strict=True)):
        order = np.argsort(points)
        edges = _edges(points[order])
        axes.pcolormesh(edges, heights[row : row + 2], numbers[None, order], cmap=colours, norm=norm, rasterized=True)
    bar = axes.figure.colorbar(ScalarMappable(norm, colours), ax=axes, pad=0.04, aspect=26)
    bar.set_label(name)
    bar.outline.set_linewidth(0.0)


def _edges(points: FloatArray) -> FloatArray:
    """Ends of the intervals ``[n + 1]`` in which each of n points is the nearest one."""
    if len(points) == 1:
        return points[0] + np.array([-0.5, 0.5])
    middles = 0.5 * (points[1:] + points[:-1])
    return np.concatenate([[2 * points[0] - middles[0]], middles, [2 * points[-1] - middles[-1]]])


def _frame(axes: Axes, scans: PhaseMap) -> None:
    """Dots along the ends of the trained intervals, where the map goes beyond them."""
    left, right, bottom, top = axes.axis()
    dots: dict[str, Any] = {"color": INK, "linewidth": 0.9, "linestyle": ":"}
    first, second = (trained(scans.datasets[0], axis.name) for axis in (scans.along, scans.over))
    for end in _passed(first, np.concatenate([data[scans.along.name].values for data in scans.datasets])):
        axes.axvline(end, **dots)
    for end in _passed(second, np.array(scans.values)):
        axes.axhline(end, **dots)
    axes.axis((left, right, bottom, top))


def _passed(interval: tuple[float, float] | None, points: FloatArray) -> list[float]:
    """The ends of a trained interval beyond which there are points."""
    if interval is None:
        return []
    low, high = interval
    return [low] * bool(points.min() < low - 1e-9) + [high] * bool(points.max() > high + 1e-9)


def _boundary(axes: Axes, line: Line) -> None:
    known = [(point.value, point.place) for point in line.points if point.place is not None]
    if not known:
        return
    heights = [value for value, _ in known]
    places, errors = [place.value for _, place in known], [place.error for _, place in known]
    halo: dict[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 0.7, "markersize": 6.0, "zorder": 4}
    axes.errorbar(places, heights, xerr=errors, linestyle="none", marker="o", color=VERMILLION, elinewidth=1.4, **halo)
    if line.curve is not None:
        fine = np.linspace(min(heights), max(heights), 200)
        curve = [line.curve.at(float(height)) for height in fine]
        middle, width = np.array([one.value for one in curve]), np.array([one.error for one in curve])
        fit = f"boundary, $\\chi^2$/dof = {line.curve.chi2:.1f}/{line.curve.dof}"
        axes.plot(middle, fine, color=VERMILLION, linewidth=1.1, zorder=3, label=fit)
        axes.legend(loc="best")
        axes.fill_betweenx(fine, middle - width, middle + width, color=VERMILLION, alpha=0.25, linewidth=0, zorder=2.5)


def _scale(axes: Axes, over: Axis, second: Laboratory) -> None:
    """The second parameter in laboratory units, at the ticks of its own scale."""
    bottom, top = axes.get_ylim()
    ticks = [tick for tick in axes.get_yticks() if bottom <= tick <= top and (over.name != "U" or tick > 0)]
    right = axes.secondary_yaxis("right")
    right.set_yticks(ticks, [f"{second.convert(float(tick)):.3g}" for tick in ticks])
    right.set_ylabel(f"dielectric constant  {second.symbol}" if over.name == "U" else f"({second.unit})")
