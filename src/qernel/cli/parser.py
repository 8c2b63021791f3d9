"""What can be typed on the command line."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

import qernel
from qernel.cli.arguments import assignment, lam_values, option, whole
from qernel.observables.registry import BUILT_IN
from qernel.plots.kinds import KINDS, VERSUS_LAM

BENCH_STAGES = ("forward", "local_energy", "gradient", "sampling", "step")
"""What ``qernel bench`` can time."""

_DESCRIPTION = "Neural-network variational Monte Carlo of moiré electrons: one wavefunction for a whole range of λ."

_EPILOG = """\
λ is the factor on the moiré depth V0; energies are per electron in E0 = ħ²/(m* a_M²).

examples:
  qernel train n6                                  train the preset n6 into runs/n6
  qernel train my.toml --set train.walkers=64      train a configuration of your own, with one change
  qernel query runs/n6 --lam 0.5 1.05              energies at two λ
  qernel scan runs/n6 --lam 0.4:1.4:21             a table and the phase diagram, in runs/n6/scan
  qernel observe runs/n6 --lam 1 --observable density structure_factor
                                                   arrays with errors, in runs/n6/observe/observables.nc
  qernel validate my.toml                          check a configuration and estimate its cost
"""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one sentence."""

    def error(self, message: str) -> NoReturn:
        """Report ``message`` in the form every error of Qernel has, and leave with code 2."""
        self.exit(2, f"qernel: error: {message} (see {self.prog} --help)\n")


class _Version(argparse.Action):
    """``--version``."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(f"qernel {qernel.__version__}")
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """The parser of ``qernel``; the chosen command is in ``options.command``."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = Parser(
        prog="qernel", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=formatter, allow_abbrev=False
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, summary: str, description: str = "") -> argparse.ArgumentParser:
        text = description or summary[:1].upper() + summary[1:] + "."
        return commands.add_parser(name, help=summary, description=text, allow_abbrev=False)

    train = command("train", "train one wavefunction over a range of λ")
    _add_config(train)
    train.add_argument("--out", metavar="RUN", help="run folder to write (default: runs/CONFIG)")
    train.add_argument("--resume", action="store_true", help="go on with the run in that folder")

    query = command("query", "energies of a trained wavefunction at given λ")
    _add_measurement(query)
    query.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    scan = command("scan", "a table of energies and the phase diagram over a grid of λ")
    _add_measurement(scan)
    scan.add_argument("--out", metavar="DIR", help="folder to write (default: RUN/scan, or NAME-scan)")
    scan.add_argument("--json", action="store_true", help="print the results as one JSON object and nothing else")

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
        + f"; {VERSUS_LAM}: a single number against λ; convergence: energy and order parameter of a run.",
    )
    plot.add_argument(
        "kind", metavar="KIND", choices=(*KINDS, VERSUS_LAM, "convergence"), help="what to draw (listed above)"
    )
    plot.add_argument("file", metavar="FILE", help="a .nc file; for convergence a run folder or its metrics.csv")
    plot.add_argument("--variable", metavar="NAME", help=f"the single number that {VERSUS_LAM} draws")
    plot.add_argument("--out", metavar="DIR", help="folder to write (default: that of FILE)")

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

    validate = command(
        "validate",
        "check a configuration; print it in full, with units and cost",
        "Check a configuration without running it. The output is the complete configuration, in TOML, with what "
        "follows from it in comments: units, size of the model, memory and time.",
    )
    _add_config(validate)

    models = command("models", "list the trained models that come with Qernel")
    models.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    bench = command(
        "bench",
        "time every stage of training beside a general forward Laplacian",
        "Time log ψ, local energy, score rows, sampling and a whole training iteration per walker, in turns with the "
        "same computation through a general forward-Laplacian library, and write DIR/bench.txt and DIR/bench.json.",
    )
    bench.add_argument(
        "--electrons",
        metavar="N",
        nargs="+",
        type=whole(1),
        default=[6, 24, 54],
        help="systems of filling 2/3: 2, 6, 24, 54, 96, 150 (default: 6 24 54)",
    )
    bench.add_argument(
        "--stage", nargs="+", choices=BENCH_STAGES, default=list(BENCH_STAGES), help="stages (default: all)"
    )
    bench.add_argument(
        "--devices",
        metavar="N",
        type=whole(1),
        default=1,
        help="devices; CPU cores are limited to as many (default: 1)",
    )
    bench.add_argument("--out", metavar="DIR", default="qernel-bench", help="folder to write (default: %(default)s)")
    bench.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    _add_overrides(bench)

    demo = command(
        "demo",
        "train six electrons over λ, then draw their phase diagram",
        "Train the preset n6 (six electrons on 3×3 moiré cells, a few minutes on two cores) into DIR/model, or take "
        "the model that is there, and measure it at eleven λ from 0.4 to 1.4 into DIR.",
    )
    demo.add_argument("--out", metavar="DIR", default="qernel-demo", help="folder to write (default: %(default)s)")
    return parser


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="CONFIG", help="a TOML file or the name of a preset (n2, n3, n6, n24, ...)")
    _add_overrides(parser)


def _add_overrides(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        metavar="SECTION.KEY=VALUE",
        nargs="+",
        action="extend",
        default=[],
        help="replace values of the configuration, e.g. --set train.iterations=500 system.dielectric=6",
    )


def _add_measurement(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run folder or the name of a shipped model")
    parser.add_argument(
        "--lam",
        metavar="λ",
        nargs="+",
        type=lam_values,
        action="extend",
        required=True,
        help="values, or a grid FIRST:LAST:COUNT with both ends included, e.g. --lam 0.5 1.05 or --lam 0.4:1.4:21",
    )
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
