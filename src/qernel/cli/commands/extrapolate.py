"""``qernel extrapolate``: energies of several wavefunctions, continued to zero variance."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from qernel.cli.shared import outputs
from qernel.cli.shared.options import add_json, add_resampling
from qernel.errors import QernelError
from qernel.records import to_record
from qernel.text import columns

if TYPE_CHECKING:
    from qernel.estimators.extrapolate import Extrapolation

NAME = "extrapolation"

COLUMNS: Final = {
    "states": "wavefunctions that the line goes through",
    "lowest": "lowest of their energies per electron in E0",
    "at zero variance": "energy per electron in E0 where the line meets Var(E_L) = 0: an estimate, no upper bound",
    "difference": "at zero variance less the lowest, in E0",
    "slope": "dE/dVar of the line, in 1/E0",
    "p": "how often a line would fit worse by chance",
}
"""Columns after λ, with their meaning."""


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``qernel extrapolate``."""
    parser.description = (
        "Draw a straight line through energy against variance of the local energy of several wavefunctions at the same "
        "λ (a run at different stages, or networks of different size) and read off the energy at zero variance: an "
        "estimate of the ground state, not a bound."
    )
    parser.add_argument(
        "files", metavar="FILE", nargs="+", help="two or more .nc files of qernel observe --observable energy v_score"
    )
    add_resampling(parser)
    parser.add_argument("--out", metavar="DIR", help=f"folder to write: {NAME}.json and a figure")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Fit at every λ, print the table or the JSON object, and write both where a folder is given."""
    from qernel.estimators.extrapolate import extrapolate, read_states

    if len(options.files) < 2:
        raise QernelError(f"{options.files[0]} alone gives no line: name the files of two or more wavefunctions")
    paths = outputs.analysis_paths(options.out, NAME)
    found = [
        extrapolate(lam, states, names, resamples=options.resamples, seed=options.seed)
        for lam, states, names in read_states(options.files)
    ]
    data = to_record(
        {
            "results": [one.as_dict() for one in found],
            "files": options.files,
            "resamples": options.resamples,
            "seed": options.seed,
            "units": {"energies": "E0 per electron", "variances": "E0^2 per electron", "slope": "1/E0"},
        }
    )
    if paths:
        from qernel.plots.extrapolation import extrapolation_figure

        outputs.write_analysis(paths, data, extrapolation_figure(found))
    print(data if options.json else table(found))
    if paths and not options.json:
        print(f"\nwritten: {', '.join(str(path) for path in paths)}")
    return 0


def table(found: list[Extrapolation]) -> str:
    """A row for each λ, and what the last column means."""
    rows = [["λ", *COLUMNS]]
    for one in found:
        gain = "" if one.energy is None else f"{one.energy.value - one.lowest.value:.4f}"
        rows.append(
            [
                f"{one.lam:g}",
                str(len(one.names)),
                one.lowest.number,
                "does not fall" if one.energy is None else one.energy.number,
                gain,
                one.slope.number,
                "" if one.p_value is None else f"{one.p_value:.2g}",
            ]
        )
    note = "Energies per electron in E0, slope dE/dVar in 1/E0. At zero variance: an estimate, not an upper bound"
    return f"{columns(rows)}\n\n{note}; p: how often a line would fit worse by chance."
