"""Figures from stored data: what ``qernel plot KIND FILE`` can draw, and what a report draws of a file.

A new kind is a panel or a function from a data set to figures, and a line in `KINDS`. Importing this imports nothing
heavy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from qernel.along import axis, gaps, trained
from qernel.errors import QernelError
from qernel.plots.density import DENSITY
from qernel.plots.of_models import accuracy, interpolation
from qernel.plots.of_points import Panel, curves, fixed, plane, structure_factor_map, system, titled, versus
from qernel.text import meant

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Figures = dict[str, "Figure"]
"""Figures by what distinguishes them (the point); a single one has the key ``""``."""


class Kind(NamedTuple):
    """A kind of figure, drawn by a panel or by a function of its own.

    Attributes:
        needs: variables that have to be in the data set.
        draw: a panel, or a function from the data set, with the parameter as its first axis, to figures.
        summary: one line.
    """

    needs: tuple[str, ...]
    draw: Panel | Callable[[xarray.Dataset], Figures]
    summary: str


def draw(kind: str, data: xarray.Dataset, variable: str | None = None) -> Figures:
    """The figures of a kind.

    Args:
        kind: a key of `KINDS`, ``versus_lam`` or ``transition``.
        data: an open file of results.
        variable: the single number to draw for ``versus_lam``.

    Raises:
        QernelError: if the data set does not hold what is to be drawn.
    """
    points = _points(data)
    if kind == TRANSITION:
        return _transition(points)
    how = _how(kind, points, variable)
    return _by_panel(how, points) if isinstance(how, Panel) else how(points)


def plot(data: xarray.Dataset, kind: str | None = None, *, variable: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw measured data into one pair of axes; in Python ``qernel.plot(data)``.

    Args:
        data: what an observable, a scan or `qernel.open` gave.
        kind: a key of `KINDS` that is drawn into one pair of axes, or ``versus_lam``; default: ``versus_lam`` for a
            ``variable``, otherwise the first kind that the data hold.
        variable: the single number to draw against the parameter.
        ax: drawn into; default: a figure of its own.

    Raises:
        QernelError: if the data set does not hold what is to be drawn, holds it at several points where one is shown,
            or the kind has several panels.

    >>> import qernel
    >>> state = qernel.load("n6").at(1.0)
    >>> axes = qernel.plot(state.structure_factor(samples=4, walkers=16))
    >>> print(axes.get_title())
    n6: $\\lambda = 1$
    """
    from qernel.plots.style import axes_of

    points = _points(data)
    chosen = kind or (VERSUS_LAM if variable is not None else _first(points))
    how = _how(chosen, points, variable)
    if not isinstance(how, Panel):
        raise QernelError(f"{chosen} has several panels: draw it with qernel plot, or choose from {', '.join(_PANELS)}")
    axes = axes_of(ax, *how.size(points), layout=how.layout)
    how.draw(axes, points)
    return axes


def _points(data: xarray.Dataset) -> xarray.Dataset:
    along = axis(data).name
    return (data if along in data.dims else data.expand_dims(along)).transpose(along, ...)


def _how(kind: str, data: xarray.Dataset, variable: str | None) -> Panel | Callable[[xarray.Dataset], Figures]:
    if kind == VERSUS_LAM:
        return versus(variable)
    if kind not in KINDS:
        raise QernelError(f"there is no figure {kind}: choose from {', '.join(KINDS)}{meant(kind, KINDS)}")
    missing = [name for name in KINDS[kind].needs if name not in data]
    if missing:
        there = ", ".join(str(name) for name in data.data_vars)
        raise QernelError(f"{kind} needs {' and '.join(missing)}, and the file has {there}")
    return KINDS[kind].draw


def _first(data: xarray.Dataset) -> str:
    """The first kind with one panel that a data set holds."""
    found = [kind for kind in _PANELS if all(name in data for name in KINDS[kind].needs)]
    if not found:
        raise QernelError("there is no figure of these data: name a single number as variable")
    return found[0]


def _by_panel(panel: Panel, data: xarray.Dataset) -> Figures:
    """A figure for each point, or one of all of them."""
    from qernel.plots.style import axes_of

    along, figures = axis(data).name, {}
    for index, key in _each(data) if panel.single else [(slice(None), "")]:
        part = data.isel({along: [index] if isinstance(index, int) else index})
        axes = axes_of(None, *panel.size(part), layout=panel.layout)
        panel.draw(axes, part)
        figures[key] = cast("Figure", axes.figure)
    return figures


def draw_map(folder: Path, variable: str | None = None) -> Figures:
    """A phase map and its boundary.

    Args:
        folder: of ``qernel scan --over``.
        variable: the single number that the colour shows; default: the order parameter, else the interaction energy.

    Raises:
        QernelError: if the folder is no map, or its scans do not hold the variable.
    """
    from qernel.plots.over_two import phase_map
    from qernel.transition import boundary, read_map

    scans = read_map(folder)
    return {"": phase_map(scans, boundary(scans), variable)}


