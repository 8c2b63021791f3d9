"""Accuracy of several models against what they cost."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qernel.plots.style import MARKERS, PALETTE, FloatArray, figure, literal, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def accuracy_curves(
    curves: Sequence[tuple[str, npt.ArrayLike, npt.ArrayLike, npt.ArrayLike]],
    *,
    xlabel: str,
    ylabel: str,
    title: str = "",
) -> Figure:
    """Excess energy against cost on logarithmic axes.

    Curves of one name share colour and shape. An excess that is not positive has no place on a logarithmic axis: its
    upper end, value plus error, is drawn as a hollow triangle that points down.

    Args:
        curves: name, cost ``[n]``, excess ``[n]`` and one standard error ``[n]`` of each; NaN is left out.
        xlabel: of the cost, with its unit.
        ylabel: of the excess, with its unit.
        title: what was compared.
    """
    names = list(dict.fromkeys(name for name, *_ in curves))
    with style():
        labels = {name: textwrap.wrap(name, 64) for name in names}
        fig: Figure = figure(4.8, 3.1 + 0.13 * sum(map(len, labels.values())))
        axes = fig.subplots()
        axes.set_xscale("log")
        axes.set_yscale("log", nonpositive="clip")
        named: set[str] = set()
        costs: set[float] = set()
        for name, *columns in curves:
            x, y, error = (np.asarray(column, dtype=np.float64) for column in columns)
            if not x.shape == y.shape == error.shape or x.ndim != 1:
                raise ValueError(f"{name}: columns have shapes {x.shape}, {y.shape}, {error.shape}")
            kept = np.isfinite(x + y + error)
            order = np.argsort(x[kept], kind="stable")
            x, y, error = (column[kept][order] for column in (x, y, error))
            index = names.index(name)
            shape: dict[str, Any] = {"color": PALETTE[index % len(PALETTE)], "marker": MARKERS[index % len(MARKERS)]}
            label: dict[str, Any] = {"label": "\n".join(map(literal, labels[name]))} if name not in named else {}
            named.add(name)
            costs.update(x.tolist())
            logarithmic(axes, x, y, error, **shape, **label)
        if len(costs) == 1:  # Limits that are found around one place are that place.
            axes.set_xlim(min(costs) / 2, max(costs) * 2)
        _number_costs(axes, costs)
        fig.suptitle(title, fontsize=9.0)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        axes.tick_params(top=True, right=True, which="both")
        # Names say what distinguishes the models, which is long: inside they would cover curves.
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), fontsize=7.0)
    return fig


def _number_costs(axes: Axes, costs: set[float]) -> None:
    """Numbers along a logarithmic axis that do not overlap."""
    from matplotlib.ticker import LogFormatterSciNotation, LogLocator, MaxNLocator, NullLocator, ScalarFormatter

    if len(costs) > 1 and max(costs) < 5 * min(costs):  # hardly a place of a logarithmic scale: round numbers
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_locator(NullLocator())
        return
    # At 2 and 5 as well, where the axis is short: at all nine places they would overlap.
    axes.xaxis.set_minor_locator(LogLocator(subs=(2.0, 5.0)))
    axes.xaxis.set_minor_formatter(LogFormatterSciNotation(labelOnlyBase=False, minor_thresholds=(2.0, 2.0)))


def logarithmic(axes: Axes, x: FloatArray, y: FloatArray, error: FloatArray, **shape: Any) -> None:
    """A curve with error bars on a logarithmic y axis.

    What is not positive has no place on it: its upper end, value plus error, is drawn as a hollow triangle.
    """
    seen = y > 0
    axes.errorbar(x[seen], y[seen], error[seen], linewidth=0.9, elinewidth=0.9, markersize=4.0, **shape)
    limits = ~seen & (y + error > 0)
    upper: dict[str, Any] = {"linestyle": "none", "marker": "v", "markerfacecolor": "none"}
    axes.plot(x[limits], (y + error)[limits], color=shape["color"], **upper)
