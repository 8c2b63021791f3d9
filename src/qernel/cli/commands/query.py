"""``qernel query``."""

from __future__ import annotations

import argparse
from typing import Any

from qernel import runtime
from qernel.cli.shared.arguments import positive
from qernel.cli.shared.options import add_json, add_measurement
from qernel.cli.shared.points import asked_system, asked_values
from qernel.cli.shared.results import refused
from qernel.progress import Bar
from qernel.storage import to_json


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``qernel query``."""
    parser.description = (
        "Energies of a trained wavefunction. What was measured earlier of a model is answered at once, between such "
        "points interpolated with its error; --samples, --walkers, --seed and --precision sample where no such answer "
        "is kept, --fresh in any case."
    )
    add_measurement(parser)
    parser.add_argument(
        "--precision",
        metavar="E0",
        type=positive,
        help="sample until the error of the energy per electron is this small, e.g. 0.003, in place of --samples",
    )
    parser.add_argument("--fresh", action="store_true", help="sample anew, whatever is stored")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Say the energies of a trained wavefunction at the given points."""
    runtime.configure(runtime.usable_devices(options.walkers) if options.walkers else None)
    from qernel.measure.answers import Wanted, answered, on_the_shelf

    about, model = on_the_shelf(options.run, asked_system(options))
    along, values, at = asked_values(options, about.config.system)
    chains: dict[str, Any] = {"samples": options.samples, "walkers": options.walkers, "seed": options.seed}
    how: dict[str, Any] = {"precision": options.precision, "fresh": options.fresh, "extrapolate": options.extrapolate}
    with Bar() as progress:
        found = answered(about, Wanted(values, along, at, **chains, **how), model, tell=progress)
    print(to_json(found.as_dict()) if options.json else found.table())
    return refused(found.impossible, found.axis.symbol)
