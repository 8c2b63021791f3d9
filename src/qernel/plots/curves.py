"""Curves with error bars: one for each value of a parameter, or a single number against it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qernel.along import LAM, Axis
from qernel.plots.axes import at, label, shade_untrained
from qernel.plots.style import BLUE, equal_columns, figure, sequential, style, ticks, widened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_THIN: dict[str, Any] = {"markersize": 2.6, "linewidth": 0.8, "elinewidth": 0.8, "capsize": 1.2}


def draw_curves(
    axes: Axes,
    x: npt.ArrayLike,
    lam: npt.ArrayLike,
    values: npt.ArrayLike,
    errors: npt.ArrayLike,
    *,
    xlabel: str,
    ylabel: str,
    reference: float | None = None,
    joined: bool = True,
    axis: Axis = LAM,
    title: str = "",
) -> None:
    """A function of one variable at several values of a parameter, coloured by it.

    Args:
        axes: drawn into.
        x: positions ``[n]``.
        lam: values of the parameter ``[m]``: moiré depths in units of V0, where nothing else is said.
        values: ``[m, n]``.
        errors: one standard error of each, ``[m, n]``.
        xlabel: of the horizontal axis, with its unit.
        ylabel: of the vertical axis, with its unit.
        reference: height of a thin line, such as 1 for a pair correlation.
        joined: whether neighbouring points are joined by a line; not where several belong to one x.
        axis: the parameter.
        title: what is shown; default: the value of the parameter, where there is one.
    """
    places, depths = np.asarray(x, dtype=np.float64), np.atleast_1d(np.asarray(lam, dtype=np.float64))
    y, error = (np.asarray(array, dtype=np.float64).reshape(len(depths), -1) for array in (values, errors))
    if y.shape != (len(depths), places.size) or error.shape != y.shape or places.ndim != 1:
        raise ValueError(
            f"values and errors have shapes {y.shape}, {error.shape}: expected {(len(depths), places.size)}"
        )
    order = np.argsort(places, kind="stable")
    with style():
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        shades = ScalarMappable(Normalize(*widened(depths)), sequential())
        if reference is not None:
            axes.axhline(reference, color="#999999", linewidth=0.6, zorder=0)
        for depth, row, bars in zip(depths, y, error, strict=True):
            look: dict[str, Any] = {"color": shades.to_rgba(depth), "linestyle": "-" if joined else "none"}
            axes.errorbar(places[order], row[order], bars[order], marker="o", **look, **_THIN)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        ticks(axes)
        if len(depths) > 1:
            bar = axes.figure.colorbar(shades, ax=axes, pad=0.02, aspect=26)
            bar.set_label(label(axis))
            bar.outline.set_linewidth(0.0)
        axes.set_title(title or (at(axis, float(depths[0])) if len(depths) == 1 else ""))


def versus_lam(
    lam: npt.ArrayLike, values: npt.ArrayLike, errors: npt.ArrayLike, *, ylabel: str, axis: Axis = LAM
) -> Figure:
    """`draw_versus_lam` in a figure of its own."""
    with style():
        fig: Figure = figure(4.8, 3.0)
        draw_versus_lam(fig.subplots(), lam, values, errors, ylabel=ylabel, axis=axis)
    return fig


def draw_versus_lam(
    axes: Axes,
    lam: npt.ArrayLike,
    values: npt.ArrayLike,
    errors: npt.ArrayLike,
    *,
    ylabel: str,
    axis: Axis = LAM,
    title: str = "",
    trained: tuple[float, float] | None = None,
    gaps: Sequence[tuple[float, float]] = (),
) -> None:
    """One number with its error bar against λ, or another parameter.

    Args:
        axes: drawn into.
        lam: values of the parameter ``[n]``, in any order: moiré depths in units of V0, where nothing else is said.
        values: ``[n]``.
        errors: one standard error of each, ``[n]``.
        ylabel: of the vertical axis, with its unit.
        axis: the parameter.
        title: what is shown.
        trained: the interval of the training; grey beyond, where there are points.
        gaps: intervals inside that were left out of it, grey likewise.
    """
    columns = equal_columns(lam=lam, values=values, errors=errors)
    order = np.argsort(columns["lam"], kind="stable")
    x, y, error = (column[order] for column in columns.values())
    with style():
        axes.plot(x, y, color=BLUE, linewidth=0.8, alpha=0.45)
        axes.errorbar(x, y, error, linestyle="none", marker="o", color=BLUE, elinewidth=1.0)
        axes.set_xlabel(label(axis))
        axes.set_ylabel(ylabel)
        axes.set_title(title)
        if trained is not None:
            left, right = axes.get_xlim()
            low, high = trained
            shown = (left if x[0] >= low - 1e-9 else low, right if x[-1] <= high + 1e-9 else high)
            shade_untrained(axes, (left, right), shown, gaps)
            axes.set_xlim(left, right)
        ticks(axes)
