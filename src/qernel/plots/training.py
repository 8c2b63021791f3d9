"""Training curves: has the optimisation converged, and to which phase at each λ?"""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qernel.config import load_config
from qernel.errors import QernelError, RunError
from qernel.estimators.statistics import summarise
from qernel.files import read_text
from qernel.hamiltonian.terms import parameters
from qernel.plots.style import INK, FloatArray, equal_columns, figure, literal, sequential, style, ticks, widened
from qernel.text import describe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

METRICS_FILE = "metrics.csv"
"""What a run records while it trains."""

_LARGEST = 1e30

_PARTS = 60
"""Most points of a mean over λ."""


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


def training_curves(metrics: Mapping[str, Any], *, electrons: int | None = None, title: str = "") -> Figure:
    """How far energies are above what the end of the training has, their variance, and the order parameter, by step.

    Energies differ between λ by far more than by what is left to learn, so that Ē, a polynomial in the parameters of
    the family through the energies of the last quarter of the training, is taken off each. The vertical range is that
    of the last three quarters: the descent from the initial state leaves through the top. A grid of at most 24 depths
    gives one line for each, with its error band; otherwise, as when λ drifts from step to step, every row becomes a
    point. Black is the mean over λ.

    Args:
        metrics: columns of equal length, one row per step and λ: ``step`` (or ``iteration``, as in the metrics file
            of a run); ``lam`` in units of V0; ``energy`` per electron and its one-sigma ``error`` in E0; and, if
            there are any, ``deviation`` of the local energy per electron in E0, ``order_parameter`` (dimensionless)
            and other parameters of the family. A pandas data frame will do, and so will a dictionary.
        electrons: how many there are: the variance is then that of all of them over their number, the extensive one.
        title: what was trained.
    """
    columns = _columns(metrics)
    step, lam = columns["step"], columns["lam"]
    settled = step >= step.min() + 0.25 * np.ptp(step)
    excess = columns["energy"] - _settled_energy(columns, step >= step.max() - 0.25 * np.ptp(step))
    # To be drawn: values, their errors, the label, and whether the axis is logarithmic.
    panels: list[tuple[FloatArray, FloatArray | None, str, bool]] = [
        (excess, columns["error"], "energy per electron\n$E - \\bar{E}(\\lambda)$  ($E_0$)", False)
    ]
    if "deviation" in columns:
        power, count = ("", electrons) if electrons else ("^2", 1)
        variance = f"variance of $E_\\mathrm{{loc}}$\nover $N{power}$  ($E_0^2$)"
        panels.append((count * columns["deviation"] ** 2, None, variance, True))
    if "order_parameter" in columns:
        panels.append((columns["order_parameter"], None, "order parameter\n$\\langle|\\rho_K|^2\\rangle$", False))
    with style():
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        fig: Figure = figure(5.6, 1.4 + 1.7 * len(panels))
        all_axes = fig.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        shades = ScalarMappable(Normalize(*widened(lam)), sequential())
        for axes, (values, errors, label, logarithmic) in zip(all_axes, panels, strict=True):
            axes.set_yscale("log" if logarithmic else "linear")
            _curves(axes, shades, step, lam, values, errors)
            _mean(axes, step, values, logarithmic)
            axes.set_ylabel(label)
            _ticked(axes, logarithmic)
        all_axes[0].axhline(0.0, color=INK, linewidth=0.6, linestyle=":", zorder=0.5)
        _show_settled(all_axes[0], excess[settled])
        if "order_parameter" in columns and columns["order_parameter"].min() >= 0.0:
            all_axes[-1].set_ylim(bottom=0.0)
        all_axes[0].set_title(title)
        all_axes[-1].set_xlabel("training step")
        all_axes[-1].set_xlim(*widened(step))
        fig.align_ylabels(list(all_axes))
        bar = fig.colorbar(shades, ax=list(all_axes), pad=0.02, aspect=30)
        bar.set_label("moiré depth  $\\lambda = V/V_0$")
        bar.outline.set_linewidth(0.0)
    return fig


