"""The commands that ask a trained wavefunction, and those that show what it answered."""

from __future__ import annotations

import argparse
from typing import Protocol

from qernel.cli.arguments import assignment, lam_values, number, option, port, whole
from qernel.observables.registry import BUILT_IN, SCANNED
from qernel.plots.kinds import KINDS, TRANSITION, VERSUS_LAM


class AddCommand(Protocol):
    """Adds a command with its one-line summary and its description."""

    def __call__(self, name: str, summary: str, description: str = "") -> argparse.ArgumentParser:
        """The parser of the command."""


def add_results_commands(command: AddCommand) -> None:
    """Add query, scan, transition, observe, plot, report, explore and export."""
    query = command("query", "energies of a trained wavefunction at given λ")
    _add_measurement(query)
    query.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    scan = command("scan", "a table of energies and the phase diagram over a grid of λ")
    _add_measurement(scan)
    scan.add_argument(
        "--sweeps",
        nargs="+",
        choices=("fresh", "up", "down"),
        default=["fresh"],
        help="where chains start: fresh at every λ (default), or where they ended at the λ below (up) or above (down); "
        "table and figure show the first that is named, the files all of them",
    )
    scan.add_argument(
        "--exchange",
        action="store_true",
        help="sample all λ together and let neighbours swap configurations, where chains get stuck near a transition",
    )
    scan.add_argument(
        "--reweight",
        metavar="K",
        type=whole(0),
        default=0,
        help="also give the energies at K values of λ between each two, from the records of the nearest one",
    )
    scan.add_argument(
        "--observable",
        metavar="NAME",
        nargs="*",
        choices=tuple(BUILT_IN),
        default=list(SCANNED),
        help=f"measured on the same samples (default: {' '.join(SCANNED)}); none if no NAME is given",
    )
    scan.add_argument(
        "--start",
        choices=("spread", "registries"),
        default="spread",
        help="chains start spread over the cell (default), or as crystals in their three registries",
    )
    scan.add_argument("--out", metavar="DIR", help="folder to write (default: RUN/scan, or NAME-scan)")
    scan.add_argument("--json", action="store_true", help="print the results as one JSON object and nothing else")

    transition = command(
        "transition",
        "whether a scan shows a phase transition, and at which λ",
        "Fit the interaction energy of a scan with curves that have a kink, a jump or a rounded step and with smooth "
        "ones, compare them, and check the file against Hellmann–Feynman and concavity. A λ_c is printed only where "
        "the data show one.",
    )
    transition.add_argument("scan", metavar="SCAN", help="a folder of qernel scan, or a .nc file with its energies")
    transition.add_argument(
        "--between",
        metavar=("LOW", "HIGH"),
        nargs=2,
        type=lambda text: number(text, text, hint=""),
        help="fit only this range of λ, where the branches away from the transition bend",
    )
    transition.add_argument(
        "--resamples", metavar="N", type=whole(100), default=400, help="data sets drawn for the errors (default: 400)"
    )
    transition.add_argument("--seed", metavar="N", type=whole(0), default=0, help="seed of these (default: 0)")
    transition.add_argument("--out", metavar="DIR", help=f"folder to write: {TRANSITION}.json and a figure")
    transition.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    observe = command(
        "observe",
        "densities, correlations, occupations, ... of a trained wavefunction",
        "Measure observables at given λ into DIR/observables.nc, with errors, units and provenance. Observables: "
        f"{', '.join(BUILT_IN)}, and those of installed packages.",
    )
    _add_measurement(observe)
    observe.add_argument(
        "--observable", metavar="NAME", nargs="+", action="extend", required=True, help="what to measure"
    )
    observe.add_argument(
        "--set",
        metavar="NAME.KEY=VALUE",
        nargs="+",
        action="extend",
        type=option,
        default=[],
        help="options of observables, e.g. --set density.grid=64 structure_factor.cutoff=3",
    )
    observe.add_argument("--out", metavar="DIR", help="folder to write (default: RUN/observe, or NAME-observe)")
    observe.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    plot = command(
        "plot",
        "a figure from a file of results or from a run's metrics",
        "Draw a figure again from stored data, as PNG and PDF. "
        + "; ".join(f"{name}: {kind.summary}" for name, kind in KINDS.items())
        + f"; {TRANSITION}: the fits of qernel transition; {VERSUS_LAM}: a single number against λ; "
        "convergence: energy and order parameter of a run.",
    )
    plot.add_argument(
        "kind",
        metavar="KIND",
        choices=(*KINDS, TRANSITION, VERSUS_LAM, "convergence"),
        help="what to draw (listed above)",
    )
    plot.add_argument("file", metavar="FILE", help="a .nc file; for convergence a run folder or its metrics.csv")
    plot.add_argument("--variable", metavar="NAME", help=f"the single number that {VERSUS_LAM} draws")
    plot.add_argument("--out", metavar="DIR", help="folder to write (default: that of FILE)")

    report = command(
        "report",
        "one HTML file with figures, tables and provenance",
        "Write a self-contained HTML page about a run (its training and what was measured in its folder), about a "
        "folder of results, or about one file of results. It opens without a network.",
    )
    report.add_argument(
        "source", metavar="RUN_OR_RESULTS", help="a run folder, a scan or observe folder, or a .nc file"
    )
    report.add_argument("--out", metavar="FILE", help="file to write (default: report.html in that folder)")

    explore = command(
        "explore",
        "a page in the browser with a λ slider: density, energies, training",
        "Serve a page on this machine alone (127.0.0.1) on which the parameters of models are moved by sliders: "
        "density, electrons, energies, order parameter, live sampling, and the training curves of runs. "
        "Ctrl-C ends it.",
    )
    explore.add_argument(
        "runs", metavar="RUN", nargs="*", help="run folders to show beside the shipped models, the first one first"
    )
    explore.add_argument("--port", metavar="N", type=port, help="port to listen on (default: a free one)")
    explore.add_argument("--no-browser", action="store_true", help="print the address only")

    export = command(
        "export",
        "a file of results as CSV tables or JSON",
        "Write the contents of a NetCDF file of Qernel as CSV, one table for the single numbers and one for each "
        "array, or as one JSON object.",
    )
    export.add_argument("file", metavar="FILE", help="a file written by qernel scan or qernel observe")
    export.add_argument("--format", choices=("csv", "json"), required=True, help="what to write")
    export.add_argument("--out", metavar="PATH", help="folder (csv) or file (json) (default: beside FILE)")
    export.add_argument("--variable", metavar="NAME", help="print the table of one variable instead (csv)")


def add_lam(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """``--lam`` with values and grids."""
    parser.add_argument(
        "--lam",
        metavar="λ",
        nargs="+",
        type=lam_values,
        action="extend",
        required=required,
        help="values, or a grid FIRST:LAST:COUNT with both ends included, e.g. --lam 0.5 1.05 or --lam 0.4:1.4:21",
    )


def _add_measurement(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run folder or the name of a shipped model")
    add_lam(parser)
    parser.add_argument(
        "--at",
        metavar="NAME=VALUE",
        nargs="+",
        type=assignment,
        action="extend",
        default=[],
        help="values of the other parameters the model is conditioned on, e.g. --at U=9.5",
    )
    parser.add_argument("--samples", metavar="N", type=whole(2), help="records per chain (default: as configured)")
    parser.add_argument("--walkers", metavar="N", type=whole(2), help="chains per λ (default: as configured)")
    parser.add_argument("--seed", metavar="N", type=whole(0), help="seed of the chains (default: as configured)")
