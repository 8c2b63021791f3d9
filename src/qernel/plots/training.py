"""What a run has recorded while it trained, and its figure."""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qernel.config import load_config
from qernel.errors import QernelError, RunError
from qernel.files import read_text
from qernel.plots.convergence import training_curves
from qernel.plots.style import literal
from qernel.text import describe

if TYPE_CHECKING:
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
        systems = load_config(path.parent / "config.toml", sections=("system", "family")).systems
    except QernelError:  # the figure does without
        return training_curves(columns, title=name)
    title = f"{name}: {' and '.join(describe(one.electrons, one.cells) for one in systems)}"
    return training_curves(columns, electrons=sum(systems[0].electrons) if len(systems) == 1 else None, title=title)
