"""Energies of the liquid and of the crystal at zero variance, from what training recorded, and where they cross.

    python studies/zero_variance/variance.py n24|n54 [OUT]

A wavefunction close to an eigenstate has an energy too high in proportion to the variance of its local energy. Training
passes through many wavefunctions: every row of the `*.csv.gz` of a study is one of them, at one λ, with energy and
spread of the local energy per electron. For each phase the energies are fitted by

    E(λ, v) = a + b x + c x² + (d + e x) v,        x = λ − λ_0, v = variance of the local energy per electron,

with rows of one stretch of training and similar λ averaged first (the spread of a few hundred walkers is itself noisy,
and noise in v makes a fitted slope too small), with weights from their error bars, those with v above a limit left out.
Errors are those of 400 resamplings of the stretches. The rows are of parameters that still move, not of the averaged
ones that are shipped, and a straight line in v is an assumption: several limits on v show what it costs.

Writes ``n24.json`` and ``n24.png`` (or of ``n54``) into OUT, which is this folder if not given.
"""

from __future__ import annotations

import csv
import gzip
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).parent


class Study(NamedTuple):
    """What is used of a study.

    Attributes:
        stages: of training, with the liquid and the crystal that the shipped model has.
        phases: range of λ in which the walkers are all in one phase.
        limits: largest variance per electron, in E0², of rows that are used.
    """

    stages: tuple[str, ...]
    phases: dict[str, tuple[float, float]]
    limits: tuple[float, ...]


STUDIES = {
    "n24": Study(("bloch-liquid", "momentum-0.5"), {"liquid": (0.35, 0.8), "crystal": (0.9, 1.5)}, (0.12, 0.07, 0.05)),
    "n54": Study(("bloch-liquid",), {"liquid": (0.35, 0.76), "crystal": (0.92, 1.5)}, (0.1, 0.03, 0.02)),
}
LAM_0 = 0.8
BLOCK, RESAMPLINGS, BIN = 50, 400, 0.1
WILD = 0.5
"""Rows with a larger variance have a walker at a node, or walkers far from equilibrium."""
SETTLED = 40
"""Iterations at the beginning of a stage whose walkers need not be in equilibrium."""


