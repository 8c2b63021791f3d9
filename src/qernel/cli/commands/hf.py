"""``qernel hf``: Hartree–Fock energies and branches, without training."""

from __future__ import annotations

import argparse
import shlex

from qernel import runtime
from qernel.cli.shared.arguments import positive
from qernel.cli.shared.options import add_along, add_config, add_json
from qernel.cli.shared.points import asked_values
from qernel.config import load_config
from qernel.progress import Bar
from qernel.storage import to_json


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``qernel hf``."""
    parser.description = (
        "The lowest Slater determinants found in plane waves, from many starts and sweeps up and down in λ: the "
        "crystal, what competes with it, and the state with the symmetry of the moiré lattice. Any parameter of the "
        "system can be given, whether the family is conditioned on it or not."
    )
    add_config(parser)
    add_along(parser, "the system has", "the middle of their intervals, or their constants")
    parser.add_argument(
        "--cutoff", metavar="E0", type=positive, help="kinetic cut-off of the plane waves in E0 (default: 300)"
    )
    parser.add_argument("--out", metavar="DIR", help="folder to write: all branches as JSON, and figures")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Solve, print the table or the JSON object, and write the folder if there is to be one."""
    config = load_config(options.config, options.set, sections=("system", "family"))
    runtime.configure(1)
    from qernel.measure.mean_field import hartree_fock

    command, (along, values, at) = shlex.join(options.line), asked_values(options, config.system)
    with Bar() as progress:
        found = hartree_fock(
            config,
            values,
            along=along,
            at=at,
            cutoff=options.cutoff,
            out=options.out,
            command=command,
            progress=progress,
        )
    print(to_json(found.as_dict()) if options.json else found.table())
    if options.out is not None and not options.json:
        print(f"\nwritten: {options.out}")
    return 0
