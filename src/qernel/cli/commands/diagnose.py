"""``qernel diagnose``: what could still lower the variance of a trained wavefunction, without training it."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from qernel import runtime
from qernel.cli.shared.options import add_json, add_measurement
from qernel.cli.shared.points import asked_model, asked_points
from qernel.cli.shared.results import refused
from qernel.progress import Bar
from qernel.storage import to_json
from qernel.tangent.registry import TERMS


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``qernel diagnose``."""
    parser.description = (
        "Sample a wavefunction and say what share of the variance of its local energy its own parameters, and terms "
        f"that it does not have, could remove to first order. Terms: {', '.join(TERMS)}."
    )
    add_measurement(parser)
    parser.add_argument(
        "--group", metavar="NAME", nargs="+", choices=tuple(TERMS), help="test these terms alone (default: all of them)"
    )
    parser.add_argument("--out", metavar="DIR", help="folder to write: diagnosis.json")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Test, write the record where a folder is given, and print the table or the JSON object."""
    runtime.configure(runtime.usable_devices(options.walkers) if options.walkers else None)
    from qernel.measure.diagnose import diagnoses
    from qernel.measure.diagnosis import RECORD

    where = asked_points(asked_model(options), options)
    out = Path(options.out) if options.out else None
    with Bar() as progress:
        found = diagnoses(where, groups=options.group, out=out, command=shlex.join(options.line), tell=progress)
    print(to_json(found.as_dict()) if options.json else found.table())
    if out is not None and not options.json:
        print(f"\nwritten: {out / RECORD}")
    return refused(found.impossible, where.axis.symbol)
