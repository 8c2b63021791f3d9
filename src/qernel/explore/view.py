"""What the page is sent: models, results at one point, curves along a parameter, training curves, as plain data."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qernel.along import axis, named, others, point
from qernel.estimators.doubts import RHAT_LIMIT, stored_doubts
from qernel.estimators.phases import stored_phase, stored_phases
from qernel.estimators.quantity import Quantity, parenthesis
from qernel.explore.catalogue import Entry
from qernel.plots.lattice import wigner_seitz_cell
from qernel.plots.training import read_metrics
from qernel.storage import cells

if TYPE_CHECKING:
    import xarray

    from qernel.measure import Model

POINTS = 300
"""Most points of a training curve that are sent."""

NOISE = 2.0
"""Standard errors by which moiré cells may differ and be called alike: errors themselves are uncertain."""

_ENERGIES = {
    "energy": "total energy",
    "kinetic": "kinetic energy",
    "moire": "moiré energy",
    "interaction": "interaction energy",
}
_MAPS = {
    "density_moire": "density folded into the moiré cell",
    "density": "density on the supercell",
    "conditional_density": "density of the others, given an electron in the marked well",
}
_PLACE = re.compile(r"one at r0 = \((\S+), (\S+)\) a_M")
"""Where the given electron of a conditional density is, as its description says it."""


def describe(entry: Entry) -> dict[str, Any]:
    """A model for the selector: its parameters with bounds, its geometry, its stored curves."""
    about: dict[str, Any] = {"name": entry.name, "available": entry.available, "training": entry.metrics is not None}
    about["shipped"] = entry.shipped
    if not entry.available:
        return about
    model = entry.model()
    cell = model.hamiltonian.supercell
    electrons = " + ".join(str(number) for number in model.hamiltonian.electrons if number)
    filling = Fraction(model.hamiltonian.count, cell.cells)
    systems = model.config.systems
    material, fixed = _material(model)
    return about | {
        "title": f"{entry.name}: {electrons} electrons, filling {filling}",
        "filling": str(filling),
        "material": material,
        "fixed": fixed,
        "systems": [system.label for system in systems] if len(systems) > 1 else [],
        "electrons": model.hamiltonian.count,
        "summary": f"{electrons} electrons on {cell.cells} moiré cells, {model.parameters} parameters",
        "card": None if model.card is None else model.card.as_dict(),
        "parameters": [_slider(model, name) for name in model.ranges],
        "vectors": cell.vectors.tolist(),
        "primitive": cell.primitive.tolist(),
        "outline": wigner_seitz_cell(cell.primitive).tolist(),
        "curves": _curves(entry.scan()),
        "stored": entry.stored() is not None,
    }


def _material(model: Model) -> tuple[str, str]:
    """The material in words, or that there is none; and what of it no slider moves."""
    system = model.config.system
    material = system.material
    if material is None:
        return "no material: reduced units", ""
    mass, period = f"m* = {material.effective_mass:g} m_e", f"a_M = {material.period_nm:.3g} nm"
    dielectric = f"ε = {material.dielectric:g}"
    moved = "U" in model.ranges
    words = [mass, f"{dielectric} at U = {material.U:.4g}" if moved else dielectric, period]
    if system.reads("V0"):
        words.append(f"{material.depth_meV:g} meV deep at λ = 1")
    return ", ".join(words), ", ".join([mass, period] if moved else [mass, dielectric, period])


def _slider(model: Model, name: str) -> dict[str, Any]:
    """One parameter of a model, and what it is in the laboratory where the material is known."""
    about, allowed = named(name), model.reach[name]
    laboratory = model.config.system.laboratory(name, about.unit)
    return {
        "name": name,
        "symbol": about.symbol,
        "label": about.meaning,
        "unit": "" if about.unit == "1" else about.unit,
        "trained": list(model.ranges[name]),
        "gaps": [list(gap) for gap in model.hamiltonian.gaps] if name == "lam" else [],
        "bounds": allowed,
        "step": _step(allowed[1] - allowed[0]),
        "laboratory": None if laboratory is None else laboratory._asdict(),
    }


def result(dataset: xarray.Dataset) -> dict[str, Any]:
    """Numbers with errors and units, maps and configurations of a data set at one point."""
    about = dataset.attrs
    meV = about.get("E0_meV")
    energies = []
    for name, label in _ENERGIES.items():
        quantity = Quantity(float(dataset[name]), float(dataset[f"{name}_error"]), "E0", E0_meV=meV)
        energies.append(
            {
                "name": name,
                "label": f"{label} per electron",
                "value": quantity.value,
                "error": quantity.error,
                "text": parenthesis(quantity.value, quantity.error),
                "meV": None if meV is None else parenthesis(*quantity.to("meV").as_dict().values()),
            }
        )
    order = None
    if "order_parameter" in dataset:
        value, error = float(dataset["order_parameter"]), float(dataset["order_parameter_error"])
        order = {"value": value, "error": error, "text": parenthesis(value, error)}
    shown = [name for name in (*_ENERGIES, "order_parameter") if name in dataset]
    # The number whose chains agree least; nan, where it is unknown, counts as more than any.
    rhat = float(np.max([float(dataset[f"{name}_rhat"]) for name in shown if f"{name}_rhat" in dataset]))
    reasons = dict.fromkeys(reason for name in shown for reason in stored_doubts(dataset, name))
    return {
        "point": point(dataset),
        "extrapolating": bool(dataset["extrapolating"]),
        "source": f"{about['samples']} records of {about['walkers']} chains, seed {about['seed']}",
        "energies": energies,
        "order_parameter": order,
        "rhat": rhat,
        "agree": rhat <= RHAT_LIMIT,
        "doubts": list(reasons),
        "phase": stored_phase(dataset)._asdict(),
        "effective_samples": float(dataset["energy_effective_samples"]),
        "maps": {name: _map(dataset, name) for name in _MAPS if name in dataset},
        "walkers": np.round(dataset["snapshots"].values, 4).tolist() if "snapshots" in dataset else [],
    }


_CURVE = ("iteration", "group", "lam", "energy", "error")
"""Columns of the metrics that the page draws."""


def training(path: Path) -> dict[str, Any]:
    """Energy of each λ group against the iteration, thinned to `POINTS` of them.

    Raises:
        RunError: if the file is no table of numbers.
    """
    columns = {name: np.asarray(values) for name, values in read_metrics(path, _CURVE).items()}
    groups = []
    for group in np.unique(columns.get("group", np.zeros(0))):
        rows = np.flatnonzero(columns["group"] == group)
        rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), POINTS)).round().astype(int))]
        lam = columns["lam"][columns["group"] == group][-10:]
        groups.append(
            {
                "lam": float(lam.mean()),
                **{name: columns[name][rows].tolist() for name in ("iteration", "energy", "error")},
            }
        )
    last = int(columns["iteration"][-1]) if len(columns.get("iteration", ())) else None
    return {"groups": groups, "iteration": last}


def _map(dataset: xarray.Dataset, name: str) -> dict[str, Any]:
    values, errors = dataset[name].values, dataset[f"{name}_error"].values
    place = _PLACE.search(dataset[name].attrs["long_name"])
    return {
        "label": _MAPS[name],
        "values": np.round(values, 4).tolist(),
        "largest": float(values.max()),
        "error": float(np.sqrt(np.mean(errors**2))),
        "folded": name == "density_moire",
        "note": _noise_or_order(dataset) if name in ("density", "density_moire") else "",
        "place": None if place is None else [float(number) for number in place.groups()],
    }


def _noise_or_order(dataset: xarray.Dataset) -> str:
    """One sentence: whether moiré cells differ by noise, or because a symmetry is broken."""
    number = int(dataset.attrs["moire_cells"])
    ratio = unlike_cells(dataset)
    if ratio is None:
        return f"Folded: the mean over {number} moiré cells, of which all are alike in the ground state."
    what = f"The {number} moiré cells differ by {ratio:.2g} times the error of the map"
    if ratio > NOISE:
        why = "the wavefunction or its chains break a symmetry that the exact ground state has"
        return f"{what}, more than noise: {why}."
    return f"{what}: that is noise, and no broken symmetry, which ⟨|ρ_K|²⟩ tells."


def unlike_cells(dataset: xarray.Dataset) -> float | None:
    """By how many standard errors the density differs between moiré cells, about 1 where only noise differs.

    Returns:
        The root of mean squares; None for one cell, or where the grid has no part for each part of another cell.
    """
    if "density" not in dataset:
        return None
    values, errors = dataset["density"].values, dataset["density_error"].values
    supercell, moire = cells(dataset)
    turns = moire @ np.linalg.inv(supercell) * values.shape
    steps = np.rint(turns).astype(int)
    number = int(dataset.attrs["moire_cells"])
    if number < 2 or not np.allclose(turns, steps, atol=1e-6) or not errors.any():
        return None
    shifts = {tuple((i * steps[0] + j * steps[1]) % values.shape) for i in range(number) for j in range(number)}
    folded = sum(np.roll(values, shift, (0, 1)) for shift in shifts) / number
    expected = np.mean(errors**2) * (1.0 - 1.0 / number)
    return math.sqrt(float(np.mean((values - folded) ** 2) / expected))


def _curves(dataset: xarray.Dataset | None) -> dict[str, Any] | None:
    """Energies and order parameter along a parameter, and at which values of the others."""
    if dataset is None:
        return None
    names = [name for name in ("energy", "interaction", "order_parameter") if name in dataset]
    curves = {name: dataset[name].values.tolist() for name in names}
    errors = {f"{name}_error": dataset[f"{name}_error"].values.tolist() for name in names}
    along = axis(dataset).name
    words = [found.word for found in stored_phases(dataset, along)]
    points = {"points": dataset[along].values.tolist(), "phases": words}
    return {"along": along, "at": others(dataset, along), **points, **curves, **errors}


def _step(span: float) -> float:
    """The largest 1, 2 or 5 times a power of ten with which a slider still has two hundred positions."""
    unit = float(10.0 ** np.floor(np.log10(span / 200.0)))
    return max(step for step in (unit, 2 * unit, 5 * unit) if span / step > 200.0 - 1e-6)
