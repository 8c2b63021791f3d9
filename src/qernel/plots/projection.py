"""Projected energies: against the time step, and what projection gains against the variance of ψ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from qernel.along import Axis
from qernel.plots.axes import at, symbol
from qernel.plots.of_points import fixed, system, titled
from qernel.plots.style import BLUE, INK, VERMILLION, FloatArray, figure, style, ticks

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

_COLUMNS = 3

Pair = tuple[FloatArray, FloatArray]
"""Values and errors."""


def time_step_figures(data: xarray.Dataset, axis: Axis) -> dict[str, Figure]:
    """Those of a file of projected energies: against the time step, and the gain."""

    def pair(name: str) -> Pair:
        return data[name].values, data[f"{name}_error"].values

    values = data[axis.name].values
    fitted = data["fit_coefficient"].values if "fit_coefficient" in data else None
    numbers = pair("time_step_energy"), pair("energy"), pair("variational_energy")
    title = titled(data, fixed(data) or system(data))
    steps = time_step_panels(values, data["time_step_tau"].values, *numbers, fitted, axis, title=title)
    if len(values) == 1:
        return {"": steps}
    gain = gain_figure(values, data["variational_variance"].values, pair("gain"), axis, title=title)
    return {"": steps, "gain": gain}


def time_step_panels(
    values: FloatArray,
    taus: FloatArray,
    energies: Pair,
    projected: Pair,
    variational: Pair,
    coefficients: FloatArray | None,
    axis: Axis,
    *,
    title: str = "",
) -> Figure:
    """A panel for each value of the parameter: energies at the time steps, the fit to time step 0, and the variational
    energy as a band.

    Args:
        values: of the parameter ``[n]``.
        taus: time steps in 1/E0, ``[n, s]``.
        energies: per electron in E0, ``[n, s]``.
        projected: at time step 0, ``[n]``.
        variational: ``[n]``.
        coefficients: of the powers of τ ``[n, d]``; None where nothing was fitted.
        axis: the parameter.
        title: what was projected.
    """
    count = min(_COLUMNS, len(values))
    rows = -(-len(values) // count)
    with style():
        fig: Figure = figure(2.6 * count + 0.6, 2.3 * rows + 0.3)
        panels = fig.subplots(rows, count, squeeze=False).ravel()
        for index, axes in enumerate(panels[: len(values)]):
            x = np.linspace(0.0, taus[index].max(), 60)
            level, spread = variational[0][index], variational[1][index]
            axes.axhspan(level - spread, level + spread, color=VERMILLION, alpha=0.25, linewidth=0)
            axes.axhline(level, color=VERMILLION, linewidth=0.9)
            if coefficients is not None:
                powers = x[:, None] ** np.arange(1, coefficients.shape[1] + 1)
                axes.plot(x, projected[0][index] + powers @ coefficients[index], color=INK, linewidth=0.9, zorder=1)
                numbers = projected[0][index], coefficients[index], taus[index], *(part[index] for part in energies)
                if said := _goodness(*numbers):
                    place: dict[str, Any] = {"transform": axes.transAxes, "ha": "right", "va": "bottom", "fontsize": 7}
                    axes.text(0.97, 0.03, said, **place)
                axes.errorbar([0.0], [projected[0][index]], [projected[1][index]], marker="s", color=INK, zorder=3)
            pairs = energies[0][index], energies[1][index]
            axes.errorbar(taus[index], *pairs, linestyle="none", marker="o", color=BLUE, zorder=3)
            axes.set_title(at(axis, float(values[index])))
            ticks(axes)
        for axes in panels[len(values) :]:
            axes.set_axis_off()
        fig.suptitle(title, fontsize=9)
        fig.supxlabel("time step  ($1/E_0$); band: the wavefunction itself", fontsize=9)
        fig.supylabel("energy per electron  ($E_0$)", fontsize=9)
    return fig


def _goodness(start: float, slopes: FloatArray, tau: FloatArray, values: FloatArray, errors: FloatArray) -> str:
    """χ²/dof of a fit in powers of the time step; empty where it goes through every point by construction."""
    free = len(tau) - len(slopes) - 1
    fitted = start + tau[:, None] ** np.arange(1, len(slopes) + 1) @ slopes
    return f"$\\chi^2$/dof = {np.square((values - fitted) / errors).sum():.2g}/{free}" if free > 0 else ""


def gain_figure(values: FloatArray, variances: FloatArray, gains: Pair, axis: Axis, *, title: str = "") -> Figure:
    """What projection gains against the variance of the local energy: proportional where one kind of defect is all.

    Args:
        values: of the parameter ``[n]``, written beside the points.
        variances: Var(E_L)/N in E0², ``[n]``.
        gains: variational less projected energy per electron in E0, ``[n]``.
        axis: the parameter.
        title: what was projected.
    """
    with style():
        fig: Figure = figure(4.2, 3.0)
        axes = fig.subplots()
        axes.errorbar(variances, *gains, linestyle="none", marker="o", color=BLUE)
        for value, x, y in zip(values, variances, gains[0], strict=True):
            axes.annotate(f"{value:g}", (x, y), xytext=(4, 4), textcoords="offset points", fontsize=8)
        axes.axhline(0.0, color=INK, linewidth=0.6)
        axes.set_xlim(left=0.0)
        axes.set_xlabel("variance of the local energy per electron  ($E_0^2$)")
        axes.set_ylabel("variational $-$ projected  ($E_0$)")
        axes.set_title(", ".join(filter(None, (title, f"{symbol(axis)} beside the points"))))
        ticks(axes)
    return fig
