"""Energy against variance of the local energy, with the line to zero."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from qernel.plots.style import BLUE, INK, VERMILLION, figure, literal, style, ticks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from qernel.estimators.extrapolate import Extrapolation

_COLUMNS = 3


def extrapolation_figure(found: Sequence[Extrapolation]) -> Figure:
    """One panel for each λ: the states, and the line with the energy at zero variance where there is one."""
    names = [name for one in found for name in one.names]
    count = min(_COLUMNS, len(found))
    rows = -(-len(found) // count)
    with style():
        fig: Figure = figure(2.6 * count + 0.6, 2.3 * rows + 0.3)
        panels = fig.subplots(rows, count, squeeze=False).ravel()
        for axes, one in zip(panels, found, strict=False):
            states = one.states
            axes.errorbar(
                states.variances,
                states.energies,
                states.energy_errors,
                states.variance_errors,
                linestyle="none",
                marker="o",
                color=BLUE,
                zorder=3,
            )
            if one.energy is not None:
                x = np.array([0.0, states.variances.max()])
                axes.plot(x, one.energy.value + one.slope.value * x, color=INK, linewidth=0.9, zorder=1)
                axes.errorbar([0.0], [one.energy.value], [one.energy.error], marker="s", color=VERMILLION, zorder=3)
            # A line goes through two states whatever they are.
            fit = f", $\\chi^2$/dof = {one.chi2:.1f}/{one.dof}" if one.dof else ""
            axes.set_title(f"$\\lambda = {one.lam:g}${fit}", fontsize=9)
            ticks(axes)
        for axes in panels[len(found) :]:
            axes.set_axis_off()
        fig.suptitle("\n".join(textwrap.wrap(literal(", ".join(dict.fromkeys(names))), 40 * count)), fontsize=9)
        fig.supxlabel("variance of the local energy per electron  ($E_0^2$)", fontsize=9)
        fig.supylabel("energy per electron  ($E_0$)", fontsize=9)
    return fig
