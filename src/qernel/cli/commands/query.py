"""``qernel query``."""

from __future__ import annotations

import argparse

from qernel import runtime
from qernel.cli.shared.arguments import flatten
from qernel.cli.shared.options import add_json, add_measurement
from qernel.cli.shared.results import measure, other_parameters, payload, refused
from qernel.cli.shared.tables import energy_table
from qernel.storage import to_json


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``qernel query``."""
    add_measurement(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Measure the energies of a trained wavefunction at the given λ and print them."""
    runtime.configure(runtime.usable_devices(options.walkers) if options.walkers else None)
    from qernel.measure import load

    model = load(options.run)
    results = measure(model, flatten(options.lam), options)
    others = other_parameters(model, options.at)
    print(to_json(payload(model, results, others)) if options.json else energy_table(model, results, others))
    return refused({result.lam: result.impossible for result in results})
