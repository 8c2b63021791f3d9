"""``qernel scan``: a table of energies with its provenance, and the phase diagram.

DIR/energies.csv            a row for each λ (and direction), to open with a data-frame library
DIR/energies.nc             the same for `qernel.open`, `qernel plot` and `qernel report`, with units and provenance
DIR/observables.nc          density, S(q) and fidelity susceptibility on the same samples, as of `qernel observe`
DIR/energies.json           the same as ``--json`` prints, with units and provenance
DIR/phase_diagram.png/.pdf  energy and interaction energy per electron against λ
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qernel import runtime
from qernel.cli.commands import observe
from qernel.cli.shared import outputs
from qernel.cli.shared.arguments import flatten, whole
from qernel.cli.shared.kept import Kept
from qernel.cli.shared.options import add_json, add_measurement
from qernel.cli.shared.results import Measured, measure_sweeps, other_parameters, payload, reached, refused, row, warn
from qernel.cli.shared.tables import describe, energy_table, reweighted_table
from qernel.errors import QernelError, RunError
from qernel.measure.files import dataset, table, units
from qernel.observables.registry import BUILT_IN, SCANNED, make
from qernel.records import read_json, to_record
from qernel.storage import save as save_dataset
from qernel.storage import to_json

if TYPE_CHECKING:
    from qernel.measure import Energies, Model

TABLE, DATA, RECORD, FIGURE = "energies.csv", "energies.nc", "energies.json", "phase_diagram"
FILES = (TABLE, DATA, RECORD, f"{FIGURE}.png", f"{FIGURE}.pdf", observe.FILE)
_REWEIGHTED = ("reweighted_from", "effective_fraction")


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
    parser.add_argument(
        "--start",
        choices=("spread", "registries"),
        help="chains start spread over the cell, or as crystals in the registries ψ holds "
        "(default: as sample.crystal_from of the model says; spread, if it says nothing)",
    )
    parser.add_argument("--out", metavar="DIR", help="folder to write (default: RUN/scan, or NAME-scan)")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Measure a trained wavefunction over a grid of λ into a folder."""
    runtime.configure(runtime.usable_devices(options.walkers) if options.walkers else None)
    from qernel.measure import load

    model = load(options.run)
    out = Path(options.out) if options.out else outputs.default_folder(model, options.run, "scan")
    return scan(model, out, options)


def scan(model: Model, out: Path, options: argparse.Namespace) -> int:
    """Measure, write the files and print the table, or the JSON object."""
    with outputs.held(out, FILES):
        return _scan(model, out, options)


