"""The figure of a transition: energies against a parameter, fitted curves, densities on either side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from qernel.lattice import FloatArray
from qernel.plots.axes import at, critical, label
from qernel.plots.density import draw_density
from qernel.plots.style import BLUE, INK, SHADE, VERMILLION, figure, literal, style, ticks
from qernel.transition.maps import Map, either_side

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from qernel.estimators.quantity import Quantity
    from qernel.transition import Phases, Transition
    from qernel.transition.compare import Candidate


def transition_figure(found: Transition, maps: Sequence[Map] = ()) -> Figure:
    """Interaction energy with the best transition and the best smooth curve, their residuals, and the total energy.

    The place of the transition is drawn, with one standard error in grey, only where the analysis gives one.

    Args:
        found: from `qernel.transition.analyse`.
        maps: densities along the parameter, of which one on either side of the transition is drawn below.
    """
    pair = either_side(maps, found.place)
    scan, place = found.scan, found.place
    x, (values, errors) = scan.points, scan.interaction
    with style():
        fig: Figure = figure(4.8, 6.4 if pair is None else 8.2)
        curves: Any = fig
        if pair is not None:
            curves, densities = cast("Any", fig.subfigures(2, 1, height_ratios=[6.4, 1.8]))
            left, right = densities.subplots(1, 2)
            for axes, one, scale in ((left, pair[0], ""), (right, pair[1], "density  ($1/a_M^2$)")):
                draw_density(axes, *one[1:4], origin=one.origin, label=scale, title=at(one.axis, one.at))
            right.set_ylabel("")
        upper, middle, lower = curves.subplots(3, 1, sharex=True, height_ratios=[3, 1.5, 2.2])
        draw_transition(upper, found)
        for candidate, color, _ in _drawn(found):
            residuals = (values - candidate.fit.curve(x)) / errors
            middle.plot(x, residuals, color=color, linestyle="none", marker="s" if color == VERMILLION else "x")
        _points(lower, x, scan.energy.values, scan.energy.errors, BLUE, "o")
        lower.plot(x, scan.energy.values, color=BLUE, linewidth=0.8, alpha=0.45, zorder=1)
        middle.axhspan(-1, 1, color=SHADE, linewidth=0, zorder=0)
        for axes in (middle, lower):
            ticks(axes)
            _mark(axes, place)
        upper.label_outer()
        middle.set_ylabel("residual\n/ error")
        lower.set_ylabel("energy per\nelectron  ($E_0$)")
        lower.set_xlabel(label(scan.axis))
        curves.align_ylabels([upper, middle, lower])
    return fig


def draw_transition(axes: Axes, found: Transition) -> None:
    """Interaction energy per electron with the best transition and the best smooth curve, χ²/dof of each beside it.

    Args:
        axes: drawn into.
        found: from `qernel.transition.analyse`.
    """
    scan, place = found.scan, found.place
    x, (values, errors) = scan.points, scan.interaction
    with style():
        for candidate, color, dashes in _drawn(found):
            for part in _pieces(candidate.fit.place[0], candidate.fit.width[0], x):
                axes.plot(part, candidate.fit.curve(part), color=color, linestyle=dashes, linewidth=0.9, zorder=1)
            fit = f"{_label(candidate.model)}, {goodness(candidate.chi2, candidate.dof)}"
            axes.plot([], [], color=color, linestyle=dashes, label=fit)
        _points(axes, x, values, errors, VERMILLION, "s")
        ticks(axes)
        _mark(axes, place)
        axes.legend(loc="best")
        none = {"smooth": "no transition seen", "undecided": "undecided"}
        symbol = critical(scan.axis)
        said = f"no ${symbol}$: {none[found.verdict]}" if place is None else f"${symbol} = {place!r}$"
        axes.set_title(f"{literal(scan.model)}: {said}" if scan.model else said)
        axes.set_ylabel("interaction energy\nper electron  ($E_0$)")
        axes.set_xlabel(label(scan.axis))


def _drawn(found: Transition) -> list[tuple[Candidate, str, str]]:
    """The curves that are drawn, with colour and dashes."""
    chosen = [] if found.chosen is None else [(found.chosen, VERMILLION, "-")]
    return [*chosen, (found.smooth, INK, "--")]


def _mark(axes: Axes, place: Quantity | None) -> None:
    """The place of a transition, with one standard error in grey."""
    if place is not None:
        axes.axvspan(place.value - place.error, place.value + place.error, color=SHADE, linewidth=0, zorder=0)
        axes.axvline(place.value, color=INK, linewidth=0.7, zorder=0.5)


def goodness(chi2: float, dof: int) -> str:
    """How well a curve fits."""
    return f"$\\chi^2$/dof = {chi2:.1f}/{dof}"


def phases_figure(found: Phases) -> Figure:
    """Interaction energy of both phases, and the difference of their total energies with its fit.

    Args:
        found: from `qernel.transition.compare_phases`.
    """
    x = found.first.points
    with style():
        fig: Figure = figure(4.8, 4.8)
        upper, lower = fig.subplots(2, 1, sharex=True)
        for scan, color, marker in ((found.first, BLUE, "o"), (found.second, VERMILLION, "s")):
            _points(upper, x, *scan.interaction, color, marker)
            line: dict[str, Any] = {"color": color, "linewidth": 0.8, "alpha": 0.45, "zorder": 1}
            upper.plot(x, scan.interaction.values, label=literal(scan.name), **line)
        ticks(upper)
        _mark(upper, found.place)
        upper.legend(loc="best")
        upper.set_ylabel("interaction energy\nper electron  ($E_0$)")
        draw_phases(lower, found)
        upper.set_title(lower.get_title())
        lower.set_title("")
        fig.align_ylabels([upper, lower])
    return fig


def draw_phases(axes: Axes, found: Phases) -> None:
    """Difference of the total energies of two phases with its fit, χ²/dof beside it.

    Args:
        axes: drawn into.
        found: from `qernel.transition.compare_phases`.
    """
    x, fit, place = found.first.points, found.difference, found.place
    with style():
        differences = found.second.energy.values - found.first.energy.values
        _points(axes, x, differences, np.hypot(found.first.energy.errors, found.second.energy.errors), INK, "D")
        fine = np.linspace(x[0], x[-1], 200)
        curve = np.polynomial.polynomial.polyval(fine - fit.origin, fit.coefficients)
        name = f"{_label(f'smooth{len(fit.coefficients) - 1}')}, {goodness(fit.chi2, fit.dof)}"
        axes.plot(fine, curve, color=INK, zorder=1, label=name)
        axes.axhline(0.0, color=INK, linewidth=0.7, linestyle=":", zorder=0.5)
        ticks(axes)
        _mark(axes, place)
        axes.legend(loc="best")
        model, symbol = found.first.model, critical(found.first.axis)
        said = "the energies do not cross" if place is None else f"${symbol} = {place!r}$"
        axes.set_title(f"{literal(model)}: {said}" if model else said)
        axes.set_ylabel("difference of energies\nper electron  ($E_0$)")
        axes.set_xlabel(label(found.first.axis))


def _points(axes: Axes, x: FloatArray, values: FloatArray, errors: FloatArray, color: str, marker: str) -> None:
    axes.errorbar(x, values, errors, linestyle="none", marker=marker, color=color, elinewidth=1.0, zorder=3)


def _pieces(place: float, width: float, x: FloatArray) -> list[FloatArray]:
    """Where to evaluate a curve: in two pieces if it has a sharp transition."""
    fine = np.linspace(x[0], x[-1], 400)
    if np.isnan(place) or width > 0:
        return [fine]
    return [np.append(fine[fine < place], place), np.append(np.nextafter(place, np.inf), fine[fine > place])]


def _label(model: str) -> str:
    names = {"kink": "kink", "jump": "jump", "step": "rounded step", "smooth1": "straight line"}
    return names.get(model, f"polynomial of degree {model[-1]}")
