"""``qernel project``: diffusion Monte Carlo with the nodes, or the phase, of a trained wavefunction."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from qernel import runtime
from qernel.cli.shared.arguments import positive
from qernel.cli.shared.options import add_json, add_measurement, add_start
from qernel.cli.shared.points import asked_model, asked_points
from qernel.cli.shared.results import refused
from qernel.progress import Bar
from qernel.projection.time_steps import DEGREES
from qernel.storage import to_json


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``qernel project``."""
    parser.description = (
        "Project a wavefunction towards the ground state in imaginary time, with its nodes (real ψ) or its phase "
        "(complex ψ) kept: diffusion Monte Carlo energies, extrapolated to time step 0, beside the variational ones. "
        "What is left of the error is that of the nodes or the phase."
    )
    add_measurement(parser)
    add_start(parser)
    parser.add_argument(
        "--time-step",
        metavar="τ",
        nargs="+",
        type=positive,
        action="extend",
        default=[],
        help="time steps in 1/E0, e.g. 0.004 0.002 0.001 (default: one that accepts 99%% of the steps, its half and "
        "its quarter)",
    )
    parser.add_argument(
        "--time", metavar="T", type=positive, help="imaginary time at each time step in 1/E0 (default: 8)"
    )
    parser.add_argument(
        "--fit", choices=tuple(DEGREES), default="linear", help="energies against the time step (default: linear)"
    )
    parser.add_argument("--out", metavar="DIR", help="folder to write: projection.nc, projection.json and a figure")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Project, write the files where a folder is given, and print the table or the JSON object."""
    runtime.configure(runtime.usable_devices(options.walkers) if options.walkers else None)
    from qernel.measure.project import projections
    from qernel.measure.projections import FILES

    where = asked_points(asked_model(options), options)
    out = Path(options.out) if options.out else None
    chosen = {"time_steps": options.time_step, "time": options.time, "fit": options.fit, "start": options.start}
    with Bar() as progress:
        found = projections(where, **chosen, out=out, command=shlex.join(options.line), tell=progress)
    print(to_json(found.as_dict()) if options.json else found.table())
    if out is not None and not options.json:
        print(f"\nwritten: {', '.join(str(out / name) for name in FILES)}")
    return refused(found.impossible, where.axis.symbol)