def settling(metrics: Mapping[str, Any]) -> tuple[float, float] | None:
    """How the energy per electron changes from the third quarter of a training to the last, λ by λ, in E0.

    Returns:
        The change and its standard error, which knows that walkers stay where they are from one record to the next;
        None with fewer than eight records in either quarter.
    """
    columns = _columns(metrics)
    step = columns["step"]
    start = step.min() + 0.5 * np.ptp(step)
    excess = columns["energy"] - _settled_energy(columns, step >= start)
    means = np.array([[at, excess[(step == at) & np.isfinite(excess)].mean()] for at in np.unique(step[step >= start])])
    last = means[:, 0] >= step.max() - 0.25 * np.ptp(step)
    parts = means[~last, 1], means[last, 1]
    if min(map(len, parts)) < 8:
        return None
    third, fourth = (summarise(part[None]) for part in parts)
    return float(fourth.mean - third.mean), math.hypot(third.error, fourth.error)


def curves_of_run(path: Path, columns: Mapping[str, Any], *, told: bool = True) -> Figure:
    """`training_curves` of the metrics of a run, with what the configuration beside them says.

    Args:
        path: of the metrics file.
        columns: of it.
        told: whether that configuration is read.
    """
    name = literal(path.resolve().parent.name)
    if not told:
        return training_curves(columns, title=name)
    try:
        system = load_config(path.parent / "config.toml", sections=("system", "family")).system
    except QernelError:  # the figure does without
        return training_curves(columns, title=name)
    title = f"{name}: {describe(system.electrons, system.cells)}"
    return training_curves(columns, electrons=sum(system.electrons), title=title)


def _columns(metrics: Mapping[str, Any]) -> dict[str, FloatArray]:
    """What is drawn: the columns that are needed, and those that may be there."""
    if "step" not in metrics and "iteration" in metrics:
        metrics = {name: metrics[name] for name in metrics} | {"step": metrics["iteration"]}
    needed = ("step", "lam", "energy", "error")
    missing = [name for name in needed if name not in metrics]
    if missing:
        raise ValueError(f"metrics lacks the columns {', '.join(missing)}: it has {', '.join(map(str, metrics))}")
    more = [name for name in ("deviation", "order_parameter", *parameters()) if name in metrics and name != "lam"]
    return equal_columns(**{name: metrics[name] for name in (*needed, *more)})


def _settled_energy(columns: Mapping[str, FloatArray], late: Any) -> FloatArray:
    """Ē at the parameters of every row: a polynomial through the late ones, of total degree 4, or 2 of several."""
    axes = [columns[name] for name in columns if name in parameters() and np.ptp(columns[name]) > 0]
    scaled = [2.0 * (values - values.min()) / np.ptp(values) - 1.0 for values in axes]
    known = late & np.isfinite(columns["energy"])
    places = len(np.unique(np.round(np.stack(scaled, axis=-1)[known], 6), axis=0)) if scaled else 1
    degrees = (4, 3, 2, 1) if len(scaled) < 2 else (2, 1)
    degree = next((d for d in degrees if math.comb(d + len(scaled), d) <= places), 0)
    powers = [power for power in np.ndindex(*[degree + 1] * len(scaled)) if sum(power) <= degree]
    terms = [np.prod([x**n for x, n in zip(scaled, power, strict=True)], axis=0) for power in powers]
    design = np.stack([np.broadcast_to(term, columns["energy"].shape) for term in terms], axis=-1)
    error = columns["error"][known]
    weight = 1.0 / np.where(np.isfinite(error) & (error > 0), error, np.nanmax(error, initial=1e-12))
    found = np.linalg.lstsq(design[known] * weight[:, None], columns["energy"][known] * weight, rcond=None)[0]
    result: FloatArray = design @ found
    return result


def _mean(axes: Axes, step: FloatArray, values: FloatArray, logarithmic: bool) -> None:
    """The mean over λ in at most 60 parts of the training; of logarithms where the axis is."""
    edges = np.append(np.unique(step), np.inf)
    if len(edges) > _PARTS + 1:
        edges = np.append(np.linspace(step.min(), step.max(), _PARTS + 1)[:-1], np.inf)
    middles, means = [], []
    for low, high in itertools.pairwise(edges):
        inside = (step >= low) & (step < high) & np.isfinite(values) & ((values > 0) | (not logarithmic))
        if inside.any():
            middles.append(step[inside].mean())
            means.append(np.exp(np.log(values[inside]).mean()) if logarithmic else values[inside].mean())
    axes.plot(middles, means, color=INK, linewidth=1.1, zorder=3, label="mean over $\\lambda$")


def _ticked(axes: Axes, logarithmic: bool) -> None:
    if logarithmic:
        axes.tick_params(top=True, right=True, which="both")
    else:
        ticks(axes)


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
