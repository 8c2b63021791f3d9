"""``qernel plot``: figures drawn again from stored data."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import TYPE_CHECKING

from qernel.cli import outputs
from qernel.errors import QernelError, RunError
from qernel.plots.kinds import VERSUS_LAM, draw

if TYPE_CHECKING:
    from qernel.plots.kinds import Figures

METRICS = "metrics.csv"


def run(options: argparse.Namespace) -> int:
    """Draw, and write each figure as PNG and PDF."""
    source = Path(options.file)
    if options.variable is not None and options.kind != VERSUS_LAM:
        raise QernelError(f"--variable is for {VERSUS_LAM}: leave it out with {options.kind}")
    if options.kind == "convergence":
        source = source / METRICS if source.is_dir() else source
        figures = convergence(source)
    else:
        from qernel.storage import open

        figures = draw(options.kind, open(source), options.variable)
    folder = Path(options.out) if options.out else source.parent
    stem = options.variable or options.kind
    bases = {folder / (f"{stem}-{key}" if key else stem): figure for key, figure in figures.items()}
    paths = [base.with_name(base.name + suffix) for base in bases for suffix in (".png", ".pdf")]
    outputs.refuse_existing(paths)
    from qernel.plots.style import save

    for base, figure in bases.items():
        save(figure, base)
    print(f"written: {', '.join(str(path) for path in paths)}")
    return 0


def convergence(path: Path) -> Figures:
    """Training curves from a run's metrics file.

    Raises:
        RunError: if there is no such file, or it is something else.
    """
    from qernel.plots.training import training_curves

    columns = read_metrics(path)
    try:
        return {"": training_curves(columns)}
    except ValueError as error:
        raise RunError(f"{path} is no metrics file of a run: {error}") from error


def read_metrics(path: Path) -> dict[str, list[float]]:
    """The columns of a metrics file; a line that a killed run left unfinished is not read.

    Raises:
        RunError: if there is no such file, or it is no table of numbers.
    """
    if not path.exists():
        raise RunError(f"{path} does not exist: name a run folder or its {METRICS}")
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            rows = list(csv.reader(handle))
        head = rows[0] if rows else []
        table = [[float(cell) for cell in row] for row in rows[1:] if len(row) == len(head)]
    except (OSError, ValueError) as error:
        raise RunError(f"{path} is no table of numbers: {error}") from error
    return {name: [row[index] for row in table] for index, name in enumerate(head)}
