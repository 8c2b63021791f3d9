"""Where the energies of liquid and crystal cross: variational, projected and at zero variance.

    python studies/projection/crossing.py FOLDER

FOLDER holds, for each phase,

    liquid/ and crystal/projection.json of `qernel project --phase`
    *-liquid.json, *-crystal.json       of `qernel observe --phase ... --observable energy v_score --json`

at the same λ; the second are wavefunctions of several qualities, and may be missing. Zero variance is the fit

    E(λ, state) = E_0(λ) + d Var(λ, state)/N

of each phase, d the same at every λ, errors in both. λ_c is the root of the weighted straight line through the
differences, or of a parabola where χ² of the line is too large to be chance (p < 0.05); its error is the scatter over
data drawn from all errors, widened by √(χ²/dof) of the fits where that is above 1. Prints tables and writes
``crossing.json`` into FOLDER.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from qernel.estimators.quantity import Quantity

PHASES = ("liquid", "crystal")
DRAWS, ROUNDS = 400, 10
MIDDLE, UNLIKELY = 1.0, 0.05


class Column(NamedTuple):
    """Energies per electron in E0 at each λ, the same drawn from their errors ``[draws, n]``, and how wide they are."""

    values: np.ndarray
    draws: np.ndarray
    widened: float = 1.0

    @property
    def errors(self) -> np.ndarray:
        """Half the central 68 %."""
        low, high = np.quantile(self.draws, [0.16, 0.84], axis=0)
        return self.widened * 0.5 * (high - low)


def drawn(values: np.ndarray, errors: np.ndarray, rng: np.random.Generator) -> Column:
    """Energies whose errors are independent."""
    return Column(values, values + errors * rng.normal(size=(DRAWS, *values.shape)))


def at_zero(
    energies: np.ndarray, energy_errors: np.ndarray, variances: np.ndarray, variance_errors: np.ndarray
) -> tuple[np.ndarray, float, float]:
    """E_0 at each λ, the slope d and χ²; everything ``[states, n]``."""
    states, points = energies.shape
    slope = 0.0
    columns = np.tile(np.eye(points), (states, 1))
    for _ in range(ROUNDS):
        errors = np.hypot(energy_errors, slope * variance_errors).ravel()
        A = np.column_stack([columns, variances.ravel()]) / errors[:, None]
        target = energies.ravel() / errors
        solved = np.linalg.lstsq(A, target, rcond=None)[0]
        slope = float(solved[-1])
    return solved[:-1], slope, float(((target - A @ solved) ** 2).sum())


def zero_variance(files: list[Path], rng: np.random.Generator) -> tuple[Column, dict[str, Any]]:
    """Of several wavefunctions of one phase, and what the fit was like."""
    rows = [json.loads(file.read_text("utf-8"))["results"] for file in files]
    table = np.array(
        [
            [[row[name][part] for name in ("energy", "energy_variance") for part in ("value", "error")] for row in one]
            for one in rows
        ]
    )
    data = [table[..., k] for k in range(4)]
    level, slope, chi2 = at_zero(*data)
    draws, slopes = [], []
    for _ in range(DRAWS):
        moved = [data[k] + data[k + 1] * rng.normal(size=data[k].shape) for k in (0, 2)]
        one = at_zero(moved[0], data[1], moved[1], data[3])
        draws.append(one[0])
        slopes.append(one[1])
    dof = table.shape[0] * table.shape[1] - table.shape[1] - 1
    widened = float(np.sqrt(max(1.0, chi2 / dof)))
    fit = {"states": [file.stem for file in files], "slope": [slope, widened * float(np.std(slopes))]}
    return Column(level, np.array(draws), widened), fit | {"chi2": chi2, "dof": dof}


def crossing(lam: np.ndarray, liquid: Column, crystal: Column) -> dict[str, float]:
    """λ_c, its error, and the polynomial through E_crystal − E_liquid that it is the root of."""
    errors = np.hypot(liquid.errors, crystal.errors)
    difference = crystal.values - liquid.values
    for degree in (1, 2):
        fit = np.polyfit(lam - MIDDLE, difference, degree, w=1 / errors)
        chi2 = float((((difference - np.polyval(fit, lam - MIDDLE)) / errors) ** 2).sum())
        dof = len(lam) - degree - 1
        if stats.chi2.sf(chi2, dof) > UNLIKELY:
            break

    def root(values: np.ndarray) -> float:
        roots = np.roots(np.polyfit(lam - MIDDLE, values, degree, w=1 / errors))
        real = roots.real[np.abs(roots.imag) < 1e-9]
        return MIDDLE + float(real[np.argmin(np.abs(real))]) if len(real) else float("nan")

    wide = [column.values + column.widened * (column.draws - column.values) for column in (liquid, crystal)]
    low, high = np.nanquantile([root(one) for one in wide[1] - wide[0]], [0.16, 0.84])
    error = 0.5 * (high - low) * np.sqrt(max(1.0, chi2 / dof))
    return {"value": root(difference), "error": float(error), "degree": degree, "chi2": chi2, "dof": dof}


def main(folder: Path) -> None:
    """Print the tables and write them."""
    rng = np.random.default_rng(25)
    projected = {p: json.loads((folder / p / "projection.json").read_text("utf-8"))["results"] for p in PHASES}
    lam = np.array([row["lam"] for row in projected["liquid"]])
    columns: dict[str, dict[str, Column]] = {}
    fits: dict[str, Any] = {}
    for name in ("variational", "projected"):
        columns[name] = {}
        for p in PHASES:
            pairs = np.array([(row[name]["value"], row[name]["error"]) for row in projected[p]])
            columns[name][p] = drawn(pairs[:, 0], pairs[:, 1], rng)
    files = {p: sorted(folder.glob(f"*-{p}.json")) for p in PHASES}
    if all(len(one) > 1 for one in files.values()):
        columns["zero variance"] = {}
        for p in PHASES:
            columns["zero variance"][p], fits[p] = zero_variance(files[p], rng)
    places = {name: crossing(lam, pair["liquid"], pair["crystal"]) for name, pair in columns.items()}

    names = [f"{p}: {name}" for p in PHASES for name in columns]
    print("| λ | " + " | ".join(names) + " |\n" + "|---" * (len(names) + 1) + "|")
    for index, one in enumerate(lam):
        pairs = [columns[name][p] for p in PHASES for name in columns]
        cells = [Quantity(float(pair.values[index]), float(pair.errors[index])).number for pair in pairs]
        print(f"| {one:g} | " + " | ".join(cells) + " |")
    print("\n| | λ_c | degree | χ²/dof |\n|---|---|---|---|")
    for name, place in places.items():
        fit = f"{place['degree']} | {place['chi2']:.1f}/{place['dof']}"
        print(f"| {name} | {Quantity(place['value'], place['error']).number} | {fit} |")
    for p, fit in fits.items():
        slope = Quantity(*fit["slope"]).number
        print(f"\nzero variance, {p}: dE/dVar = {slope} per E0, χ²/dof = {fit['chi2']:.1f}/{fit['dof']}")
    record = {
        "lam": lam.tolist(),
        "energies": {
            name: {p: {"value": c.values.tolist(), "error": c.errors.tolist()} for p, c in pair.items()}
            for name, pair in columns.items()
        },
        "lambda_c": places,
        "zero_variance_fits": fits,
        "units": "E0 per electron",
    }
    (folder / "crossing.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
