"""``qernel scan``: a table of energies with its provenance, and the phase diagram.

DIR/energies.csv            a row for each λ, to open with a data-frame library
DIR/energies.json           the same as ``--json`` prints, with units and provenance
DIR/phase_diagram.png/.pdf  energy and interaction energy per electron against λ
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import os
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qernel
from qernel import runtime
from qernel.cli.parser import flatten
from qernel.cli.results import DIAGNOSTICS, ENERGIES, measure, other_parameters, payload, to_json
from qernel.cli.tables import describe, energy_table
from qernel.errors import RunError

if TYPE_CHECKING:
    from qernel.model import Model

TABLE, RECORD, FIGURE = "energies.csv", "energies.json", "phase_diagram"
_FILES = (TABLE, RECORD, f"{FIGURE}.png", f"{FIGURE}.pdf")


def run(options: argparse.Namespace) -> int:
    """Measure a trained wavefunction over a grid of λ into a folder."""
    runtime.configure(runtime.usable_devices(options.walkers) if options.walkers else None)
    from qernel.model import load
    from qernel.training.folder import MODEL_FILE

    model = load(options.run)
    run_folder = (Path(options.run) / MODEL_FILE).exists()
    out = Path(options.out or (Path(options.run) / "scan" if run_folder else f"{model.name}-scan"))
    return scan(model, out, options)


def scan(model: Model, out: Path, options: argparse.Namespace) -> int:
    """Measure, write the files and print the table, or the JSON object."""
    others = other_parameters(model, options.at)
    points = sorted(flatten(options.lam))
    request = _request(model, points, others, options)
    _refuse_overwriting(out, request)
    out.mkdir(parents=True, exist_ok=True)

    results = measure(model, points, options)
    data = payload(model, results, others)
    provenance = {
        "request": request,
        "command": shlex.join(options.line),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    _write(out / TABLE, _table(data["results"], others))
    _draw(model, data["results"], out)
    # Last: a folder with this file is complete.
    _write(out / RECORD, to_json({**data, "units": _units(others), "provenance": provenance}, indent=2) + "\n")
    if options.json:
        print(to_json(data))
    else:
        print(energy_table(model, results, others))
        print(f"\nwritten: {', '.join(str(out / name) for name in _FILES)}")
    return 0


def _request(
    model: Model, points: Sequence[float], others: Mapping[str, float], options: argparse.Namespace
) -> dict[str, Any]:
    """Everything the numbers depend on; a scan with an equal request would give them again."""
    sample = model.config.sample
    return {
        "qernel": qernel.__version__,
        "model": model.name,
        "config": model.config.fingerprint(),
        "weights": _digest(model.wavefunction),
        "lam": list(points),
        "at": dict(others),
        "samples": options.samples or sample.samples,
        "walkers": options.walkers or sample.walkers,
        "seed": sample.seed if options.seed is None else options.seed,
    }


def _digest(wavefunction: Any) -> str:
    """SHA-256 of the trained numbers."""
    import jax
    import numpy as np

    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(wavefunction):
        if hasattr(leaf, "dtype"):
            digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest()


def _refuse_overwriting(out: Path, request: Mapping[str, Any]) -> None:
    """Results are only replaced by a repetition of themselves.

    Raises:
        RunError: if ``out`` holds files of another scan, or is no folder.
    """
    if out.exists() and not out.is_dir():
        raise RunError(f"{out} is not a folder: choose another --out")
    present = [name for name in _FILES if (out / name).exists()]
    if not present:
        return
    try:
        stored = json.loads((out / RECORD).read_text("utf-8"))["provenance"]["request"]
    except (OSError, ValueError, KeyError, TypeError):
        stored = None
    if stored != json.loads(to_json(request)):
        raise RunError(f"{out} already has {present[0]} of another scan: choose another --out, or remove it")


def _table(rows: Sequence[Mapping[str, Any]], others: Mapping[str, float]) -> str:
    """The results as CSV, numbers in full precision."""
    names = ["lam", *others]
    for name in ENERGIES:
        names += [name, f"{name}_error"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*names, *DIAGNOSTICS, "extrapolating"])
    for row in rows:
        energies = [row[name][part] for name in ENERGIES for part in ("value", "error")]
        diagnostics = [row[name] for name in DIAGNOSTICS]
        flag = "true" if row["extrapolating"] else "false"
        writer.writerow([row["lam"], *others.values(), *energies, *diagnostics, flag])
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
        energy_unit_meV=model.config.energy_unit_meV,
        title=describe(model.config.system.electrons, model.config.system.cells),
    )
    save(figure, out / FIGURE)


def _write(path: Path, text: str) -> None:
    """Write a file that is either complete or absent."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
