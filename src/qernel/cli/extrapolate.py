"""``qernel extrapolate``: energies of several wavefunctions, continued to zero variance."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from qernel.cli import outputs
from qernel.cli.arguments import whole
from qernel.cli.options import add_json
from qernel.cli.tables import columns
from qernel.errors import QernelError
from qernel.estimators.quantity import Quantity, parenthesis
from qernel.storage import to_json

if TYPE_CHECKING:
    from qernel.estimators.extrapolate import Extrapolation

RECORD, FIGURE = "extrapolation.json", "extrapolation"


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
    parser.add_argument(
        "--resamples", metavar="N", type=whole(100), default=400, help="data sets drawn for the errors (default: 400)"
    )
    parser.add_argument("--seed", metavar="N", type=whole(0), default=0, help="seed of these (default: 0)")
    parser.add_argument("--out", metavar="DIR", help=f"folder to write: {RECORD} and a figure")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Fit at every λ, print the table or the JSON object, and write both where a folder is given."""
    from qernel.estimators.extrapolate import extrapolate, read_states

    if len(options.files) < 2:
        raise QernelError(f"{options.files[0]} alone gives no line: name the files of two or more wavefunctions")
    paths = []
    if options.out:
        paths = [Path(options.out) / name for name in (RECORD, f"{FIGURE}.png", f"{FIGURE}.pdf")]
        outputs.refuse_existing(paths)
    found = [
        extrapolate(lam, states, names, resamples=options.resamples, seed=options.seed)
        for lam, states, names in read_states(options.files)
    ]
    data = to_json(
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
        from qernel.plots.style import save

        save(extrapolation_figure(found), Path(options.out) / FIGURE)
        outputs.write_text(paths[0], data + "\n")
    print(data if options.json else table(found))
    if paths and not options.json:
        print(f"\nwritten: {', '.join(str(path) for path in paths)}")
    return 0


def table(found: list[Extrapolation]) -> str:
    """A row for each λ, and what the last column means."""
    rows = [["λ", "states", "lowest", "at zero variance", "difference", "slope", "p"]]
    for one in found:
        gain = "" if one.energy is None else f"{one.energy.value - one.lowest.value:.4f}"
        rows.append(
            [
                f"{one.lam:g}",
                str(len(one.names)),
                _number(one.lowest),
                "does not fall" if one.energy is None else _number(one.energy),
                gain,
                _number(one.slope),
                "" if one.p_value is None else f"{one.p_value:.2g}",
            ]
        )
    note = "Energies per electron in E0, slope dE/dVar in 1/E0. At zero variance: an estimate, not an upper bound"
    return f"{columns(rows)}\n\n{note}; p: how often a line would fit worse by chance."


def _number(quantity: Quantity) -> str:
    """Value and error without the unit, which the note gives."""
    return parenthesis(quantity.value, quantity.error)
