"""Training curves: has the optimisation converged, and to which phase at each λ?"""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qernel.errors import RunError
from qernel.files import read_text
from qernel.plots.style import FloatArray, equal_columns, figure, sequential, style, ticks, widened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

METRICS_FILE = "metrics.csv"
"""What a run records while it trains."""

_LARGEST = 1e30


def read_metrics(path: Path, needs: Collection[str] = ()) -> dict[str, list[float]]:
    """The columns of a metrics file; a line that a killed run left unfinished is not read.

    Args:
        path: the file.
        needs: columns that have to be there; those of ``iteration``, ``group`` and ``lam`` without gaps.

    Returns:
        Columns by name; nan where a cell is empty.

    Raises:
        RunError: if there is no such file, or it is no table of numbers: naming the line or the column.
    """
    if not path.exists():
        raise RunError(f"{path} does not exist: name a run folder or its {METRICS_FILE}")
    try:
        text = read_text(path)
        rows = list(csv.reader(text.splitlines()))
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, csv.Error) as error:
        raise RunError(f"{path} is no table of numbers: {error}") from error
    head, *lines = rows or [[]]
    if lines and not text.endswith("\n"):
        lines.pop()
    _check_head(path, head, needs if lines else ())
    table = [_numbers(path, index, head, line) for index, line in enumerate(lines, 2)]
    columns = {name: [row[index] for row in table] for index, name in enumerate(head)}
    for name in ("iteration", "group", "lam"):
        if not np.isfinite(columns.get(name, [])).all():
            raise RunError(f"{path} has lines without a number under {name}: remove them")
    return columns


def _check_head(path: Path, head: Sequence[str], needs: Collection[str]) -> None:
    twice = [name for name in head if head.count(name) > 1]
    if twice:
        raise RunError(f"{path} has two columns {twice[0]!r}: remove one of them")
    missing = [name for name in needs if name not in head]
    if missing:
        there = ", ".join(head)[:200]
        raise RunError(
            f"{path} is no metrics file of a run: it lacks the columns {', '.join(missing)}, and has {there}"
        )


def _numbers(path: Path, line: int, head: Sequence[str], cells: Sequence[str]) -> list[float]:
    if len(cells) != len(head):
        raise RunError(
            f"{path} has {len(cells)} cells in line {line} under {len(head)} columns: remove or mend the line"
        )
    result = []
    for name, cell in zip(head, cells, strict=True):
        try:
            value = float(cell or "nan")
        except ValueError:
            raise RunError(f"{path} has {cell[:40]!r} under {name} in line {line}: it is no table of numbers") from None
        # What cannot be drawn is not: an optimisation that diverged.
        result.append(value if abs(value) < _LARGEST else math.nan)
    return result


def training_curves(metrics: Mapping[str, Any]) -> Figure:
    """Energy per electron, and the order parameter, against the training step, coloured by λ.

    A grid of at most 24 depths gives one line for each, with its error band; otherwise, as when λ is
    drawn afresh at every step, every row becomes a point. The vertical range is that of the last
    three quarters of the training: the descent from the initial state leaves through the top. Several systems have
    lines, or points, of their own kind.

    Args:
        metrics: columns of equal length, one row per step and λ: ``step`` (or ``iteration``, as in the metrics file
            of a run); ``lam`` in units of V0; ``energy`` per electron and its one-sigma ``error`` in E0; and, if there
            are any, ``order_parameter`` (dimensionless) and ``system``, a number. A pandas data frame will do, and so
            will a dictionary.
    """
    if "step" not in metrics and "iteration" in metrics:
        metrics = {name: metrics[name] for name in metrics} | {"step": metrics["iteration"]}
    missing = [name for name in ("step", "lam", "energy", "error") if name not in metrics]
    if missing:
        raise ValueError(f"metrics lacks the columns {', '.join(missing)}: it has {', '.join(map(str, metrics))}")
    names = ["step", "lam", "energy", "error"] + ["order_parameter"] * ("order_parameter" in metrics)
    systems = {"system": metrics["system"]} if "system" in metrics else {}
    columns = equal_columns(**{name: metrics[name] for name in names}, **systems)
    step, lam = columns["step"], columns["lam"]
    settled = step >= step.min() + 0.25 * np.ptp(step)

    with style():
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        panels = len(names) - 3
        fig: Figure = figure(5.6, 2.9 if panels == 1 else 4.9)
        all_axes = fig.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
        shades = ScalarMappable(Normalize(*widened(lam)), sequential())
        _every_system(all_axes[0], shades, columns, "energy", columns["error"])
        _show_settled(all_axes[0], columns["energy"][settled])
        all_axes[0].set_ylabel("energy per electron  ($E_0$)")
        if panels == 2:
            _every_system(all_axes[1], shades, columns, "order_parameter", None)
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


_KINDS = (("-", "o"), ("--", "s"), (":", "^"), ("-.", "D"))
"""Lines and points of the systems of a run, one after the other, from the beginning again beyond these."""


def _every_system(
    axes: Axes, shades: Any, columns: Mapping[str, FloatArray], name: str, error: FloatArray | None
) -> None:
    """`_curves` of one column, those of each system by themselves, with a legend where there are several."""
    systems = columns.get("system", np.zeros(len(columns[name])))
    numbers = np.unique(systems)
    for number, kind in zip(numbers, itertools.cycle(_KINDS)):
        own = systems == number
        spread = None if error is None else error[own]
        _curves(axes, shades, columns["step"][own], columns["lam"][own], columns[name][own], spread, kind)
        if len(numbers) > 1:
            label = f"system {number:.0f}" if number else "[system]"
            axes.plot([], [], linestyle=kind[0], marker=kind[1], markersize=2.0, color="0.4", label=label)
    if len(numbers) > 1:
        axes.legend()


def _curves(
    axes: Axes,
    shades: Any,
    x: FloatArray,
    lam: FloatArray,
    y: FloatArray,
    error: FloatArray | None,
    kind: tuple[str, str],
) -> None:
    """A line for each λ of a grid, or a point for each row, of one kind of both."""
    line, marker = kind
    depths = np.unique(np.round(lam, 9))
    if depths.size > 24:
        axes.scatter(x, y, s=3.0, c=shades.to_rgba(lam), marker=marker, linewidths=0, rasterized=True)
        return
    for depth in depths:
        rows = np.flatnonzero(np.abs(lam - depth) < 1e-8)
        rows = rows[np.argsort(x[rows], kind="stable")]
        color = shades.to_rgba(depth)
        if error is not None:
            spread = error[rows]
            axes.fill_between(x[rows], y[rows] - spread, y[rows] + spread, color=color, alpha=0.25, linewidth=0)
        axes.plot(x[rows], y[rows], color=color, linewidth=0.9, linestyle=line)


def _show_settled(axes: Axes, y: FloatArray) -> None:
    """Limits the vertical range to the values ``y``, with some air."""
    finite = y[np.isfinite(y)]
    if finite.size:
        low, high = float(finite.min()), float(finite.max())
        air = 0.06 * (high - low) or 0.01 * abs(high) or 1.0
        axes.set_ylim(low - air, high + 3.0 * air)
