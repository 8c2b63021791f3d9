"""Which experts act along a parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from qernel.along import LAM, Axis
from qernel.plots.axes import label
from qernel.plots.style import MARKERS, PALETTE, figure, style, ticks

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def routing_curves(
    lam: npt.ArrayLike,
    gates: npt.ArrayLike,
    errors: npt.ArrayLike,
    active: npt.ArrayLike,
    active_errors: npt.ArrayLike,
    *,
    axis: Axis = LAM,
    title: str = "",
) -> Figure:
    """A row for each block: mean gates (left) and the fraction of configurations acted on (right), against a parameter.

    Args:
        lam: values of the parameter ``[n]``, in any order.
        gates: mean gates ``[n, blocks, experts]``.
        errors: one standard error of each.
        active: fraction of configurations an expert is open to, of the same shape.
        active_errors: one standard error of each.
        axis: the parameter.
        title: what the figure shows.
    """
    x = np.atleast_1d(np.asarray(lam, dtype=np.float64))
    order = np.argsort(x, kind="stable")
    columns = [np.asarray(values, dtype=np.float64) for values in (gates, errors, active, active_errors)]
    if any(values.shape != columns[0].shape or values.shape[:1] != x.shape for values in columns):
        raise ValueError(
            f"gates have shapes {[values.shape for values in columns]} for {len(x)} values of {axis.symbol}"
        )
    blocks, experts = columns[0].shape[1:]
    with style():
        fig: Figure = figure(7.2, 0.6 + 2.1 * blocks)
        panels = fig.subplots(blocks, 2, sharex=True, squeeze=False)
        for block in range(blocks):
            for axes, values, bars in ((panels[block, 0], *columns[:2]), (panels[block, 1], *columns[2:])):
                for expert in range(experts):
                    axes.errorbar(
                        x[order],
                        values[order, block, expert],
                        bars[order, block, expert],
                        color=PALETTE[expert % len(PALETTE)],
                        marker=MARKERS[expert % len(MARKERS)],
                        markersize=3.2,
                        linewidth=0.8,
                        elinewidth=0.8,
                        label=f"expert {expert + 1}",
                    )
                ticks(axes)
            panels[block, 0].set_ylabel(f"mean gate, block {block + 1}")
            panels[block, 1].set_ylabel("fraction active")
        for axes in panels[-1]:
            axes.set_xlabel(label(axis))
        fig.suptitle(title, fontsize=10)
        panels[0, 1].legend(fontsize=7.0)
    return fig
