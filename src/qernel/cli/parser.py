"""What can be typed on the command line."""

from __future__ import annotations

import argparse
import re
from collections.abc import Generator
from importlib import import_module
from typing import Any, NoReturn

import qernel
from qernel.text import meant

GROUPS: dict[str, dict[str, str]] = {
    "begin": {
        "demo": "train six electrons over λ, then draw their phase diagram",
        "models": "list the trained models that come with Qernel",
        "explore": "a page in the browser with a λ slider: density, energies, training",
    },
    "ask": {
        "ask": "liquid or crystal: a material in nm and meV, answered in a sentence",
        "query": "energies of a trained wavefunction at given λ",
        "scan": "a table of energies and the phase diagram over a grid of λ",
        "observe": "densities, correlations, occupations, ... of a trained wavefunction",
        "project": "diffusion Monte Carlo energies with the nodes of a trained wavefunction",
    },
    "train one": {
        "validate": "check a configuration; print it in full, with units and cost",
        "train": "train one wavefunction over a range of λ",
        "grow": "start a run from the network of a trained model",
        "submit": "run studies as SLURM jobs that resume by themselves",
    },
    "analyse and show results": {
        "transition": "whether a scan shows a phase transition, and at which λ",
        "extrapolate": "energies of several wavefunctions, continued to zero variance",
        "plot": "a figure from a file of results or from a run's metrics",
        "report": "one HTML file with figures, tables and provenance",
        "export": "a file of results as CSV tables or JSON",
    },
    "compare and examine methods": {
        "hf": "unrestricted Hartree–Fock at given λ, without training",
        "diagnose": "which parameters could still lower the variance of a trained wavefunction",
        "compare": "train several models under equal conditions and compare their accuracy",
        "interpolate": "hold a model with gaps in its trained λ against models without, and single-λ models",
        "bench": "time every stage of training beside a general forward Laplacian",
    },
    "for the shell": {
        "completion": "a script that completes commands, options and names on Tab",
    },
}
"""Commands by what they are for, each in one line, as ``--help`` has them."""

COMMANDS = {name: summary for group in GROUPS.values() for name, summary in group.items()}
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


_NEGATIVE = re.compile(r"-\.?\d")


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one sentence, with what a misspelt word most likely meant.

    What begins like a negative number is a value: ``-5meV``, ``-1/3,1/3`` and ``-1:1:3`` as well as ``-1``.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._negative_number_matcher = _NEGATIVE

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """As argparse has it: one of the choices there are."""
        if action.choices is not None and value not in action.choices:
            options = [str(choice) for choice in action.choices]
            there = f"choose from {', '.join(options)}{meant(str(value), options)}"
            raise argparse.ArgumentError(action, f"invalid choice: {str(value)[:60]!r} ({there})")

    def error(self, message: str) -> NoReturn:
        """Report ``message`` in the form every error of Qernel has, and leave with code 2."""
        self.exit(2, f"qernel: error: {message} (see {self.prog} --help)\n")


class _Grouped(argparse.RawDescriptionHelpFormatter):
    """Commands are listed in the description, in their groups, and not once more."""

    def _iter_indented_subactions(self, action: argparse.Action) -> Generator[argparse.Action, None, None]:
        yield from ()


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

    def declared(self) -> None:
        """Declare the arguments, if that has not been done."""
        if self._undeclared is not None:
            import_module(f"qernel.cli.commands.{self._undeclared}").declare(self)
            self._undeclared = None

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Declare the arguments, then parse."""
        self.declared()
        if args is not None:
            self._refuse_unknown(list(args))
        return super().parse_known_args(args, namespace)

    def _refuse_unknown(self, words: list[str]) -> None:
        """An option that there is not, before anything is said to be missing because of it."""
        options = words[: words.index("--")] if "--" in words else words
        names = [word.partition("=")[0] for word in options if len(word) > 1 and word.startswith("-")]
        unknown = [name for name in names if name not in self._option_string_actions and not _NEGATIVE.match(name)]
        if unknown:
            self.error(f"there is no option {unknown[0][:60]}{meant(unknown[0], self._option_string_actions)}")


def build_parser() -> argparse.ArgumentParser:
    """The parser of ``qernel``; the chosen command is in ``options.command``."""
    parser = Parser(
        prog="qernel",
        description=f"{_DESCRIPTION}\n\n{_listed()}",
        epilog=_EPILOG,
        formatter_class=_Grouped,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=CommandParser)
    for name, summary in COMMANDS.items():
        text = summary[:1].upper() + summary[1:] + "."
        commands.add_parser(name, command=name, help=summary, description=text, allow_abbrev=False)
    return parser


def _listed() -> str:
    """All commands in their groups."""
    width = max(map(len, COMMANDS)) + 2
    groups = (
        [f"{title}:", *(f"  {name.ljust(width)}{summary}" for name, summary in group.items())]
        for title, group in GROUPS.items()
    )
    return "\n\n".join("\n".join(lines) for lines in groups)
