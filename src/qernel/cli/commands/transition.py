"""``qernel transition``: where a scan shows a transition, or a map a boundary, and what supports it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from qernel.cli.shared import outputs
from qernel.cli.shared.arguments import number
from qernel.cli.shared.options import add_json, add_resampling
from qernel.errors import QernelError
from qernel.records import to_record
from qernel.text import columns

if TYPE_CHECKING:
    from qernel.transition import Transition
    from qernel.transition.maps import Map

NAME, OVER_TWO = "transition", "phase_map"

COLUMNS: Final = {
    "ΔAICc": "corrected Akaike criterion above that of the best curve; 6 or more decides",
    "ΔBIC": "Bayesian criterion above that of the best curve",
    "χ²": "of the fit, with the errors of the scan",
    "dof": "points less free numbers",
    "p": "how often the curve would fit worse by chance",
    "λ": "where the curve has its kink, jump or step",
    "curve": "which one",
}
"""Columns of the table of curves, with their meaning."""
"""Names of what is written for one scan, and for a map."""


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``qernel transition``."""
    parser.description = (
        "Fit the interaction energy of a scan with curves that have a kink, a jump or a rounded step and with smooth "
        "ones, compare them, and check the file against Hellmann–Feynman and concavity. A λ_c is printed only where "
        "the data show one. Of a map (qernel scan --over) each scan is judged so, and the boundary λ_c(U) of the two "
        "phases is checked against Clausius–Clapeyron."
    )
    parser.add_argument(
        "scan",
        metavar="SCAN",
        help="a folder of qernel scan, with --over or without, or of qernel project, or a .nc file with its energies",
    )
    parser.add_argument(
        "--against",
        metavar="SCAN",
        help="a second one, of the same model in the other phase (--phase liquid, --phase crystal, or --start spread, "
        "--start registries): find where the energies of the two cross, instead of fitting one curve",
    )
    parser.add_argument(
        "--between",
        metavar=("LOW", "HIGH"),
        nargs=2,
        type=lambda text: number(text, text, hint=""),
        help="fit only this range of the parameter, where the branches away from the transition bend",
    )
    parser.add_argument(
        "--density",
        metavar="FILE",
        help="a file or folder of qernel scan or qernel observe, whose densities on either side of the transition the "
        "figure shows (default: those of SCAN, if it has any)",
    )
    add_resampling(parser)
    parser.add_argument("--out", metavar="DIR", help=f"folder to write: {NAME}.json, or {OVER_TWO}.json, and a figure")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Analyse, print the sentences or the JSON object, and write both where a folder is given."""
    from qernel.transition import is_map

    return _over_two(options) if is_map(options.scan) else _along_one(options)


def _along_one(options: argparse.Namespace) -> int:
    paths = outputs.analysis_paths(options.out, NAME)
    densities = _densities(options)
    found = _found(options)
    data = to_record(found.as_dict())
    if paths:
        outputs.write_analysis(paths, data, _figure(found, densities))
    _show(options, found, data, None if options.against else table(found), paths)
    return 0


def _over_two(options: argparse.Namespace) -> int:
    """The boundary of a map."""
    from qernel.transition import read_map
    from qernel.transition.line_words import table

    if options.density:
        raise QernelError("--density goes with the figure of one scan, not with a map: leave out --density")
    paths = outputs.analysis_paths(options.out, OVER_TWO)
    found = _found(options)
    data = to_record(found.as_dict())
    if paths:
        from qernel.plots.over_two import phase_map

        outputs.write_analysis(paths, data, phase_map(read_map(options.scan), found))
    _show(options, found, data, columns(table(found)), paths)
    return 0


def _show(options: argparse.Namespace, found: Any, data: str, rows: str | None, paths: Sequence[Path]) -> None:
    """The JSON object, or the sentences, the table and what was written."""
    if options.json:
        print(data)
        return
    print("\n".join(found.evidence))
    if rows is not None:
        print(f"\n{rows}")
    if paths:
        print(f"\nwritten: {', '.join(str(path) for path in paths)}")


def _found(options: argparse.Namespace) -> Any:
    """The analysis of one scan or map, or of two."""
    from qernel.transition.verb import transition

    settings = {"resamples": options.resamples, "seed": options.seed}
    return transition(options.scan, against=options.against or None, between=options.between or None, **settings)


def _densities(options: argparse.Namespace) -> list[Map]:
    """Densities along the parameter for the figure."""
    from qernel.transition.maps import read_maps

    if options.density:
        if options.against:
            raise QernelError("--density goes with the figure of one scan: leave out --against")
        return read_maps(options.density, required=True)
    return [] if options.against or not options.out else read_maps(options.scan)


def _figure(found: Any, densities: list[Map]) -> Any:
    from qernel.plots.transition import phases_figure, transition_figure
    from qernel.transition import Phases

    return phases_figure(found) if isinstance(found, Phases) else transition_figure(found, densities)


def table(found: Transition) -> str:
    """A row for each curve that was compared."""
    from qernel.transition.words import NAMES

    best = found.candidates[0]
    rows = [[found.scan.axis.symbol if name == "λ" else name for name in COLUMNS]]
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