def _phase_diagram(data: xarray.Dataset) -> Figures:
    from qernel.config.stored import stored_laboratory
    from qernel.estimators.phases import stored_phases
    from qernel.plots.energies import phase_diagram

    along = axis(data)
    columns = [data[name].values for name in KINDS["phase_diagram"].needs]
    figure = phase_diagram(
        data[along.name].values,
        *columns,
        trained_range=trained(data, along.name),
        gaps=gaps(data, along.name),
        energy_unit_meV=data.attrs.get("E0_meV"),
        title=titled(data, system(data), fixed(data)),
        axis=along,
        laboratory=stored_laboratory(data.attrs, along.name, along.unit),
        phases=[found.word for found in stored_phases(data, along.name)],
    )
    return {"": figure}


def _momentum(data: xarray.Dataset) -> Figures:
    spins = data["spin"].values
    return {"" if len(spins) == 1 else str(spin): _by_panel(_OCCUPATIONS, data.sel(spin=spin))[""] for spin in spins}


def _routing(data: xarray.Dataset) -> Figures:
    from qernel.plots.routing import routing_curves

    columns = [data[name].values for name in KINDS["routing"].needs]
    along = axis(data)
    return {"": routing_curves(data[along.name].values, *columns, axis=along, title=titled(data, fixed(data)))}


def _projection(data: xarray.Dataset) -> Figures:
    from qernel.plots.projection import time_step_figures

    return time_step_figures(data, axis(data))


def _transition(data: xarray.Dataset) -> Figures:
    from qernel.plots.transition import transition_figure
    from qernel.transition import analyse
    from qernel.transition.maps import maps_in
    from qernel.transition.reading import from_dataset

    return {"": transition_figure(analyse(from_dataset(data)), maps_in(data))}


def _each(data: xarray.Dataset) -> Iterator[tuple[int, str]]:
    """Index and key of every point."""
    along = axis(data)
    points = [f"{point:g}" for point in data[along.name].values]
    twice = [point for point in points if points.count(point) > 1]
    if twice:
        raise QernelError(
            f"{along.symbol} = {twice[0]} is there more than once, and each {along.symbol} has a figure of its own: "
            "keep one of them"
        )
    for index, point in enumerate(points):
        yield index, "" if len(points) == 1 else f"{along.name}{point}"


VERSUS_LAM, TRANSITION, PHASE_MAP = "versus_lam", "transition", "phase_map"

_OCCUPATIONS = curves(
    "momentum_distribution", "k_length", xlabel="$|k|$  ($1/a_M$)", ylabel="occupation  $n(k)$", joined=False
)
_S_OF_Q = curves(
    "structure_factor",
    "q_length",
    xlabel="$|q|$  ($1/a_M$)",
    ylabel="structure factor  $S(q)$",
    reference=1.0,
    joined=False,
)
_G_OF_R = curves(
    "pair_correlation", "r", xlabel="distance $r$  ($a_M$)", ylabel="pair correlation  $g(r)$", reference=1.0
)
_G_IN_PLANE = plane("pair_correlation_map", "pair correlation  $g(r)$", displacement=True)
_GIVEN_ONE = plane("conditional_density", "density given an electron at $r_0$  (per $a_M^2$)")

KINDS: dict[str, Kind] = {
    "phase_diagram": Kind(
        ("energy", "energy_error", "interaction", "interaction_error"),
        _phase_diagram,
        "total and interaction energy against λ",
    ),
    "density": Kind(("density",), plane("density", DENSITY), "electron density, one map for each λ"),
    "structure_factor": Kind(("structure_factor",), _S_OF_Q, "S(q) against |q|, a colour for each λ"),
    "structure_factor_map": Kind(("structure_factor",), structure_factor_map(), "S(q) in the plane, for each λ"),
    "pair_correlation": Kind(("pair_correlation",), _G_OF_R, "g(r), a colour for each λ"),
    "pair_correlation_map": Kind(("pair_correlation_map",), _G_IN_PLANE, "g(r) in the plane, for each λ"),
    "conditional_density": Kind(("conditional_density",), _GIVEN_ONE, "density given one electron, for each λ"),
    "accuracy": Kind(
        ("mean_excess", "mean_excess_error", "seconds", "parameters", "active_parameters"),
        accuracy,
        "excess energy of compared models against parameters and training time",
    ),
    "interpolation": Kind(
        ("excess", "excess_error", "difference", "difference_error", "order_parameter", "order_parameter_error"),
        interpolation,
        "a model with gaps in its training against models without: energies and densities against λ",
    ),
    "routing": Kind(
        ("gate", "gate_error", "gate_active", "gate_active_error"),
        _routing,
        "experts against λ: gates, how often active",
    ),
    "projection": Kind(("time_step_energy", "gain"), _projection, "projected energies against the time step; gains"),
    "momentum_distribution": Kind(("momentum_distribution",), _momentum, "n(k) against |k|, a colour for each λ"),
}
"""Figures of a file of results, by name; others are `VERSUS_LAM`, `TRANSITION`, `PHASE_MAP`, and those of a run."""

_PANELS = [kind for kind, about in KINDS.items() if isinstance(about.draw, Panel)]
