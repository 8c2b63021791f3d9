"""What can be typed on the command line."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any, NoReturn

import qernel

COMMANDS = {
    "ask": "liquid or crystal: a material in nm and meV, answered in a sentence",
    "train": "train one wavefunction over a range of λ",
    "grow": "start a run from the network of a trained model",
    "query": "energies of a trained wavefunction at given λ",
    "scan": "a table of energies and the phase diagram over a grid of λ",
    "transition": "whether a scan shows a phase transition, and at which λ",
    "extrapolate": "energies of several wavefunctions, continued to zero variance",
    "observe": "densities, correlations, occupations, ... of a trained wavefunction",
    "diagnose": "which parameters could still lower the variance of a trained wavefunction",
    "project": "diffusion Monte Carlo energies with the nodes of a trained wavefunction",
    "plot": "a figure from a file of results or from a run's metrics",
    "report": "one HTML file with figures, tables and provenance",
    "explore": "a page in the browser with a λ slider: density, energies, training",
    "export": "a file of results as CSV tables or JSON",
    "hf": "unrestricted Hartree–Fock at given λ, without training",
    "validate": "check a configuration; print it in full, with units and cost",
    "compare": "train several models under equal conditions and compare their accuracy",
    "interpolate": "hold a model with gaps in its trained λ against models without, and single-λ models",
    "submit": "run studies as SLURM jobs that resume by themselves",
    "models": "list the trained models that come with Qernel",
    "bench": "time every stage of training beside a general forward Laplacian",
    "demo": "train six electrons over λ, then draw their phase diagram",
}
"""Every command in one line. Its module in this folder has its name, a ``declare(parser)`` and a ``run(options)``."""

_DESCRIPTION = "Neural-network variational Monte Carlo of moiré electrons: one wavefunction for a whole range of λ."

_EPILOG = """\
λ is the factor on the moiré depth V0; energies are per electron in E0 = ħ²/(m* a_M²).

examples:
  qernel ask --material WSe2/WS2 --depth 5meV      liquid or crystal, in laboratory units
  qernel train n6                                  train the preset n6 into runs/n6
  qernel train my.toml --set train.walkers=64      train a configuration of your own, with one change
  qernel query runs/n6 --lam 0.5 1.05              energies at two λ
  qernel scan runs/n6 --lam 0.4:1.4:21             a table and the phase diagram, in runs/n6/scan
  qernel scan runs/two --lam 0.4:1.4:21 --over U 8 10 12
                                                   a map over two parameters, in runs/two/map
  qernel hf n6 --lam 0.4:1.4:11 --out hf-n6        Hartree–Fock, to compare with
  qernel project runs/n6 --lam 1                   diffusion Monte Carlo with the nodes of the model
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


class CommandParser(Parser):
    """The parser of one command, which its module declares when the command is chosen.

    Importing all commands for every call would make each of them wait for what the others need.

    Args:
        command: a key of `COMMANDS`.
        options: of an argument parser.
    """

    def __init__(self, *, command: str, **options: Any) -> None:
        super().__init__(**options)
        self._undeclared: str | None = command

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Declare the arguments, then parse."""
        if self._undeclared is not None:
            import_module(f"qernel.cli.commands.{self._undeclared}").declare(self)
            self._undeclared = None
        return super().parse_known_args(args, namespace)


def build_parser() -> argparse.ArgumentParser:
    """The parser of ``qernel``; the chosen command is in ``options.command``."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = Parser(
        prog="qernel", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=formatter, allow_abbrev=False
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=CommandParser)
    for name, summary in COMMANDS.items():
        text = summary[:1].upper() + summary[1:] + "."
        commands.add_parser(name, command=name, help=summary, description=text, allow_abbrev=False)
    return parser
