"""``qernel scan``: a table of energies with its provenance, and the phase diagram.

DIR/energies.csv            a row for each λ (and direction), to open with a data-frame library
DIR/energies.nc             the same for `qernel.open`, `qernel plot` and `qernel report`, with units and provenance
DIR/energies.json           the same as ``--json`` prints, with units and provenance
DIR/phase_diagram.png/.pdf  energy and interaction energy per electron against λ
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qernel import runtime
from qernel.cli import outputs
from qernel.cli.arguments import flatten
from qernel.cli.results import DIAGNOSTICS, ENERGIES, ORDER, dataset, measure_sweeps, other_parameters, payload, row
from qernel.cli.tables import describe, energy_table
from qernel.storage import save as save_dataset
from qernel.storage import to_json

if TYPE_CHECKING:
    from qernel.model import Model

TABLE, DATA, RECORD, FIGURE = "energies.csv", "energies.nc", "energies.json", "phase_diagram"
_LAST = ("extrapolating", ORDER, f"{ORDER}_error", f"{ORDER}_rhat", "direction", "in_gap")
_FILES = (TABLE, DATA, RECORD, f"{FIGURE}.png", f"{FIGURE}.pdf")


def run(options: argparse.Namespace) -> int:
    """Measure a trained wavefunction over a grid of λ into a folder."""
    runtime.configure(runtime.usable_devices(options.walkers) if options.walkers else None)
    from qernel.model import load

    model = load(options.run)
    out = Path(options.out) if options.out else outputs.default_folder(model, options.run, "scan")
    return scan(model, out, options)


def scan(model: Model, out: Path, options: argparse.Namespace) -> int:
    """Measure, write the files and print the table, or the JSON object."""
    others = other_parameters(model, options.at)
    points = sorted(flatten(options.lam))
    sweeps = list(dict.fromkeys(options.sweeps))
    request = outputs.request(model, points, others, options)
    # Only where they differ from the default: earlier scans do not have them.
    request |= {"sweeps": sweeps} if sweeps != ["fresh"] else {}
    request |= {"start": options.start} if options.start != "spread" else {}
    start = None
    if options.start == "registries":
        from qernel.sampling.starts import registry_positions

        start = registry_positions(model.hamiltonian, request["walkers"], seed=request["seed"])
    outputs.refuse_overwriting(out, _FILES, request, _stored(out / RECORD), "scan")
    out.mkdir(parents=True, exist_ok=True)

    found = measure_sweeps(model, points, options, sweeps, start)
    results = found[sweeps[0]]
    data = payload(model, results, others)
    if sweeps != ["fresh"]:
        data["sweeps"] = {sweep: [row(result) for result in rows] for sweep, rows in found.items()}
    provenance = {
        "request": request,
        "command": shlex.join(options.line),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    about = {"request": to_json(request), "history": provenance["command"]}
    save_dataset(dataset(model, results, others, found).assign_attrs(about), out / DATA)
    outputs.write_text(out / TABLE, _table([row(result) for rows in found.values() for result in rows], others))
    _draw(model, data["results"], out)
    # Last: a folder with this file is complete.
    outputs.write_text(
        out / RECORD, to_json({**data, "units": _units(others), "provenance": provenance}, indent=2) + "\n"
    )
    if options.json:
        print(to_json(data))
    else:
        for sweep, rows in found.items():
            print(energy_table(model, rows, others))
            if sweep != "fresh":
                print(f"(chains carried {sweep} in λ)")
        print(f"\nwritten: {', '.join(str(out / name) for name in _FILES)}")
    return 0


def _stored(path: Path) -> Any:
    """The request of a scan that is there."""
    try:
        return json.loads(path.read_text("utf-8"))["provenance"]["request"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _table(rows: Sequence[Mapping[str, Any]], others: Mapping[str, float]) -> str:
    """The results as CSV, numbers in full precision."""
    names = ["lam", *others]
    for name in ENERGIES:
        names += [name, f"{name}_error"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*names, *DIAGNOSTICS, *_LAST])
    for entry in rows:
        energies = [entry[name][part] for name in ENERGIES for part in ("value", "error")]
        diagnostics = [entry[name] for name in DIAGNOSTICS]
        outside, between = ("true" if entry[name] else "false" for name in ("extrapolating", "in_gap"))
        order = entry[ORDER] or {"value": "", "error": ""}
        last = [outside, order["value"], order["error"], entry[f"{ORDER}_rhat"], entry["direction"], between]
        writer.writerow([entry["lam"], *others.values(), *energies, *diagnostics, *last])
    return text.getvalue()


def _units(others: Mapping[str, float]) -> dict[str, str]:
    """Unit of each column of the table."""
    conditions = {"U": "E0 a_M", "phase_deg": "degrees", "gate_distance": "a_M"}
    units = {"lam": "V0 (factor on the moiré depth)"} | {name: conditions[name] for name in others}
    for name in ENERGIES:
        units |= {name: "E0 per electron", f"{name}_error": "E0 per electron, one standard error"}
    return units | {
        "acceptance": "fraction of moves",
        "autocorrelation": "records",
        "rhat": "1",
        "effective_samples": "independent samples",
        "extrapolating": "whether the point lies outside the trained range",
        "in_gap": "whether lam lies in a gap of the trained range",
        ORDER: "1, <|rho_K|^2>",
        f"{ORDER}_error": "1, one standard error",
        f"{ORDER}_rhat": "1",
        "direction": "fresh chains at every lam, or chains carried up or down in lam",
    }


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
