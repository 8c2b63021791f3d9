"""Curves with error bars: one for each λ, or a single number against λ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from qernel.plots.style import BLUE, equal_columns, figure, sequential, style, ticks, widened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LAM_LABEL = "moiré depth  $\\lambda = V/V_0$"


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
) -> Figure:
    """A function of one variable for several λ, coloured by λ.

    Args:
        x: positions ``[n]``.
        lam: moiré depths ``[m]`` in units of V0.
        values: ``[m, n]``.
        errors: one standard error of each, ``[m, n]``.
        xlabel: of the horizontal axis, with its unit.
        ylabel: of the vertical axis, with its unit.
        reference: height of a thin line, such as 1 for a pair correlation.
        joined: whether neighbouring points are joined by a line; not where several belong to one x.
    """
    at, depths = np.asarray(x, dtype=np.float64), np.atleast_1d(np.asarray(lam, dtype=np.float64))
    y, error = (np.asarray(array, dtype=np.float64).reshape(len(depths), -1) for array in (values, errors))
    if y.shape != (len(depths), at.size) or error.shape != y.shape or at.ndim != 1:
        raise ValueError(f"values and errors have shapes {y.shape}, {error.shape}: expected {(len(depths), at.size)}")
    order = np.argsort(at, kind="stable")
    with style():
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        fig: Figure = figure(5.2, 3.4)
        axes = fig.subplots()
        shades = ScalarMappable(Normalize(*widened(depths)), sequential())
        if reference is not None:
            axes.axhline(reference, color="#999999", linewidth=0.6, zorder=0)
        for depth, row, bars in zip(depths, y, error, strict=True):
            axes.errorbar(
                at[order],
                row[order],
                bars[order],
                color=shades.to_rgba(depth),
                marker="o",
                markersize=2.6,
                linestyle="-" if joined else "none",
                linewidth=0.8,
                elinewidth=0.8,
                capsize=1.2,
            )
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        ticks(axes)
        if len(depths) > 1:
            bar = fig.colorbar(shades, ax=axes, pad=0.02, aspect=26)
            bar.set_label(LAM_LABEL)
            bar.outline.set_linewidth(0.0)
        else:
            axes.set_title(f"$\\lambda = {depths[0]:g}$")
    return fig


def versus_lam(lam: npt.ArrayLike, values: npt.ArrayLike, errors: npt.ArrayLike, *, ylabel: str) -> Figure:
    """One number with its error bar against λ.

    Args:
        lam: moiré depths ``[n]`` in units of V0, in any order.
        values: ``[n]``.
        errors: one standard error of each, ``[n]``.
        ylabel: of the vertical axis, with its unit.
    """
    columns = equal_columns(lam=lam, values=values, errors=errors)
    order = np.argsort(columns["lam"], kind="stable")
    x, y, error = (column[order] for column in columns.values())
    with style():
        fig: Figure = figure(4.8, 3.0)
        axes = fig.subplots()
        axes.plot(x, y, color=BLUE, linewidth=0.8, alpha=0.45)
        axes.errorbar(x, y, error, linestyle="none", marker="o", color=BLUE, elinewidth=1.0)
        axes.set_xlabel(LAM_LABEL)
        axes.set_ylabel(ylabel)
        ticks(axes)
    return fig
