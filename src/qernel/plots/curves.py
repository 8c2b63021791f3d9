"""Curves with error bars: one for each value of a parameter, or a single number against it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qernel.along import LAM, Axis
from qernel.plots.axes import at, label
from qernel.plots.style import BLUE, equal_columns, figure, sequential, style, ticks, widened

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_THIN: dict[str, Any] = {"markersize": 2.6, "linewidth": 0.8, "elinewidth": 0.8, "capsize": 1.2}


def curves_of_lam(
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
) -> Figure:
    """A function of one variable at several values of a parameter, coloured by it.

    Args:
        x: positions ``[n]``.
        lam: values of the parameter ``[m]``: moiré depths in units of V0, where nothing else is said.
        values: ``[m, n]``.
        errors: one standard error of each, ``[m, n]``.
        xlabel: of the horizontal axis, with its unit.
        ylabel: of the vertical axis, with its unit.
        reference: height of a thin line, such as 1 for a pair correlation.
        joined: whether neighbouring points are joined by a line; not where several belong to one x.
        axis: the parameter.
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

        fig: Figure = figure(5.2, 3.4)
        axes = fig.subplots()
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
            bar = fig.colorbar(shades, ax=axes, pad=0.02, aspect=26)
            bar.set_label(label(axis))
            bar.outline.set_linewidth(0.0)
        else:
            axes.set_title(at(axis, float(depths[0])))
    return fig


def versus_lam(
    lam: npt.ArrayLike, values: npt.ArrayLike, errors: npt.ArrayLike, *, ylabel: str, axis: Axis = LAM
) -> Figure:
    """One number with its error bar against λ, or another parameter.

    Args:
        lam: values of the parameter ``[n]``, in any order: moiré depths in units of V0, where nothing else is said.
        values: ``[n]``.
        errors: one standard error of each, ``[n]``.
        ylabel: of the vertical axis, with its unit.
        axis: the parameter.
    """
    columns = equal_columns(lam=lam, values=values, errors=errors)
    order = np.argsort(columns["lam"], kind="stable")
    x, y, error = (column[order] for column in columns.values())
    with style():
        fig: Figure = figure(4.8, 3.0)
        axes = fig.subplots()
        axes.plot(x, y, color=BLUE, linewidth=0.8, alpha=0.45)
        axes.errorbar(x, y, error, linestyle="none", marker="o", color=BLUE, elinewidth=1.0)
        axes.set_xlabel(label(axis))
        axes.set_ylabel(ylabel)
        ticks(axes)
    return fig
