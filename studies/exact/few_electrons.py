"""Exact energies of two and three spin-polarised electrons: full configuration interaction in plane waves.

Basis: all antisymmetric products with Σ k²/2 ≤ cut-off and one crystal momentum. The interaction conserves the momentum
of the pair it acts on and leaves the third electron alone, so it is one dense matrix per pair momentum times the
amplitudes of all third electrons. The error falls like the cut-off to the power -2 (for like spins ψ ~ r(1 + U r/3)
where two electrons meet), which the fitted powers confirm where no moiré potential has to be resolved.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from cell import CELLS, COUPLING, DEPTH, PHASE, Cell
from davidson import lowest
from scipy.optimize import brentq
from scipy.sparse import csr_matrix

CASES = [  # electrons, cell, U, V
    *[(2, "sqrt3", u, v) for u in (COUPLING, 2.0) for v in (0.0, DEPTH)],
    *[(3, "3x3", u, v) for u in (COUPLING, 2.0) for v in (0.0, DEPTH)],
]
LADDER = {2: (400.0, 800.0, 1600.0, 3200.0), 3: (75.0, 150.0, 300.0, 600.0)}
SECTORS = {"sqrt3": {"Gamma": (0, 0), "K": (1, 2)}, "3x3": {"Gamma": (0, 0), "K": (3, 6), "X": (3, 0)}}


class FewElectrons:
    """Kinetic energy, moiré potential and interaction as operators on one crystal-momentum sector."""

    def __init__(self, cell: Cell, electrons: int, sector: tuple[int, int], cutoff: float):
        self.cell = cell
        self.waves = cell.waves(cutoff)
        n, cells = len(self.waves), cell.moire_cells
        kinetic = cell.kinetic(self.waves)
        label = cell.crystal_momentum(self.waves) @ [cells, 1]

        def combine(x: np.ndarray, y: np.ndarray, sign: int = 1) -> np.ndarray:
            return (x // cells + sign * (y // cells)) % cells * cells + (x % cells + sign * (y % cells)) % cells

        target = np.array(sector[0] * cells + sector[1])
        i, j = np.triu_indices(n, 1)
        keep = kinetic[i] + kinetic[j] <= cutoff
        i, j = i[keep], j[keep]
        if electrons == 2:
            keep = combine(label[i], label[j]) == target
            self.states = np.stack([i[keep], j[keep]], 1)
        else:
            needed = combine(target, combine(label[i], label[j]), -1)
            found = []
            for third in range(2, n):  # i < j < third
                ok = (j < third) & (needed == label[third]) & (kinetic[i] + kinetic[j] + kinetic[third] <= cutoff)
                found.append(np.stack([i[ok], j[ok], np.full(ok.sum(), third)], 1))
            self.states = np.concatenate(found)
        self.kinetic = kinetic[self.states].sum(1)
        self._pairs(i, j, combine, label, target, kinetic, cutoff)
        self._moire()

    def _pairs(self, i, j, combine, label, target, kinetic, cutoff) -> None:
        """Blocks of the pair interaction; where each (state, third electron) sits in them, and its sign."""
        n, electrons = len(self.waves), self.states.shape[1]
        total = self.waves[i] + self.waves[j]
        unique, block = np.unique(total, axis=0, return_inverse=True)
        block = block.reshape(-1)
        order = np.lexsort((kinetic[i] + kinetic[j], block))
        edges = np.searchsorted(block[order], np.arange(len(unique) + 1))
        block_of, place_of = np.full((n, n), -1), np.zeros((n, n), int)
        block_of[i, j] = block
        place_of[i[order], j[order]] = np.arange(len(order)) - edges[block[order]]
        spectator_place = np.zeros(n, int)
        for value in np.unique(label):
            members = np.flatnonzero(label == value)
            spectator_place[members] = np.arange(len(members))
        needed = combine(target, self.cell.crystal_momentum(unique) @ [self.cell.moire_cells, 1], -1)
        if electrons == 2:
            width = (needed == 0).astype(int)
        else:
            room = cutoff - self.cell.kinetic(unique) / 2 + 1e-9  # two electrons of total P have at least P²/4
            width = np.array([((label == a) & (kinetic <= b)).sum() for a, b in zip(needed, room, strict=True)])
        offset = np.concatenate([[0], np.cumsum(np.diff(edges) * width)])
        self.blocks = []
        for p in np.flatnonzero(width):
            rows = order[edges[p] : edges[p + 1]]
            first, second = self.waves[i[rows]], self.waves[j[rows]]
            direct, exchange = first[:, None] - first, first[:, None] - second
            matrix = self.cell.coulomb(direct) - self.cell.coulomb(exchange)
            self.blocks.append((offset[p], len(rows), width[p], matrix))
        self.size = offset[-1]
        places, signs = [], []
        for s in range(electrons if electrons == 3 else 1):
            pair = self.states if electrons == 2 else np.delete(self.states, s, axis=1)
            x, y = pair.T
            b = block_of[x, y]
            column = 0 if electrons == 2 else spectator_place[self.states[:, s]]
            places.append(offset[b] + place_of[x, y] * width[b] + column)
            signs.append((-1.0) ** s)
        self.places, self.signs = np.stack(places), signs
        self.diagonal_interaction = np.zeros(len(self.states))
        flat = np.zeros(self.size)
        for start, rows, columns, matrix in self.blocks:
            flat[start : start + rows * columns] = np.repeat(np.diag(matrix), columns)
        for place in self.places:
            self.diagonal_interaction += flat[place]

    def _moire(self) -> None:
        """Σ_i w(r_i), a sparse matrix: one electron moves by ±g_j."""
        n, electrons = len(self.waves), self.states.shape[1]
        reach = np.abs(self.waves).max() + np.abs(self.cell.moire_waves).max()
        index = np.full((2 * reach + 1,) * 2, -1)
        index[tuple((self.waves + reach).T)] = np.arange(n)
        powers = n ** np.arange(electrons - 1, -1, -1)
        keys = self.states @ powers
        order = np.argsort(keys)
        rows, columns, data = [], [], []
        for which in range(electrons):
            for g in self.cell.moire_waves:
                moved = index[tuple((self.waves[self.states[:, which]] + g + reach).T)]
                new = self.states.copy()
                new[:, which] = moved
                others = np.delete(self.states, which, axis=1)
                sign = (-1.0) ** (which - (others < moved[:, None]).sum(1))
                new.sort(axis=1)
                key = new @ powers
                at = order[np.minimum(np.searchsorted(keys, key, sorter=order), len(keys) - 1)]
                ok = (moved >= 0) & (others != moved[:, None]).all(1) & (keys[at] == key)
                rows.append(at[ok])
                columns.append(np.flatnonzero(ok))
                data.append(-np.exp(1j * PHASE) * sign[ok])
        up = csr_matrix(
            (np.concatenate(data), (np.concatenate(rows), np.concatenate(columns))), shape=(len(keys), len(keys))
        )
        self.moire = up + up.conj().T

    def interaction(self, c: np.ndarray) -> np.ndarray:
        """Σ_{i<j} v applied to amplitudes [states]."""
        x = np.zeros((self.size, 2))
        for place, sign in zip(self.places, self.signs, strict=True):
            x[place, 0], x[place, 1] = sign * c.real, sign * c.imag
        for start, rows, columns, matrix in self.blocks:
            part = x[start : start + rows * columns]
            part[:] = (matrix @ part.reshape(rows, -1)).reshape(part.shape)
        out = np.zeros(len(c), complex)
        for place, sign in zip(self.places, self.signs, strict=True):
            out += sign * (x[place, 0] + 1j * x[place, 1])
        return out

    def ground_state(self, u: float, v: float, start: np.ndarray | None = None) -> tuple[dict[str, float], np.ndarray]:
        """Energy and its parts, ½NUξ included, and the amplitudes."""

        def apply(c: np.ndarray) -> np.ndarray:
            return self.kinetic * c + u * self.interaction(c) + (v * (self.moire @ c) if v else 0)

        diagonal = self.kinetic + u * self.diagonal_interaction
        if start is None:
            low = np.argsort(diagonal)[:50]
            start = np.zeros(len(diagonal), complex)
            start[low] = np.random.default_rng(1).normal(size=len(low)) / (1 + np.arange(len(low)))
        value, c, residual = lowest(apply, diagonal, start, tolerance=1e-5)
        shift = self.states.shape[1] * u * self.cell.madelung / 2
        parts = {
            "kinetic": float(self.kinetic @ np.abs(c) ** 2),
            "moire": v * float(np.vdot(c, self.moire @ c).real),
            "interaction": u * float(np.vdot(c, self.interaction(c)).real) + shift,
        }
        return {"energy": value + shift, "residual": residual, **parts}, c


def embed(small: FewElectrons, large: FewElectrons, c: np.ndarray) -> np.ndarray:
    """Amplitudes of a smaller cut-off in the basis of a larger one (waves are ordered by energy in both)."""
    powers = len(large.waves) ** np.arange(small.states.shape[1] - 1, -1, -1)
    keys = large.states @ powers
    order = np.argsort(keys)
    out = np.zeros(len(keys), complex)
    out[order[np.searchsorted(keys, small.states @ powers, sorter=order)]] = c
    return out


def extrapolate(cutoffs: list[float], energies: list[float]) -> tuple[float, float, float]:
    """(E, uncertainty, fitted power) from three cut-offs in geometric progression.

    E(c) = E + a c^-2 through the last two: the amplitudes of the cusp r² e^{iθ} fall like k^-4, so the energy left out
    falls like k^-4. The uncertainty is the larger of the whole correction and the distance to a fit with a free power.
    """
    ratio = (energies[0] - energies[1]) / (energies[1] - energies[2])
    step = cutoffs[2] / cutoffs[1]
    power = brentq(lambda p: step**p - ratio, 0.2, 30)
    last = energies[1] - energies[2]
    limit, free = (energies[2] - last / (step**p - 1) for p in (2, power))
    return limit, max(energies[2] - limit, abs(limit - free)), power


def main() -> None:
    """All cases: momenta compared at the second cut-off, the ladder at the lowest; writes few_electrons.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("few_electrons.json"))
    parser.add_argument("--steps", type=int, default=4, help="cut-offs of the ladder to use, from the lowest (>= 3)")
    arguments = parser.parse_args()
    results = []
    for electrons, name, u, v in CASES:
        begin = time.time()
        cell, ladder = Cell(CELLS[name]), LADDER[electrons][: arguments.steps]
        solved = {}
        for sector, momentum in SECTORS[name].items():  # the second cut-off resolves the moiré potential
            small = FewElectrons(cell, electrons, momentum, ladder[0])
            first, c = small.ground_state(u, v)
            problem = FewElectrons(cell, electrons, momentum, ladder[1])
            second, c = problem.ground_state(u, v, embed(small, problem, c))
            solved[sector] = (problem, [first, second], c)
        best = min(solved, key=lambda s: solved[s][1][-1]["energy"])
        problem, rows, c = solved[best]
        rows = list(rows)
        for cutoff in ladder[2:]:
            larger = FewElectrons(cell, electrons, SECTORS[name][best], cutoff)
            row, c = larger.ground_state(u, v, embed(problem, larger, c))
            problem = larger
            rows.append(row)
        energies = [r["energy"] for r in rows]
        limit, uncertainty, power = extrapolate(list(ladder[-3:]), energies[-3:])
        results.append(
            {
                "electrons": electrons,
                "cell": name,
                "U": u,
                "V": v,
                "phase_deg": 45,
                "momentum": best,
                "energy": limit,
                "uncertainty": uncertainty,
                "fitted_power": power,
                "parts_at_last_cutoff": {k: rows[-1][k] for k in ("kinetic", "moire", "interaction")},
                "cutoffs": list(ladder),
                "energies": energies,
                "states": len(problem.states),
                "second_cutoff_by_momentum": {s: solved[s][1][-1]["energy"] for s in solved},
                "residual": rows[-1]["residual"],
                "seconds": round(time.time() - begin, 1),
            }
        )
        print(json.dumps(results[-1]), flush=True)
    arguments.out.write_text(
        json.dumps({"units": "E0, total energies with N U xi/2", "cases": results}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
