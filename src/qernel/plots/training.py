"""Training curves: has the optimisation converged, and to which phase at each λ?"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qernel.errors import RunError
from qernel.files import regular
from qernel.plots.style import FloatArray, equal_columns, figure, sequential, style, ticks, widened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

METRICS_FILE = "metrics.csv"
"""What a run records while it trains."""


def read_metrics(path: Path) -> dict[str, list[float]]:
    """The columns of a metrics file; a line that a killed run left unfinished is not read.

    Raises:
        RunError: if there is no such file, or it is no table of numbers.
    """
    if not path.exists():
        raise RunError(f"{path} does not exist: name a run folder or its {METRICS_FILE}")
    try:
        with regular(path).open(newline="", encoding="utf-8") as handle:
            rows = list(csv.reader(handle))
        head = rows[0] if rows else []
        table = [[float(cell) for cell in row] for row in rows[1:] if len(row) == len(head)]
    except (OSError, ValueError) as error:
        raise RunError(f"{path} is no table of numbers: {error}") from error
    return {name: [row[index] for row in table] for index, name in enumerate(head)}


def training_curves(metrics: Mapping[str, Any]) -> Figure:
    """Energy per electron, and the order parameter, against the training step, coloured by λ.

    A grid of at most 24 depths gives one line for each, with its error band; otherwise, as when λ is
    drawn afresh at every step, every row becomes a point. The vertical range is that of the last
    three quarters of the training: the descent from the initial state leaves through the top.

    Args:
        metrics: columns of equal length, one row per step and λ: ``step`` (or ``iteration``, as in the metrics file
            of a run); ``lam`` in units of V0; ``energy`` per electron and its one-sigma ``error`` in E0; and, if
            there is one, ``order_parameter`` (dimensionless). A pandas data frame will do, and so will a dictionary.
    """
    if "step" not in metrics and "iteration" in metrics:
        metrics = {name: metrics[name] for name in metrics} | {"step": metrics["iteration"]}
    missing = [name for name in ("step", "lam", "energy", "error") if name not in metrics]
    if missing:
        raise ValueError(f"metrics lacks the columns {', '.join(missing)}: it has {', '.join(map(str, metrics))}")
    names = ["step", "lam", "energy", "error"] + ["order_parameter"] * ("order_parameter" in metrics)
    columns = equal_columns(**{name: metrics[name] for name in names})
    step, lam = columns["step"], columns["lam"]
    settled = step >= step.min() + 0.25 * np.ptp(step)

    with style():
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        panels = len(names) - 3
        fig: Figure = figure(5.6, 2.9 if panels == 1 else 4.9)
        all_axes = fig.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
        shades = ScalarMappable(Normalize(*widened(lam)), sequential())
        _curves(all_axes[0], shades, step, lam, columns["energy"], columns["error"])
        _show_settled(all_axes[0], columns["energy"][settled])
        all_axes[0].set_ylabel("energy per electron  ($E_0$)")
        if panels == 2:
            _curves(all_axes[1], shades, step, lam, columns["order_parameter"], None)
            all_axes[1].set_ylabel("order parameter")
            if columns["order_parameter"].min() >= 0.0:
                all_axes[1].set_ylim(bottom=0.0)
        all_axes[-1].set_xlabel("training step")
        all_axes[-1].set_xlim(*widened(step))
        for axes in all_axes:
            ticks(axes)
        fig.align_ylabels(list(all_axes))
        bar = fig.colorbar(shades, ax=list(all_axes), pad=0.02, aspect=30)
        bar.set_label("moiré depth  $\\lambda = V/V_0$")
        bar.outline.set_linewidth(0.0)
    return fig


def _curves(axes: Axes, shades: Any, x: FloatArray, lam: FloatArray, y: FloatArray, error: FloatArray | None) -> None:
    """A line for each λ of a grid, or a point for each row."""
    depths = np.unique(np.round(lam, 9))
    if depths.size > 24:
        axes.scatter(x, y, s=3.0, c=shades.to_rgba(lam), linewidths=0, rasterized=True)
        return
    for depth in depths:
        rows = np.flatnonzero(np.abs(lam - depth) < 1e-8)
        rows = rows[np.argsort(x[rows], kind="stable")]
        color = shades.to_rgba(depth)
        if error is not None:
            spread = error[rows]
            axes.fill_between(x[rows], y[rows] - spread, y[rows] + spread, color=color, alpha=0.25, linewidth=0)
        axes.plot(x[rows], y[rows], color=color, linewidth=0.9)


def _show_settled(axes: Axes, y: FloatArray) -> None:
    """Limits the vertical range to the values ``y``, with some air."""
    finite = y[np.isfinite(y)]
    if finite.size:
        low, high = float(finite.min()), float(finite.max())
        air = 0.06 * (high - low) or 0.01 * abs(high) or 1.0
        axes.set_ylim(low - air, high + 3.0 * air)
