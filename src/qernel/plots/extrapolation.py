"""Energy against variance of the local energy, with the line to zero; projected against variational energy likewise."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from qernel.plots.style import BLUE, INK, VERMILLION, figure, literal, style, ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from qernel.estimators.extrapolate import Extrapolation
    from qernel.estimators.extrapolate_projected import Meeting

_COLUMNS = 3


def extrapolation_figure(found: Sequence[Extrapolation], met: Sequence[Meeting] = ()) -> Figure:
    """One panel for each λ and each kind of extrapolation: the states, the line, and where it leads to."""
    total = len(found) + len(met)
    count = min(_COLUMNS, total)
    rows = -(-total // count)
    with style():
        fig: Figure = figure(2.6 * count + 0.6, 2.5 * rows + 0.3)
        panels = fig.subplots(rows, count, squeeze=False).ravel()
        for axes, one in zip(panels, found, strict=False):
            _variance(axes, one)
        for axes, pair in zip(panels[len(found) :], met, strict=False):
            _meeting(axes, pair)
        for axes in panels[total:]:
            axes.set_axis_off()
        every = [name for one in found for name in one.names] + [name for pair in met for name in pair.names]
        names = literal(", ".join(dict.fromkeys(every)))
        fig.suptitle("\n".join(textwrap.wrap(names, 40 * count)), fontsize=9)
    return fig


def _variance(axes: Axes, one: Extrapolation) -> None:
    states = one.states
    points = states.variances, states.energies, states.energy_errors, states.variance_errors
    axes.errorbar(*points, linestyle="none", marker="o", color=BLUE, zorder=3)
    if one.energy is not None:
        x = np.array([0.0, states.variances.max()])
        axes.plot(x, one.energy.value + one.slope.value * x, color=INK, linewidth=0.9, zorder=1)
        axes.errorbar([0.0], [one.energy.value], [one.energy.error], marker="s", color=VERMILLION, zorder=3)
    _named(axes, one, "variance of $E_L$ per electron  ($E_0^2$)", "energy per electron  ($E_0$)")


def _meeting(axes: Axes, one: Meeting) -> None:
    pairs = one.states
    points = pairs.variational, pairs.projected, pairs.projected_errors, pairs.variational_errors
    axes.errorbar(*points, linestyle="none", marker="o", color=BLUE, zorder=3)
    low = pairs.projected.min() if one.energy is None else min(one.energy.value, pairs.projected.min())
    ends = np.array([low, pairs.variational.max()])
    axes.plot(ends, ends, color=INK, linewidth=0.6, linestyle=":")
    if one.energy is not None:
        x = np.array([one.energy.value, pairs.variational.max()])
        axes.plot(x, one.energy.value + one.slope.value * (x - x[0]), color=INK, linewidth=0.9, zorder=1)
        axes.errorbar(x[:1], x[:1], [one.energy.error], marker="s", color=VERMILLION, zorder=3)
    _named(axes, one, "variational energy  ($E_0$)", "projected energy  ($E_0$)")


def _named(axes: Axes, one: Extrapolation | Meeting, xlabel: str, ylabel: str) -> None:
    # A line goes through two states whatever they are.
    fit = f", $\\chi^2$/dof = {one.chi2:.1f}/{one.dof}" if one.dof else ""
    axes.set_title(f"$\\lambda = {one.lam:g}${fit}", fontsize=9)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    ticks(axes)
