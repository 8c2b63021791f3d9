"""The phase diagram: energies against the moiré depth, or another parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qernel.along import LAM, Axis
from qernel.plots.axes import label, laboratory_axis, shade_phases, shade_untrained, symbol
from qernel.plots.style import BLUE, INK, SHADE, VERMILLION, FloatArray, equal_columns, figure, style, ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from qernel.units import Laboratory


def phase_diagram(
    lam: npt.ArrayLike,
    energy: npt.ArrayLike,
    energy_error: npt.ArrayLike,
    interaction: npt.ArrayLike,
    interaction_error: npt.ArrayLike,
    *,
    trained_range: tuple[float, float] | None = None,
    gaps: Sequence[tuple[float, float]] = (),
    energy_unit_meV: float | None = None,
    title: str | None = None,
    axis: Axis = LAM,
    laboratory: Laboratory | None = None,
    phases: Sequence[str] = (),
) -> Figure:
    """Total and interaction energy per electron against the moiré depth λ, or another parameter, in two panels.

    Args:
        lam: values of the parameter, shape ``[n]``, in any order: λ in units of V0, where nothing else is said.
        energy: total energy per electron in E0, ``[n]``.
        energy_error: its one-sigma error bars in E0, ``[n]``.
        interaction: interaction energy per electron in E0, ``[n]``; its kink marks the transition.
        interaction_error: its one-sigma error bars in E0, ``[n]``.
        trained_range: lowest and highest value of the training; points outside are drawn open, on grey.
        gaps: intervals inside that were left out of training, drawn likewise.
        energy_unit_meV: E0 in meV, for a second scale on the right.
        title: what the figure shows, for instance the system.
        axis: the parameter.
        laboratory: what it is in the laboratory, for a second scale above.
        phases: the word for the state at each value (`qernel.structure.PHASES`) ``[n]``, for shades.
    """
    columns = equal_columns(
        lam=lam,
        energy=energy,
        energy_error=energy_error,
        interaction=interaction,
        interaction_error=interaction_error,
    )
    order = np.argsort(columns["lam"], kind="stable")
    words = [phases[index] for index in order] if phases else []
    x, E, dE, W, dW = (column[order] for column in columns.values())
    within = (-np.inf, np.inf) if trained_range is None else trained_range
    if within[0] > within[1]:
        raise ValueError(f"trained_range is {trained_range}: the lowest {axis.symbol} comes first")
    trained = _trained(x, within, gaps)
    with style():
        fig: Figure = figure(4.8, 5.2)
        upper, lower = fig.subplots(2, 1, sharex=True)
        _panel(upper, x, E, dE, trained, BLUE, "o")
        _panel(lower, x, W, dW, trained, VERMILLION, "s")
        for axes in (upper, lower):
            _frame(axes, x, trained, within, gaps, energy_unit_meV)
        if not trained.all():
            _legend(lower, axis, "extrapolated" if not gaps else "not trained")
        shade_phases(upper, lower, x, words)
        if laboratory is not None:
            laboratory_axis(upper, axis, laboratory)
        _name(upper, lower, axis, title)
        fig.align_ylabels([upper, lower])
    return fig


def _name(upper: Axes, lower: Axes, axis: Axis, title: str | None) -> None:
    if title is not None:
        upper.set_title(title)
    upper.set_ylabel("energy per electron  ($E_0$)")
    lower.set_ylabel("interaction energy\nper electron  ($E_0$)")
    lower.set_xlabel(label(axis))


def _trained(x: FloatArray, within: tuple[float, float], gaps: Sequence[tuple[float, float]]) -> Any:
    """Which points belong to the training."""
    # Values come out of linspace and configuration files: an end point belongs to the range.
    trained = (x >= within[0] - 1e-9) & (x <= within[1] + 1e-9)
    for start, stop in gaps:
        trained &= (x <= start + 1e-9) | (x >= stop - 1e-9)
    return trained


def _frame(
    axes: Axes,
    x: FloatArray,
    trained: Any,
    within: tuple[float, float],
    gaps: Sequence[tuple[float, float]],
    unit: float | None,
) -> None:
    """Limits, shades of what was not trained, ticks and the scale in meV of one panel."""
    margin = 0.04 * float(np.ptp(x)) or 0.05
    left, right = float(x[0]) - margin, float(x[-1]) + margin
    axes.set_xlim(left, right)
    # The margin beyond points that belong to the training stays white.
    shown = (left if trained[0] else within[0], right if trained[-1] else within[1])
    shade_untrained(axes, (left, right), shown, gaps)
    ticks(axes, right=unit is None)
    if unit is not None:
        _meV_axis(axes, unit)


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


def _legend(axes: Axes, axis: Axis, outside: str) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    full = Line2D([], [], linestyle="none", marker="s", color=INK)
    empty = Line2D([], [], linestyle="none", marker="s", color=INK, markerfacecolor="white")
    handles: Any = [full, (Patch(facecolor=SHADE), empty)]
    axes.legend(handles, [f"within the trained {symbol(axis)}", outside], loc="best")
