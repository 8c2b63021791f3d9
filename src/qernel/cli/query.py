"""``qernel query``."""

from __future__ import annotations

import argparse

from qernel import runtime
from qernel.cli.parser import flatten
from qernel.cli.results import measure, payload, to_json
from qernel.cli.tables import energy_table


def run(options: argparse.Namespace) -> int:
    """Measure the energies of a trained wavefunction at the given λ and print them."""
    runtime.configure(runtime.usable_devices(options.walkers) if options.walkers else None)
    from qernel.model import load

    model = load(options.run)
    results = measure(model, flatten(options.lam), options)
    print(to_json(payload(model, results, dict(options.at))) if options.json else energy_table(model, results))
    return 0
