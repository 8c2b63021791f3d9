"""What can be typed on the command line."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

import qernel
from qernel.cli.arguments import add_config, add_overrides, positive, whole
from qernel.cli.comparison_parser import add_comparison_commands
from qernel.cli.results_parser import add_lam, add_results_commands

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
  qernel hf n6 --lam 0.4:1.4:11 --out hf-n6        Hartree–Fock, to compare with
  qernel observe runs/n6 --lam 1 --observable density structure_factor
                                                   arrays with errors, in runs/n6/observe/observables.nc
  qernel explore runs/n6                           a page in the browser with a λ slider
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
    add_config(train)
    train.add_argument("--out", metavar="RUN", help="run folder to write (default: runs/CONFIG)")
    train.add_argument("--resume", action="store_true", help="go on with the run in that folder")

    add_results_commands(command)

    hf = command(
        "hf",
        "unrestricted Hartree–Fock at given λ, without training",
        "The best Slater determinants in plane waves: liquid and crystal branches, from many starts and sweeps up and "
        "down in λ. Parameters of the family other than λ are taken in the middle of their intervals.",
    )
    add_config(hf)
    add_lam(hf)
    hf.add_argument(
        "--cutoff",
        metavar="E0",
        type=positive,
        default=None,
        help="kinetic cut-off of the plane waves in E0 (default: 300)",
    )
    hf.add_argument("--out", metavar="DIR", help="folder to write: all branches as JSON, and figures")
    hf.add_argument("--json", action="store_true", help="print one JSON object and nothing else")

    validate = command(
        "validate",
        "check a configuration; print it in full, with units and cost",
        "Check a configuration without running it. The output is the complete configuration, in TOML, with what "
        "follows from it in comments: units, size of the model, memory and time.",
    )
    add_config(validate)

    add_comparison_commands(command)

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
    add_overrides(bench)

    demo = command(
        "demo",
        "train six electrons over λ, then draw their phase diagram",
        "Train the preset n6 (six electrons on 3×3 moiré cells, a few minutes on two cores) into DIR/model, or take "
        "the model that is there, and measure it at eleven λ from 0.4 to 1.4 into DIR.",
    )
    demo.add_argument("--out", metavar="DIR", default="qernel-demo", help="folder to write (default: %(default)s)")
    return parser
