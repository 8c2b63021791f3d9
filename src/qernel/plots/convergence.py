"""Convergence: has the optimisation settled, with which variance, and in which phase at each λ?"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from qernel.estimators.statistics import summarise
from qernel.hamiltonian.terms import parameters
from qernel.plots.style import INK, FloatArray, equal_columns, figure, sequential, style, ticks, widened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PARTS = 60
"""Most points of a mean over λ."""

_KINDS = (("-", "o"), ("--", "s"), (":", "^"), ("-.", "D"))
"""Lines and points of the systems of a run, one after the other, from the beginning again beyond these."""


def training_curves(metrics: Mapping[str, Any], *, electrons: int | None = None, title: str = "") -> Figure:
    """How far energies are above what the end of the training has, their variance, and the order parameter, by step.

    Energies differ between λ by far more than by what is left to learn, so that Ē, a polynomial in the parameters of
    the family through the energies of the last quarter of the training, is taken off each. The vertical range is that
    of the last three quarters: the descent from the initial state leaves through the top. A grid of at most 24 depths
    gives one line for each, with its error band; otherwise, as when λ drifts from step to step, every row becomes a
    point. Black is the mean over λ. Several systems have lines,
    or points, of their own kind.

    Args:
        metrics: columns of equal length, one row per step and λ: ``step`` (or ``iteration``, as in the metrics file
            of a run); ``lam`` in units of V0; ``energy`` per electron and its one-sigma ``error`` in E0; and, if
            there are any, ``deviation`` of the local energy per electron in E0, ``order_parameter`` (dimensionless)
            other parameters of the family, and ``system``, a number. A data frame will do, and so will a dictionary.
        electrons: how many there are: the variance is then that of all of them over their number, the extensive one.
        title: what was trained.
    """
    columns = _columns(metrics)
    step, lam = columns["step"], columns["lam"]
    settled = step >= step.min() + 0.25 * np.ptp(step)
    excess = columns["energy"] - _settled_energy(columns, step >= step.max() - 0.25 * np.ptp(step))
    # To be drawn: values, their errors, the label, and whether the axis is logarithmic.
    panels: list[tuple[FloatArray, FloatArray | None, str, bool]] = [
        (excess, columns["error"], "energy per electron\n$E - \\bar{E}(\\lambda)$  ($E_0$)", False)
    ]
    if "deviation" in columns:
        power, count = ("", electrons) if electrons else ("^2", 1)
        variance = f"variance of $E_\\mathrm{{loc}}$\nover $N{power}$  ($E_0^2$)"
        panels.append((count * columns["deviation"] ** 2, None, variance, True))
    if "order_parameter" in columns:
        panels.append((columns["order_parameter"], None, "order parameter\n$\\langle|\\rho_K|^2\\rangle$", False))
    with style():
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        fig: Figure = figure(5.6, 1.4 + 1.7 * len(panels))
        all_axes = fig.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        shades = ScalarMappable(Normalize(*widened(lam)), sequential())
        for axes, (values, errors, label, logarithmic) in zip(all_axes, panels, strict=True):
            axes.set_yscale("log" if logarithmic else "linear")
            _every_system(axes, shades, columns, values, errors)
            _mean(axes, step, values, logarithmic)
            axes.set_ylabel(label)
            _ticked(axes, logarithmic)
        all_axes[0].axhline(0.0, color=INK, linewidth=0.6, linestyle=":", zorder=0.5)
        _show_settled(all_axes[0], excess[settled])
        if "order_parameter" in columns and columns["order_parameter"].min() >= 0.0:
            all_axes[-1].set_ylim(bottom=0.0)
        all_axes[0].set_title(title)
        all_axes[-1].set_xlabel("training step" if "step" in metrics else "iteration, burn-in counted")
        all_axes[-1].set_xlim(*widened(step))
        fig.align_ylabels(list(all_axes))
        bar = fig.colorbar(shades, ax=list(all_axes), pad=0.02, aspect=30)
        bar.set_label("moiré depth  $\\lambda = V/V_0$")
        bar.outline.set_linewidth(0.0)
    return fig


def settling(metrics: Mapping[str, Any]) -> tuple[float, float] | None:
    """How the energy per electron changes from the third quarter of a training to the last, λ by λ, in E0.

    Returns:
        The change and its standard error, which knows that walkers stay where they are from one record to the next;
        None with fewer than eight records in either quarter.
    """
    columns = _columns(metrics)
    step = columns["step"]
    start = step.min() + 0.5 * np.ptp(step)
    excess = columns["energy"] - _settled_energy(columns, step >= start)
    means = np.array([[at, excess[(step == at) & np.isfinite(excess)].mean()] for at in np.unique(step[step >= start])])
    last = means[:, 0] >= step.max() - 0.25 * np.ptp(step)
    parts = means[~last, 1], means[last, 1]
    if min(map(len, parts)) < 8:
        return None
    third, fourth = (summarise(part[None]) for part in parts)
    return float(fourth.mean - third.mean), math.hypot(third.error, fourth.error)


def _columns(metrics: Mapping[str, Any]) -> dict[str, FloatArray]:
    """What is drawn: the columns that are needed, and those that may be there."""
    if "step" not in metrics and "iteration" in metrics:
        metrics = {name: metrics[name] for name in metrics} | {"step": metrics["iteration"]}
    needed = ("step", "lam", "energy", "error")
    missing = [name for name in needed if name not in metrics]
    if missing:
        raise ValueError(f"metrics lacks the columns {', '.join(missing)}: it has {', '.join(map(str, metrics))}")
    optional = ("deviation", "order_parameter", "system", *parameters())
    more = [name for name in optional if name in metrics and name != "lam"]
    return equal_columns(**{name: metrics[name] for name in (*needed, *more)})


def _settled_energy(columns: Mapping[str, FloatArray], late: Any) -> FloatArray:
    """Ē of each row: a polynomial in the parameters of the family through the late rows of its system."""
    result = np.empty_like(columns["energy"])
    systems = columns.get("system", np.zeros(len(result)))
    for system in np.unique(systems):
        own = systems == system
        result[own] = _polynomial({name: values[own] for name, values in columns.items()}, late[own])
    return result


def _polynomial(columns: Mapping[str, FloatArray], late: Any) -> FloatArray:
    """The polynomial, of total degree 4, or 2 in several parameters; less where there are too few places for it."""
    axes = [columns[name] for name in columns if name in parameters() and np.ptp(columns[name]) > 0]
    scaled = [2.0 * (values - values.min()) / np.ptp(values) - 1.0 for values in axes]
    known = late & np.isfinite(columns["energy"])
    places = len(np.unique(np.round(np.stack(scaled, axis=-1)[known], 6), axis=0)) if scaled else 1
    degrees = (4, 3, 2, 1) if len(scaled) < 2 else (2, 1)
    degree = next((d for d in degrees if math.comb(d + len(scaled), d) <= places), 0)
    powers = [power for power in np.ndindex(*[degree + 1] * len(scaled)) if sum(power) <= degree]
    terms = [np.prod([x**n for x, n in zip(scaled, power, strict=True)], axis=0) for power in powers]
    design = np.stack([np.broadcast_to(term, columns["energy"].shape) for term in terms], axis=-1)
    error = columns["error"][known]
    weight = 1.0 / np.where(np.isfinite(error) & (error > 0), error, np.nanmax(error, initial=1e-12))
    found = np.linalg.lstsq(design[known] * weight[:, None], columns["energy"][known] * weight, rcond=None)[0]
    result: FloatArray = design @ found
    return result


def _mean(axes: Axes, step: FloatArray, values: FloatArray, logarithmic: bool) -> None:
    """The mean over λ in at most 60 parts of the training; of logarithms where the axis is."""
    edges = np.append(np.unique(step), np.inf)
    if len(edges) > _PARTS + 1:
        edges = np.append(np.linspace(step.min(), step.max(), _PARTS + 1)[:-1], np.inf)
    middles, means = [], []
    for low, high in itertools.pairwise(edges):
        inside = (step >= low) & (step < high) & np.isfinite(values) & ((values > 0) | (not logarithmic))
        if inside.any():
            middles.append(step[inside].mean())
            means.append(np.exp(np.log(values[inside]).mean()) if logarithmic else values[inside].mean())
    axes.plot(middles, means, color=INK, linewidth=1.1, zorder=3, label="mean over $\\lambda$")


def _ticked(axes: Axes, logarithmic: bool) -> None:
    if logarithmic:
        axes.tick_params(top=True, right=True, which="both")
    else:
        ticks(axes)


def _every_system(
    axes: Axes, shades: Any, columns: Mapping[str, FloatArray], values: FloatArray, error: FloatArray | None
) -> None:
    """`_curves` of one column, those of each system by themselves, with a legend where there are several."""
    systems = columns.get("system", np.zeros(len(values)))
    numbers = np.unique(systems)
    for number, kind in zip(numbers, itertools.cycle(_KINDS)):
        own = systems == number
        spread = None if error is None else error[own]
        _curves(axes, shades, columns["step"][own], columns["lam"][own], values[own], spread, kind)
        if len(numbers) > 1:
            label = f"system {number:.0f}" if number else "[system]"
            axes.plot([], [], linestyle=kind[0], marker=kind[1], markersize=2.0, color="0.4", label=label)
    if len(numbers) > 1:
        axes.legend()


def _curves(
    axes: Axes,
    shades: Any,
    x: FloatArray,
    lam: FloatArray,
    y: FloatArray,
    error: FloatArray | None,
    kind: tuple[str, str],
) -> None:
    """A line for each λ of a grid, or a point for each row, of one kind of both."""
    line, marker = kind
    depths = np.unique(np.round(lam, 9))
    if depths.size > 24:
        axes.scatter(x, y, s=3.0, c=shades.to_rgba(lam), marker=marker, linewidths=0, rasterized=True)
        return
    for depth in depths:
        rows = np.flatnonzero(np.abs(lam - depth) < 1e-8)
        rows = rows[np.argsort(x[rows], kind="stable")]
        color = shades.to_rgba(depth)
        if error is not None:
            spread = error[rows]
            axes.fill_between(x[rows], y[rows] - spread, y[rows] + spread, color=color, alpha=0.25, linewidth=0)
        axes.plot(x[rows], y[rows], color=color, linewidth=0.9, linestyle=line)


def _show_settled(axes: Axes, y: FloatArray) -> None:
    """Limits the vertical range to the values ``y``, with some air."""
    finite = y[np.isfinite(y)]
    if finite.size:
        low, high = float(finite.min()), float(finite.max())
        air = 0.06 * (high - low) or 0.01 * abs(high) or 1.0
        axes.set_ylim(low - air, high + 3.0 * air)
