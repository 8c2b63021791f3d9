"""Energies that training recorded, less those of the shipped model's last stages at the same λ.

    python studies/n24/against.py [METRICS.csv.gz]

The shipped model's energies are cubic fits in λ, in three overlapping ranges, to what stages six and seven recorded
after update 200. Prints the mean over ranges of λ and stretches of 40 iterations, with its error from walkers, the
spread of the local energies per electron and how often translations of a whole configuration are accepted.
"""

from __future__ import annotations

import csv
import gzip
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
COLUMNS = ("iteration", "lam", "energy", "error", "deviation", "translation_acceptance")
FITTED = ((0.27, 0.72), (0.72, 0.95), (0.9, 1.65))
"""The fits' ranges of λ: a transition is in none of them."""
SHOWN = ((0.27, 0.5), (0.5, 0.7), (0.7, 0.85), (0.85, 1.1), (1.1, 1.65))
BURN_IN, STRETCH = 80, 40


def read(path: Path) -> np.ndarray:
    """`COLUMNS` of a file of metrics."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return np.array([[float(row[name]) for name in COLUMNS] for row in csv.DictReader(file)])


def shipped(lam: np.ndarray) -> np.ndarray:
    """Energies of the shipped model at λ, nan outside [0.27, 1.65]."""
    table = np.concatenate([read(HERE / f"{stage}.csv.gz") for stage in ("sixth", "seventh")])
    iteration, at, energy, error = table.T[:4]
    result = np.full(lam.shape, np.nan)
    for low, high in FITTED:
        used = (iteration > 300) & (low < at) & (at < high)
        fit = np.polynomial.Polynomial.fit(at[used], energy[used], 3, w=1.0 / error[used])
        inside = (low < lam) & (lam < high) & np.isnan(result)
        result[inside] = fit(lam[inside])
    return result


def main(path: Path) -> None:
    """Print the table."""
    iteration, lam, energy, error, deviation, translations = read(path).T
    excess = energy - shipped(lam)
    for start in range(BURN_IN, int(iteration.max()), STRETCH):
        cells = []
        for low, high in SHOWN:
            inside = (start < iteration) & (iteration <= start + STRETCH) & (low < lam) & (lam < high)
            inside &= np.isfinite(excess)
            if not inside.any():
                continue
            weights = error[inside] ** -2
            mean, scatter = np.average(excess[inside], weights=weights), weights.sum() ** -0.5
            cells.append(
                f"λ {low:.2f}-{high:.2f}: {mean:+.3f}({scatter:.3f}) "
                f"spread {deviation[inside].mean():.2f} moved {translations[inside].mean():.2f}"
            )
        print(f"updates {start - BURN_IN} to {start - BURN_IN + STRETCH}", *cells, sep=" | ")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "ninth.csv.gz")