def rows(name: str) -> np.ndarray:
    """λ, energy, variance, error of the energy, block, one row for each group and recorded iteration."""
    found = []
    for number, stage in enumerate(STUDIES[name].stages):
        with gzip.open(HERE.parent / name / f"{stage}.csv.gz", "rt", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                iteration = int(row["iteration"])
                if iteration > SETTLED:
                    lam, energy, deviation, error = (float(row[k]) for k in ("lam", "energy", "deviation", "error"))
                    found.append((lam, energy, deviation**2, error, number * 1000 + iteration // BLOCK))
    return np.array(found)


def averaged(table: np.ndarray) -> np.ndarray:
    """The same columns, rows of one block and one bin of λ averaged with their weights."""
    cells = table[:, 4] * 100 + table[:, 0] // BIN
    found = []
    for cell in np.unique(cells):
        part = table[cells == cell]
        weights = 1.0 / part[:, 3] ** 2
        mean = np.average(part, axis=0, weights=weights)
        found.append((*mean[:3], weights.sum() ** -0.5, part[0, 4]))
    return np.array(found)


def usable(table: np.ndarray, between: tuple[float, float], limit: float) -> np.ndarray:
    """Averaged rows in a range of λ up to a variance."""
    low, high = between
    part = averaged(table[(low < table[:, 0]) & (table[:, 0] < high) & (table[:, 2] < WILD)])
    return part[part[:, 2] < limit]


def design(lam: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """The columns of the fit."""
    x = lam - LAM_0
    return np.stack([np.ones_like(x), x, x**2, variance, x * variance], axis=-1)


def fitted(table: np.ndarray) -> np.ndarray:
    """The five coefficients by weighted least squares."""
    lam, energy, variance, error, _ = table.T
    weights = 1.0 / np.hypot(error, 0.003)[:, None]  # what the fit itself leaves open
    solution: np.ndarray = np.linalg.lstsq(design(lam, variance) * weights, energy * weights[:, 0], rcond=None)[0]
    return solution


def at(coefficients: np.ndarray, lam: float) -> float:
    """The energy at zero variance."""
    return float(design(np.array([lam]), np.zeros(1))[0] @ coefficients)


def crossing(liquid: np.ndarray, crystal: np.ndarray) -> float:
    """λ above 0.6 from which on the crystal is lower; nan if there is none below 1.4."""
    lam = np.linspace(0.6, 1.4, 801)
    lower = (design(lam, np.zeros_like(lam)) @ (crystal - liquid)) < 0
    return float(lam[lower.argmax()]) if lower.any() and not lower[0] else float("nan")


def analysis(table: np.ndarray, phases: dict[str, tuple[float, float]], limit: float) -> dict[str, Any]:
    """Energies at zero variance and their crossing, with bootstrap errors."""
    used = {phase: usable(table, between, limit) for phase, between in phases.items()}
    rng = np.random.default_rng(0)
    draws = [{phase: fitted(part) for phase, part in used.items()}]
    for _ in range(RESAMPLINGS):
        draw = {}
        for phase, part in used.items():
            blocks = [part[part[:, 4] == block] for block in np.unique(part[:, 4])]
            draw[phase] = fitted(np.concatenate([blocks[i] for i in rng.integers(len(blocks), size=len(blocks))]))
        draws.append(draw)

    def quantity(values: list[float]) -> dict[str, float]:
        return {"value": round(values[0], 4), "error": round(float(np.nanstd(values[1:])), 4)}

    points = {"liquid": (0.4, 0.5, 0.6, 0.7), "crystal": (0.9, 1.0, 1.2, 1.4)}
    return {
        "largest_variance": limit,
        "rows": {phase: len(part) for phase, part in used.items()},
        "energies": [
            {"phase": phase, "lam": lam, **quantity([at(draw[phase], lam) for draw in draws])}
            for phase, many in points.items()
            for lam in many
        ],
        "crystal_minus_liquid": [
            {"lam": lam, **quantity([at(draw["crystal"], lam) - at(draw["liquid"], lam) for draw in draws])}
            for lam in (0.7, 0.8, 0.9, 1.0)
        ],
        "slope": {phase: quantity([float(draw[phase][3]) for draw in draws]) for phase in phases},
        "lambda_c": quantity([crossing(draw["liquid"], draw["crystal"]) for draw in draws]),
        "without_crossing": int(sum(np.isnan(crossing(draw["liquid"], draw["crystal"])) for draw in draws[1:])),
    }


def drawn(table: np.ndarray, study: Study, path: Path) -> None:
    """Energy against variance in a few narrow ranges of λ, beside the lines."""
    figure, axes = plt.subplots(1, 4, figsize=(13, 3.4), layout="constrained")
    panels = (("liquid", 0.42), ("liquid", 0.6), ("crystal", 1.0), ("crystal", 1.3))
    for axis, (phase, centre) in zip(axes, panels, strict=True):
        points = usable(table, study.phases[phase], study.limits[0])
        coefficients = fitted(points)
        near = points[abs(points[:, 0] - centre) < 0.1]
        # Moved to the centre along the fitted slope in λ, so that only the dependence on the variance is seen.
        zero = np.zeros(len(near))
        shift = design(np.full(len(near), centre), zero) @ coefficients - design(near[:, 0], zero) @ coefficients
        axis.errorbar(near[:, 2], near[:, 1] + shift, near[:, 3], fmt="o", markersize=3, linewidth=0.8)
        v = np.linspace(0.0, study.limits[0], 2)
        axis.plot(v, design(np.full(2, centre), v) @ coefficients, color="black")
        axis.set(title=f"{phase}, λ = {centre}", xlabel="variance per electron (E0²)")
    axes[0].set_ylabel("energy per electron (E0)")
    figure.savefig(path, dpi=130)


def main(name: str, out: Path) -> None:
    """Print the table, write it and the figure."""
    study, table = STUDIES[name], rows(name)
    results = [analysis(table, study.phases, limit) for limit in study.limits]
    for result in results:
        print(json.dumps(result, ensure_ascii=False))
    (out / f"{name}.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    drawn(table, study, out / f"{name}.png")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else HERE)
