"""``qernel ask``."""

from __future__ import annotations

import argparse

from qernel import runtime
from qernel.cli.shared.options import add_json
from qernel.progress import Bar
from qernel.storage import to_json

_DESCRIPTION = """\
Liquid, crystal or undecided: a sample in laboratory units, answered in a sentence with its uncertainty, its source and
its limits. Numbers take any unit (8nm, 80angstrom, 5meV, 58K); without one they are in nm, meV, m_e and degrees.
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``qernel ask``."""
    parser.description = _DESCRIPTION
    parser.add_argument("--material", metavar="NAME", help="e.g. WSe2/WS2; its numbers are printed with their sources")
    parser.add_argument("--filling", metavar="FRACTION", default="2/3", help="carriers for each moiré cell (2/3)")
    parser.add_argument("--period", metavar="LENGTH", help="of the moiré lattice, e.g. 8nm")
    parser.add_argument("--epsilon", metavar="NUMBER", help="dielectric constant of the surroundings, e.g. 7")
    parser.add_argument("--gate", metavar="LENGTH", help="distance of metallic gates above and below, e.g. 10nm")
    parser.add_argument("--depth", metavar="ENERGY", help="V of the moiré potential -2V Σ cos(g·r + φ), e.g. 5meV")
    parser.add_argument("--mass", metavar="NUMBER", help="effective mass in electron masses, e.g. 0.45")
    parser.add_argument("--phase", metavar="ANGLE", help="φ of the potential in degrees, e.g. 45")
    parser.add_argument(
        "--models", metavar="RUN", nargs="+", help="run folders and shipped models to ask (default: all that ship)"
    )
    parser.add_argument("--fresh", action="store_true", help="sample the best model, whatever is stored")
    mean_field = parser.add_mutually_exclusive_group()
    mean_field.add_argument(
        "--hartree-fock",
        action="store_const",
        const=True,
        help="solve Hartree–Fock as well where a model was trained: its phase, energy and charge gap",
    )
    mean_field.add_argument(
        "--no-hartree-fock",
        dest="hartree_fock",
        action="store_const",
        const=False,
        help="leave out Hartree–Fock, which is solved where no model was trained",
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Answer."""
    runtime.configure()
    from qernel.ask.verb import ask

    names = ("filling", "period", "epsilon", "gate", "depth", "mass", "phase", "models", "fresh", "hartree_fock")
    with Bar() as progress:
        found = ask(options.material, **{name: getattr(options, name) for name in names}, progress=progress)
    print(to_json(found.as_dict()) if options.json else found.text())
    return 0
