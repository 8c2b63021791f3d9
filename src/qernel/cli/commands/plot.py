"""``qernel plot``: figures drawn again from stored data."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from qernel import outputs
from qernel.errors import QernelError, RunError
from qernel.files import require_writable
from qernel.plots.kinds import KINDS, PHASE_MAP, TRANSITION, VERSUS_LAM, draw, draw_map
from qernel.plots.style import FORMATS, save
from qernel.soundness import resting_on

if TYPE_CHECKING:
    from qernel.plots.kinds import Figures


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``qernel plot``."""
    parser.description = (
        "Draw a figure again from stored data, as PNG and PDF, or SVG. "
        + "; ".join(f"{name}: {kind.summary}" for name, kind in KINDS.items())
        + f"; {TRANSITION}: the fits of qernel transition; {VERSUS_LAM}: a single number against λ, or another "
        f"parameter; {PHASE_MAP}: a single number over two parameters, with the boundary; "
        "convergence: energies of a run above those of its end, their variance, and the order parameter."
    )
    parser.add_argument(
        "kind",
        metavar="KIND",
        choices=(*KINDS, TRANSITION, VERSUS_LAM, PHASE_MAP, "convergence"),
        help="what to draw (listed above)",
    )
    parser.add_argument(
        "file",
        metavar="FILE",
        help=f"a .nc file; for convergence a run folder or its metrics.csv, for {PHASE_MAP} a folder of scan --over",
    )
    parser.add_argument("--variable", metavar="NAME", help=f"the single number that {VERSUS_LAM} or {PHASE_MAP} draws")
    parser.add_argument(
        "--format", nargs="+", choices=FORMATS, default=["png", "pdf"], help="what to write (default: png pdf)"
    )
    parser.add_argument("--out", metavar="DIR", default=".", help="folder to write (default: the working directory)")


def run(options: argparse.Namespace) -> int:
    """Draw, and write each figure in the formats asked for."""
    source, folder, stem = Path(options.file), Path(options.out), options.variable or options.kind
    require_writable(folder, [f"{stem}.{suffix}" for suffix in options.format])
    if options.variable is not None and options.kind not in (VERSUS_LAM, PHASE_MAP):
        raise QernelError(f"--variable is for {VERSUS_LAM} and {PHASE_MAP}: leave it out with {options.kind}")
    if options.kind == "convergence":
        from qernel.plots.training import METRICS_FILE

        source = source / METRICS_FILE if source.is_dir() else source
        figures = convergence(source)
    elif options.kind == PHASE_MAP:
        figures = draw_map(source, options.variable)
    else:
        from qernel.storage import open

        data = open(source)
        with resting_on(source):
            figures = draw(options.kind, data, options.variable)
    bases = {folder / (f"{stem}-{key}" if key else stem): figure for key, figure in figures.items()}
    paths = [base.with_name(f"{base.name}.{suffix}") for base in bases for suffix in options.format]
    outputs.refuse_existing(paths)
    with resting_on(source):
        for base, figure in bases.items():
            save(figure, base, options.format)
    print(f"written: {', '.join(str(path) for path in paths)}")
    return 0


def convergence(path: Path) -> Figures:
    """Training curves from a run's metrics file.

    Raises:
        RunError: if there is no such file, or it is something else.
    """
    from qernel.plots.training import curves_of_run, read_metrics

    columns = read_metrics(path, ("iteration", "lam", "energy", "error"))
    if not columns.get("iteration"):
        raise RunError(f"{path} is no metrics file of a run: it has no lines of numbers yet")
    with resting_on(path):
        return {"": curves_of_run(path, columns)}
