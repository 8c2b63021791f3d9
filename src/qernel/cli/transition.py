"""``qernel transition``: where a scan shows a transition, and what supports it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from qernel.cli import outputs
from qernel.cli.arguments import number, whole
from qernel.cli.options import add_json
from qernel.cli.tables import columns
from qernel.errors import QernelError
from qernel.storage import to_json

if TYPE_CHECKING:
    from qernel.transition import Transition

RECORD, FIGURE = "transition.json", "transition"


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``qernel transition``."""
    parser.description = (
        "Fit the interaction energy of a scan with curves that have a kink, a jump or a rounded step and with smooth "
        "ones, compare them, and check the file against Hellmann–Feynman and concavity. A λ_c is printed only where "
        "the data show one."
    )
    parser.add_argument("scan", metavar="SCAN", help="a folder of qernel scan, or a .nc file with its energies")
    parser.add_argument(
        "--between",
        metavar=("LOW", "HIGH"),
        nargs=2,
        type=lambda text: number(text, text, hint=""),
        help="fit only this range of λ, where the branches away from the transition bend",
    )
    parser.add_argument(
        "--resamples", metavar="N", type=whole(100), default=400, help="data sets drawn for the errors (default: 400)"
    )
    parser.add_argument("--seed", metavar="N", type=whole(0), default=0, help="seed of these (default: 0)")
    parser.add_argument("--out", metavar="DIR", help=f"folder to write: {RECORD} and a figure")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Analyse, print the sentences or the JSON object, and write both where a folder is given."""
    from qernel.transition import analyse, read_scan

    scan = read_scan(options.scan)
    if options.between:
        low, high = options.between
        if not low < high:
            raise QernelError(f"--between {low:g} {high:g}: the lower λ comes first")
        scan = scan.between(low, high)
    paths = []
    if options.out:
        out = Path(options.out)
        paths = [out / name for name in (RECORD, f"{FIGURE}.png", f"{FIGURE}.pdf")]
        outputs.refuse_existing(paths)
    found = analyse(scan, resamples=options.resamples, seed=options.seed)
    data = to_json(found.as_dict())
    if paths:
        from qernel.plots.style import save
        from qernel.plots.transition import transition_figure

        save(transition_figure(found), Path(options.out) / FIGURE)
        outputs.write_text(paths[0], data + "\n")
    if options.json:
        print(data)
    else:
        print("\n".join(found.evidence))
        print(f"\n{table(found)}")
        if paths:
            print(f"\nwritten: {', '.join(str(path) for path in paths)}")
    return 0


def table(found: Transition) -> str:
    """A row for each curve that was compared."""
    from qernel.transition.words import NAMES

    best = found.candidates[0]
    rows = [["ΔAICc", "ΔBIC", "χ²", "dof", "p", "λ", "curve"]]
    for one in found.candidates:
        place = one.fit.place[0]
        rows.append(
            [
                f"{one.aicc - best.aicc:.1f}",
                f"{one.bic - best.bic:.1f}",
                f"{one.chi2:.1f}",
                str(one.dof),
                f"{one.p_value:.2g}",
                "" if place != place else f"{place:.4g}",
                NAMES[one.model],
            ]
        )
    return columns(rows)
