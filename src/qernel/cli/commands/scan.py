"""``qernel scan``: a table of energies with its provenance, and the phase diagram; with --over a map of them.

What is in a folder: `qernel.measure.scan`, of a map: `qernel.measure.map`.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from qernel import runtime
from qernel.cli.shared.arguments import NamedValues, whole
from qernel.cli.shared.options import add_json, add_measurement, add_start
from qernel.cli.shared.points import asked_model, asked_points
from qernel.cli.shared.results import refused
from qernel.observables.registry import BUILT_IN, SCANNED
from qernel.progress import Bar
from qernel.storage import to_json

if TYPE_CHECKING:
    from qernel.measure.asked import Options
    from qernel.measure.points import Points


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``qernel scan``."""
    add_measurement(parser)
    parser.add_argument(
        "--sweeps",
        nargs="+",
        choices=("fresh", "up", "down"),
        default=["fresh"],
        help="where chains start: fresh at every λ (default), or where they ended at the λ below (up) or above (down); "
        "table and figure show the first that is named, the files all of them",
    )
    parser.add_argument(
        "--exchange",
        action="store_true",
        help="sample all λ together and let neighbours swap configurations, where chains get stuck near a transition",
    )
    parser.add_argument(
        "--reweight",
        metavar="K",
        type=whole(0),
        default=0,
        help="also give the energies at K values of λ between each two, from the records of the nearest one",
    )
    parser.add_argument(
        "--observable",
        metavar="NAME",
        nargs="*",
        choices=tuple(BUILT_IN),
        default=list(SCANNED),
        help=f"measured on the same samples (default: {' '.join(SCANNED)}); none if no NAME is given",
    )
    add_start(parser)
    parser.add_argument(
        "--over",
        metavar=("NAME", "VALUE"),
        nargs="+",
        action=NamedValues,
        help="scan at each of these values of a second parameter, e.g. --lam 0.4:1.4:11 --over U 8 9 10: "
        "a folder DIR/U=8 and so on for each, and DIR/map.json",
    )
    parser.add_argument("--out", metavar="DIR", help="folder to write (default: RUN/scan, or NAME-scan)")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Measure a trained wavefunction over values of a parameter into a folder."""
    runtime.configure(runtime.usable_devices(options.walkers) if options.walkers else None)
    from qernel.measure.folder import default_folder

    model = asked_model(options)
    out = Path(options.out) if options.out else default_folder(model, options.run, "map" if options.over else "scan")
    wanted: Options = {
        "sweeps": options.sweeps,
        "exchange": options.exchange,
        "start": options.start,
        "reweight": options.reweight,
        "observables": options.observable,
    }
    options.out = str(out)
    where = asked_points(model, options)
    if options.over:
        return _map(where, out, wanted, options)
    return scan(where, out, wanted, options.line, json=options.json)


def scan(where: Points, out: Path, wanted: Options, line: list[str], *, json: bool = False) -> int:
    """Measure, write the files and print the table, or the JSON object."""
    from qernel.measure.files import FILES
    from qernel.measure.scan import scan as measured

    with Bar() as progress:
        found = measured(where, out=out, command=shlex.join(line), tell=progress, **wanted)
    if json:
        print(to_json(found.as_dict()))
    else:
        print(found.table())
        print(f"\nwritten: {', '.join(str(out / name) for name in FILES if (out / name).exists())}")
    return refused(found.impossible, where.axis.symbol)


def _map(where: Points, out: Path, wanted: Options, options: argparse.Namespace) -> int:
    """The same at each value of a second parameter."""
    from qernel.along import MAP
    from qernel.measure.map import mapped

    with Bar() as progress:
        command = shlex.join(options.line)
        found = mapped(where, options.over, out=out, command=command, tell=progress, **wanted)
    if options.json:
        print(to_json(found.as_dict()))
    else:
        print("\n\n".join(found.tables))
        print(f"\nwritten: {out / MAP}")
    return max(
        refused(why, f"{found.over.at(value)} and {where.axis.symbol}") for value, why in found.impossible.items()
    )
