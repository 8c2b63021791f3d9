"""Figures from stored data: what ``qernel plot KIND FILE`` can draw, and what a report draws of a file.

A new kind is a function from a data set to figures and a line in `KINDS`. Importing this imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from qernel.along import axis, gaps, named, others, trained
from qernel.errors import QernelError

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

Figures = dict[str, "Figure"]
"""Figures by what distinguishes them (the point); a single one has the key ``""``."""


class Kind(NamedTuple):
    """A kind of figure.

    Attributes:
        needs: variables that have to be in the data set.
        draw: from the data set, with the parameter as its first axis, to figures.
        summary: one line.
    """

    needs: tuple[str, ...]
    draw: Callable[[xarray.Dataset], Figures]
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
    along = axis(data).name
    points = (data if along in data.dims else data.expand_dims(along)).transpose(along, ...)
    if kind == VERSUS_LAM:
        return _versus_lam(points, variable)
    if kind == TRANSITION:
        return _transition(points)
    missing = [name for name in KINDS[kind].needs if name not in points]
    if missing:
        there = ", ".join(str(name) for name in data.data_vars)
        raise QernelError(f"{kind} needs {' and '.join(missing)}, and the file has {there}")
    return KINDS[kind].draw(points)


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
    up, down, cells = (int(data.attrs[name]) for name in ("electrons_up", "electrons_down", "moire_cells"))
    count = f"{up} electrons" if not down else f"{up} + {down} electrons"
    figure = phase_diagram(
        data[along.name].values,
        *columns,
        trained_range=trained(data, along.name),
        gaps=gaps(data, along.name),
        energy_unit_meV=data.attrs.get("E0_meV"),
        title=f"{count} on {cells} moiré cells{_fixed(data)}",
        axis=along,
        laboratory=stored_laboratory(data.attrs, along.name, along.unit),
        phases=[found.word for found in stored_phases(data, along.name)],
    )
    return {"": figure}


def _density(data: xarray.Dataset) -> Figures:
    from qernel.plots.density import DENSITY

    return _maps(data, "density", DENSITY)


def _pair_map(data: xarray.Dataset) -> Figures:
    return _maps(data, "pair_correlation_map", "pair correlation  $g(r)$")


def _conditional(data: xarray.Dataset) -> Figures:
    return _maps(data, "conditional_density", "density given an electron at $r_0$  (per $a_M^2$)")


def _maps(data: xarray.Dataset, name: str, label: str) -> Figures:
    from qernel.plots.density import density_map
    from qernel.storage import cells

    origin = float(data[data[name].dims[1]][0])
    return {
        key: density_map(data[name][index].values, *cells(data), origin=origin, label=label, title=title)
        for index, key, title in _each(data)
    }


def _structure_factor(data: xarray.Dataset) -> Figures:
    labels = {"xlabel": "$|q|$  ($1/a_M$)", "ylabel": "structure factor  $S(q)$"}
    return _curves(data, "structure_factor", "q_length", labels | {"reference": 1.0, "joined": False})


def _structure_factor_map(data: xarray.Dataset) -> Figures:
    import numpy as np

    from qernel.plots.wave_vectors import wave_vector_map
    from qernel.storage import cells

    half = np.stack([data["qx"].values, data["qy"].values], axis=-1)
    reciprocal = [2 * np.pi * np.linalg.inv(vectors).T for vectors in cells(data)]
    return {
        key: wave_vector_map(
            np.concatenate([half, -half]),
            np.tile(data["structure_factor"][index].values, 2),
            *reciprocal,
            label="structure factor  $S(q)$",
            title=title,
        )
        for index, key, title in _each(data)
    }


def _pair_correlation(data: xarray.Dataset) -> Figures:
    labels = {"xlabel": "distance $r$  ($a_M$)", "ylabel": "pair correlation  $g(r)$", "reference": 1.0}
    return _curves(data, "pair_correlation", "r", labels)


def _momentum(data: xarray.Dataset) -> Figures:
    labels = {"xlabel": "$|k|$  ($1/a_M$)", "ylabel": "occupation  $n(k)$", "joined": False}
    figures = {}
    for spin in data["spin"].values:
        one = data.sel(spin=spin)
        figures["" if data.sizes["spin"] == 1 else str(spin)] = _curves(
            one, "momentum_distribution", "k_length", labels
        )[""]
    return figures


def _curves(data: xarray.Dataset, name: str, x: str, options: dict[str, Any]) -> Figures:
    from qernel.plots.curves import curves_of_lam

    along = axis(data)
    columns = data[x].values, data[along.name].values, data[name].values, data[f"{name}_error"].values
    return {"": curves_of_lam(*columns, **options, axis=along)}


def _routing(data: xarray.Dataset) -> Figures:
    from qernel.plots.routing import routing_curves

    columns = [data[name].values for name in KINDS["routing"].needs]
    along = axis(data)
    return {"": routing_curves(data[along.name].values, *columns, axis=along)}


def _accuracy(data: xarray.Dataset) -> Figures:
    from qernel.plots.comparison import accuracy_curves

    below = "the exact energy" if data.attrs["reference_exact"] else "the lowest energy found"
    ylabel = f"mean energy above {below}\n(E0 per electron)"
    names = [str(name) for name in data["series"].values]
    values, errors = data["mean_excess"].values, data["mean_excess_error"].values
    figures = {}
    for cost, xlabel in (("parameters", "parameters"), ("active_parameters", "active parameters per configuration")):
        by_name = [(name, [row for row, other in enumerate(names) if other == name]) for name in dict.fromkeys(names)]
        curves = [(name, data[cost].values[rows], values[rows, -1], errors[rows, -1]) for name, rows in by_name]
        figures[cost] = accuracy_curves(curves, xlabel=xlabel, ylabel=ylabel)
    training = list(zip(names, data["seconds"].values, values, errors, strict=True))
    return {**figures, "seconds": accuracy_curves(training, xlabel="training  (s)", ylabel=ylabel)}


def _interpolation(data: xarray.Dataset) -> Figures:
    import numpy as np

    from qernel.plots.interpolation import interpolation_panels

    def curves(name: str, axis: str) -> dict[str, Any]:
        columns = (data[key].transpose(axis, ...).values for key in (axis, name, f"{name}_error"))
        return {str(label): (values, errors) for label, values, errors in zip(*columns, strict=True)}

    low, high = data.attrs["trained_lam"]
    ends = [float(low), *np.atleast_1d(data.attrs.get("trained_gaps", [])).tolist(), float(high)]
    figure = interpolation_panels(
        data["lam"].values,
        curves("excess", "model"),
        curves("difference", "pair"),
        curves("order_parameter", "model"),
        trained=list(zip(ends[::2], ends[1::2], strict=True)),
        below="the exact one" if data.attrs["reference_exact"] else "the lowest found",
    )
    return {"": figure}


def _versus_lam(data: xarray.Dataset, variable: str | None) -> Figures:
    from qernel.plots.curves import versus_lam
    from qernel.plots.style import literal
    from qernel.storage import measured

    along = axis(data)
    single = [name for name in measured(data) if data[name].dims == (along.name,) and f"{name}_error" in data]
    if variable not in single:
        what = "needs --variable" if variable is None else f"cannot draw {variable}"
        raise QernelError(f"versus_lam {what}: the single numbers in the file are {', '.join(single) or 'none'}")
    unit = data[variable].attrs["units"]
    label = variable.replace("_", " ") + ("" if unit == "1" else f"  ({unit})")
    columns = data[along.name].values, data[variable].values, data[f"{variable}_error"].values
    return {"": versus_lam(*columns, ylabel=literal(label), axis=along)}


def _transition(data: xarray.Dataset) -> Figures:
    from qernel.plots.transition import transition_figure
    from qernel.transition import analyse
    from qernel.transition.maps import maps_in
    from qernel.transition.reading import from_dataset

    return {"": transition_figure(analyse(from_dataset(data)), maps_in(data))}


def _each(data: xarray.Dataset) -> Iterator[tuple[int, str, str]]:
    """Index, key and title of every point."""
    from qernel.plots.axes import at

    along = axis(data)
    points = [f"{point:g}" for point in data[along.name].values]
    twice = [point for point in points if points.count(point) > 1]
    if twice:
        raise QernelError(
            f"{along.symbol} = {twice[0]} is there more than once, and each {along.symbol} has a figure of its own: "
            "keep one of them"
        )
    for index, point in enumerate(data[along.name].values):
        yield index, "" if len(points) == 1 else f"{along.name}{point:g}", at(along, float(point)) + _fixed(data)


def _fixed(data: xarray.Dataset) -> str:
    """The other parameters, for titles; nothing where λ is the only one."""
    from qernel.plots.axes import at

    return "".join(f", {at(named(name), value)}" for name, value in others(data, axis(data).name).items())


VERSUS_LAM, TRANSITION, PHASE_MAP = "versus_lam", "transition", "phase_map"

KINDS: dict[str, Kind] = {
    "phase_diagram": Kind(
        ("energy", "energy_error", "interaction", "interaction_error"),
        _phase_diagram,
        "total and interaction energy against λ",
    ),
    "density": Kind(("density",), _density, "electron density, one map for each λ"),
    "structure_factor": Kind(("structure_factor",), _structure_factor, "S(q) against |q|, a colour for each λ"),
    "structure_factor_map": Kind(("structure_factor",), _structure_factor_map, "S(q) in the plane, for each λ"),
    "pair_correlation": Kind(("pair_correlation",), _pair_correlation, "g(r), a colour for each λ"),
    "pair_correlation_map": Kind(("pair_correlation_map",), _pair_map, "g(r) in the plane, for each λ"),
    "conditional_density": Kind(("conditional_density",), _conditional, "density given one electron, for each λ"),
    "accuracy": Kind(
        ("mean_excess", "mean_excess_error", "seconds", "parameters", "active_parameters"),
        _accuracy,
        "excess energy of compared models against parameters and training time",
    ),
    "interpolation": Kind(
        ("excess", "excess_error", "difference", "difference_error", "order_parameter", "order_parameter_error"),
        _interpolation,
        "a model with gaps in its training against models without: energies and densities against λ",
    ),
    "routing": Kind(
        ("gate", "gate_error", "gate_active", "gate_active_error"),
        _routing,
        "experts against λ: gates, how often active",
    ),
    "momentum_distribution": Kind(("momentum_distribution",), _momentum, "n(k) against |k|, a colour for each λ"),
}
"""Figures of a file of results, by name; others are `VERSUS_LAM`, `TRANSITION`, `PHASE_MAP`, and those of a run."""
