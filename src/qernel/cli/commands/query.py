"""``qernel query``."""

from __future__ import annotations

import argparse

from qernel import runtime
from qernel.cli.shared.options import add_json, add_measurement
from qernel.cli.shared.points import asked_model, asked_points
from qernel.cli.shared.results import refused
from qernel.progress import Bar
from qernel.storage import to_json


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``qernel query``."""
    add_measurement(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Measure the energies of a trained wavefunction at the given points and print them."""
    runtime.configure(runtime.usable_devices(options.walkers) if options.walkers else None)
    from qernel.measure.chains import measured
    from qernel.measure.scan import Scan

    where = asked_points(asked_model(options), options)
    with Bar() as progress:
        found = Scan(where, measured(where, tell=progress).sweeps)
    print(to_json(found.as_dict()) if options.json else found.table())
    return refused(found.impossible, where.axis.symbol)
