"""Options that several commands have, each declared once."""

from __future__ import annotations

import argparse

from qernel.cli.shared.arguments import NamedValues, assignment, electrons, lam_values, supercell, twist, whole
from qernel.wavefunction.registry import PHASES


def add_config(parser: argparse.ArgumentParser) -> None:
    """``CONFIG`` and ``--set``."""
    parser.add_argument("config", metavar="CONFIG", help="a TOML file or the name of a preset (n2, n3, n6, n24, ...)")
    add_overrides(parser)


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """``--set`` for values of a configuration."""
    parser.add_argument(
        "--set",
        metavar="SECTION.KEY=VALUE",
        nargs="+",
        action="extend",
        default=[],
        help="replace values of the configuration, e.g. --set train.iterations=500 system.dielectric=6",
    )


def add_resampling(parser: argparse.ArgumentParser) -> None:
    """How many data sets errors are drawn from, and with which seed."""
    parser.add_argument(
        "--resamples", metavar="N", type=whole(100), default=400, help="data sets drawn for the errors (default: 400)"
    )
    parser.add_argument("--seed", metavar="N", type=whole(0), default=0, help="seed of these (default: 0)")


def add_json(parser: argparse.ArgumentParser) -> None:
    """``--json``, which every command with numbers has."""
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def add_lam(parser: argparse._ActionsContainer, *, required: bool = True) -> None:
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


def add_along(
    parser: argparse.ArgumentParser,
    which: str = "the model is conditioned on",
    default: str = "the middle of their trained intervals",
) -> None:
    """``--lam`` or ``--along``, and ``--at``: points along one parameter.

    Args:
        parser: of the command.
        which: parameters there are, in words.
        default: what the others are, in words.
    """
    varied = parser.add_mutually_exclusive_group(required=True)
    add_lam(varied, required=False)
    varied.add_argument(
        "--depth",
        metavar="meV",
        nargs="+",
        type=lam_values,
        action="extend",
        help="λ by the moiré depth in meV, values or a grid, e.g. --depth 15.8 or --depth 6:21:6",
    )
    varied.add_argument(
        "--along",
        metavar=("NAME", "VALUE"),
        nargs="+",
        action=NamedValues,
        help=f"values of another parameter {which}, and its λ with --at, e.g. --along U 8:12:5 --at lam=1",
    )
    parser.add_argument(
        "--at",
        metavar="NAME=VALUE",
        nargs="+",
        type=assignment,
        action="extend",
        default=[],
        help=f"values of the other parameters {which}, e.g. --at U=9.5 (default: {default})",
    )


def add_chains(parser: argparse.ArgumentParser) -> None:
    """``--samples`` and ``--walkers``: how much is measured at each λ."""
    parser.add_argument("--samples", metavar="N", type=whole(2), help="records per chain (default: as configured)")
    parser.add_argument("--walkers", metavar="N", type=whole(2), help="chains per λ (default: as configured)")


def add_system(parser: argparse.ArgumentParser) -> None:
    """``--electrons``, ``--supercell``, ``--twist``, ``--phase``: where weights are asked that serve every system."""
    parser.add_argument(
        "--electrons",
        metavar="N",
        type=electrons,
        help="ask the same weights, of an ansatz for every size, with so many electrons; UP,DOWN for two spins "
        "(default: as trained, or as the supercell has at that filling)",
    )
    parser.add_argument(
        "--supercell",
        metavar="SIZE",
        type=supercell,
        help="in this supercell: 9x9, or its matrix A,B,C,D row by row (default: n×n cells at the filling trained)",
    )
    parser.add_argument(
        "--twist",
        metavar="T1,T2",
        type=twist,
        help="at this boundary twist in turns, e.g. 1/2,0 or -1/3,1/3; "
        "default: as trained at this size, else half turns that close the shell of free electrons, else none",
    )
    parser.add_argument(
        "--phase",
        choices=PHASES,
        help="with the determinants of this phase alone, in which chains begin: its branch of the energy, also beyond "
        "the transition (default: with all)",
    )


def add_measurement(parser: argparse.ArgumentParser) -> None:
    """What every measurement of a trained wavefunction asks: of which one, where, and with how many samples."""
    parser.add_argument("run", metavar="RUN", help="a run folder or the name of a shipped model")
    add_system(parser)
    add_along(parser)
    parser.add_argument(
        "--extrapolate",
        action="store_true",
        help="also answer far outside the trained range (further than half its width, or λ below 0)",
    )
    add_chains(parser)
    parser.add_argument("--seed", metavar="N", type=whole(0), help="seed of the chains (default: as configured)")


def add_start(parser: argparse.ArgumentParser) -> None:
    """``--start``: the phase in which chains begin."""
    parser.add_argument(
        "--start",
        choices=("spread", "registries"),
        help="chains start spread over the cell, or as crystals in the registries ψ holds "
        "(default: as sample.crystal_from of the model says; spread, if it says nothing)",
    )
