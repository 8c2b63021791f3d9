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
    from qernel.estimators.extrapolate_projected import Meeting

NAME = "extrapolation"

COLUMNS: Final = {
    "states": "wavefunctions that the line goes through",
    "lowest": "lowest of their energies per electron in E0",
    "at zero variance": "energy per electron in E0 where the line meets Var(E_L) = 0: an estimate, no upper bound",
    "difference": "at zero variance less the lowest, in E0",
    "slope": "dE/dVar of the line, in 1/E0",
    "χ²/dof": "of the line",
    "p": "how often a line would fit worse by chance",
}
"""Columns after λ, with their meaning."""


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``qernel extrapolate``."""
    parser.description = (
        "Draw a straight line through energy against variance of the local energy of several wavefunctions at the same "
        "λ (a run at different stages, or networks of different size) and read off the energy at zero variance: an "
        "estimate of the ground state, not a bound. Files of qernel project give a second one: where the line through "
        "projected against variational energies meets equality."
    )
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="two or more .nc files of qernel observe --observable energy v_score, or of qernel project; or of both",
    )
    add_resampling(parser)
    parser.add_argument("--out", metavar="DIR", help=f"folder to write: {NAME}.json and a figure")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Fit at every λ, print the tables or the JSON object, and write both where a folder is given."""
    from qernel.estimators.extrapolate import extrapolate, read_states
    from qernel.estimators.extrapolate_projected import meeting, parted, read_pairs

    if len(options.files) < 2:
        raise QernelError(f"{options.files[0]} alone gives no line: name the files of two or more wavefunctions")
    paths = outputs.analysis_paths(options.out, NAME)
    observed, projected = parted(options.files)
    for files in (observed, projected):
        if len(files) == 1:
            kind = "qernel observe" if files is observed else "qernel project"
            raise QernelError(f"{files[0]} is the only file of {kind}, and one gives no line: name two or more")
    draws = {"resamples": options.resamples, "seed": options.seed}
    found = [extrapolate(*one, **draws) for one in read_states(observed)] if observed else []
    met = [meeting(*one, **draws) for one in read_pairs(projected)] if projected else []
    units = {"energies": "E0 per electron", "variances": "E0^2 per electron", "slope": "1/E0"}
    content = {"results": [one.as_dict() for one in found], "files": options.files, **draws, "units": units}
    if met:
        content["projected"] = [one.as_dict() for one in met]
    data = to_record(content)
    if paths:
        from qernel.plots.extrapolation import extrapolation_figure

        outputs.write_analysis(paths, data, extrapolation_figure(found, met))
    tables = [table(found)] * bool(found) + [projected_table(met)] * bool(met)
    print(data if options.json else "\n\n".join(tables))
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
                f"{one.chi2:.1f}/{one.dof}",
                "" if one.p_value is None else f"{one.p_value:.2g}",
            ]
        )
    note = "Energies per electron in E0, slope dE/dVar in 1/E0. At zero variance: an estimate, not an upper bound"
    return f"{columns(rows)}\n\n{note}; p: how often a line would fit worse by chance."


def projected_table(met: list[Meeting]) -> str:
    """A row for each λ, and what the last columns mean."""
    rows = [["λ", "states", "lowest projected", "where both meet", "difference", "ratio", "p"]]
    for one in met:
        numbers = [
            one.lowest.number,
            one.energy.number if one.energy is not None else "ratio not below 1",
            f"{one.energy.value - one.lowest.value:.4f}" if one.energy is not None else "",
        ]
        p = "" if one.p_value is None else f"{one.p_value:.2g}"
        rows.append([f"{one.lam:g}", str(len(one.names)), *numbers, one.slope.number, p])
    note = (
        "Energies per electron in E0; ratio (E_projected - E)/(E_variational - E), the same for all states, and E where"
    )
    return f"{columns(rows)}\n\n{note} both meet: an estimate, not an upper bound."