def _scan(model: Model, out: Path, options: argparse.Namespace) -> int:
    others = other_parameters(model, options.at)
    points = sorted(flatten(options.lam))
    reached(model, points, options)
    sweeps = _chains(options, points)
    chosen = [make(name) for name in dict.fromkeys(options.observable)]
    request = outputs.request(model, points, others, options)
    # Only where they differ from the default: earlier scans do not have them.
    request |= {"sweeps": sweeps} if sweeps != ["fresh"] else {}
    request |= {"start": options.start} if options.start else {}
    request |= {"reweight": options.reweight} if options.reweight else {}
    request |= {"observables": [repr(item) for item in chosen]} if chosen else {}
    if options.start:
        model = model.started(options.start)
    outputs.refuse_overwriting(out, FILES, request, _stored(out / RECORD), "scan")

    kept = Kept(points, chosen, options.reweight)
    with outputs.remembering(model, out, options.line, together=options.exchange) as remembered:
        found = measure_sweeps(remembered, points, options, sweeps, kept)
    for sentence in kept.refused:
        warn(sentence)
    results = found.sweeps[sweeps[0]]
    data = payload(model, results, others)
    if set(sweeps) & {"up", "down"}:
        data["sweeps"] = {sweep: [row(result) for result in rows] for sweep, rows in found.sweeps.items()}
    if found.swaps is not None:
        pairs = zip(points, points[1:], found.swaps.tolist(), strict=False)
        data["exchange"] = [{"lam": [low, high], "acceptance": value} for low, high, value in pairs]
    if options.reweight:
        data["reweighted"] = [_reweighted(result) for result in kept.reweighted]
    provenance = {
        "request": request,
        "command": shlex.join(options.line),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    about = {"request": to_json(request), "history": provenance["command"]}
    save_dataset(dataset(model, results, others, found, kept.reweighted).assign_attrs(about), out / DATA)
    observed = kept.dataset
    if observed is not None:
        save_dataset(observed.assign_attrs(about), out / observe.FILE)
    more = _REWEIGHTED if options.reweight else ()
    rows = [row(result) for rows in found.sweeps.values() for result in rows] + data.get("reweighted", [])
    outputs.write_text(out / TABLE, table(rows, others, more))
    _draw(model, data["results"], out)
    # Last: a folder with this file is complete.
    outputs.write_text(
        out / RECORD, to_record({**data, "units": units(others, more), "provenance": provenance}, indent=2) + "\n"
    )
    if options.json:
        print(to_json(data))
    else:
        _show(model, found, kept, others)
        print(f"\nwritten: {', '.join(str(out / name) for name in FILES if (out / name).exists())}")
    everything = [*(result for one in found.sweeps.values() for result in one), *kept.reweighted]
    return refused({result.lam: result.impossible for result in everything if result.impossible})


def forget(out: Path, config: str) -> None:
    """Remove what was measured of an earlier state of a run: its model has been trained further.

    Args:
        out: folder of the scan; anything else in it is left alone.
        config: fingerprint of the run's configuration; results of any other stay.
    """
    if measured_of(out, config):
        for name in reversed(FILES):
            (out / name).unlink(missing_ok=True)


def measured_of(out: Path, config: str) -> bool:
    """Whether a folder has a scan of the configuration with this fingerprint."""
    stored = _stored(out / RECORD)
    return isinstance(stored, dict) and stored.get("config") == config


def _chains(options: argparse.Namespace, points: Sequence[float]) -> list[str]:
    """The kinds of chains asked for."""
    sweeps = list(dict.fromkeys(options.sweeps))
    if not options.exchange:
        return sweeps
    if sweeps != ["fresh"]:
        raise QernelError(
            f"--exchange samples all λ together, --sweeps {' '.join(sweeps)} one after the other: use one of them"
        )
    if len(points) < 2:
        raise QernelError("--exchange swaps configurations between values of λ: give at least two with --lam")
    return ["exchange"]


def _reweighted(result: Energies) -> dict[str, Any]:
    return row(result) | {name: float(getattr(result, name)) for name in _REWEIGHTED}


def _show(model: Model, found: Measured, kept: Kept, others: Mapping[str, float]) -> None:
    """The tables for people."""
    for sweep, rows in found.sweeps.items():
        print(energy_table(model, rows, others, swaps=None if found.swaps is None else found.swaps.tolist()))
        if sweep in ("up", "down"):
            print(f"(chains carried {sweep} in λ)")
    if kept.reweighted:
        print("\nReweighted from the records at the nearest λ above, whose noise they share:")
        print(reweighted_table(kept.reweighted))
    observed = kept.dataset
    if observed is not None:
        print(f"\nOn the same samples:\n{observe.table(observed)}")


def _stored(path: Path) -> Any:
    """The request of a scan that is there."""
    try:
        return read_json(path)["provenance"]["request"]
    except (RunError, LookupError, TypeError):
        return None


def _draw(model: Model, rows: Sequence[Mapping[str, Any]], out: Path) -> None:
    from qernel.plots import phase_diagram, save

    figure = phase_diagram(
        [row["lam"] for row in rows],
        [row["energy"]["value"] for row in rows],
        [row["energy"]["error"] for row in rows],
        [row["interaction"]["value"] for row in rows],
        [row["interaction"]["error"] for row in rows],
        trained_range=model.ranges["lam"],
        gaps=model.hamiltonian.gaps,
        energy_unit_meV=model.config.energy_unit_meV,
        title=describe(model.config.system.electrons, model.config.system.cells),
    )
    save(figure, out / FIGURE)
