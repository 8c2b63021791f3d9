"""Two electrons with other interactions and in other lattices, exactly and in Hartree–Fock: two_electrons.json.

Written from the formulas, on purpose without importing qernel: results made with it are oracles for qernel. Lengths in
the moiré period a_M, energies in E0, total, with ½NUξ. Nothing is summed as in qernel: v(q) enters the matrix elements,
and ξ comes from plain sums over the lattice.

    python studies/exact/two_electrons.py     # about one minute of one core
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import minimize
from scipy.special import erfc

PRIMITIVE = {"triangular": np.array([[1.0, 0.0], [0.5, np.sqrt(3) / 2]]), "square": np.eye(2)}
U, V0 = 10.0, 4.0
MOIRE = [((0, 1), -2 * V0, 45.0), ((-1, -1), -2 * V0, 45.0), ((1, 0), -2 * V0, 45.0)]
HONEYCOMB = [((0, 1), 8.0, 0.0), ((-1, -1), 8.0, 0.0), ((1, 0), 8.0, 0.0)]
SQUARE = [((1, 0), -8.0, 0.0), ((0, 1), -8.0, 0.0)]
OBLIQUE = ((1.0, 0.0), (0.53, 0.84))
STRAINED = [((0, 1), -9.0, 40.0), ((-1, -1), -7.0, 45.0), ((1, 0), -8.0, 50.0)]
SQRT3, SQRT2 = ((1, 1), (-1, 2)), ((1, 1), (-1, 1))


@dataclass(frozen=True)
class Case:
    """One Hamiltonian; the lattice by name or by its vectors.

    Waves are (integers, amplitude in E0, phase in degrees) of A cos(G·r + φ).
    """

    name: str
    lattice: str | tuple
    rows: tuple
    waves: tuple
    interaction: str
    length: float = 1.0

    @property
    def primitive(self) -> np.ndarray:
        """Moiré lattice vectors, rows."""
        return PRIMITIVE[self.lattice] if isinstance(self.lattice, str) else np.array(self.lattice)

    @property
    def vectors(self) -> np.ndarray:
        """Supercell vectors, rows."""
        return np.array(self.rows) @ self.primitive

    @property
    def area(self) -> float:
        """Of the supercell."""
        return abs(np.linalg.det(self.vectors))


CASES = (
    Case("yukawa", "triangular", SQRT3, tuple(MOIRE), "yukawa", 1.0),
    Case("rytova_keldysh", "triangular", SQRT3, tuple(MOIRE), "rytova_keldysh", 0.5),
    Case("dipolar", "triangular", SQRT3, tuple(MOIRE), "dipolar", 0.5),
    Case("honeycomb", "triangular", SQRT3, tuple(HONEYCOMB), "coulomb"),
    Case("square", "square", SQRT2, tuple(SQUARE), "coulomb"),
    Case("rytova_keldysh_square", "square", SQRT2, tuple(SQUARE), "rytova_keldysh", 0.5),
    Case("yukawa_honeycomb", "triangular", SQRT3, tuple(HONEYCOMB), "yukawa", 0.5),
    Case("strained", OBLIQUE, SQRT3, tuple(STRAINED), "coulomb"),
)

FOURIER: dict[str, Callable] = {
    "coulomb": lambda q, length: 2 * np.pi / q,
    "yukawa": lambda q, length: 2 * np.pi / np.sqrt(q**2 + length**-2),
    "rytova_keldysh": lambda q, length: 2 * np.pi / (q * (1 + length * q)),
    "dipolar": lambda q, length: 4 * np.pi / q * (1 - np.exp(-q * length)),
}
"""v(q); the length is ℓ, r0 or d."""


def lattice(vectors: np.ndarray, radius: float) -> np.ndarray:
    """Lattice points other than 0 within a radius, [n, 2]."""
    reach = (radius * np.linalg.norm(np.linalg.inv(vectors), axis=0)).astype(int) + 1
    index = np.stack(np.meshgrid(*[np.arange(-m, m + 1) for m in reach], indexing="ij"), -1).reshape(-1, 2)
    points = index[index.any(1)] @ vectors
    return points[np.linalg.norm(points, axis=1) <= radius]


def madelung(vectors: np.ndarray) -> float:
    """lim [v − 1/r] of 1/r with a background, by Ewald's sum."""
    area = abs(np.linalg.det(vectors))
    eta = 2 / np.sqrt(area)
    r = np.linalg.norm(lattice(vectors, 6.2 / eta), axis=1)
    q = np.linalg.norm(lattice(2 * np.pi * np.linalg.inv(vectors).T, 12.4 * eta), axis=1)
    waves = 2 * np.pi / area * (erfc(q / (2 * eta)) / q).sum()
    return (erfc(eta * r) / r).sum() + waves - 2 * np.sqrt(np.pi) / (area * eta) - 2 * eta / np.sqrt(np.pi)


def self_image(interaction: str, length: float, vectors: np.ndarray) -> float:
    """ξ: lim [v(r) − 1/r] for coulomb and yukawa, lim [v(r) − v of two charges alone] for the others."""
    area = abs(np.linalg.det(vectors))
    if interaction == "coulomb":
        return madelung(vectors)
    if interaction == "yukawa":
        r = np.linalg.norm(lattice(vectors, 45 * length), axis=1)
        return (np.exp(-r / length) / r).sum() - 2 * np.pi * length / area - 1 / length
    if interaction == "dipolar":  # like charges, and the potential of a charged lattice at the height d above it
        q = np.linalg.norm(lattice(2 * np.pi * np.linalg.inv(vectors).T, 45 / length), axis=1)
        above = 2 * np.pi / area * (np.exp(-q * length) / q).sum() - 1 / length
        return 2 * (madelung(vectors) - above)
    # Rytova–Keldysh less 1/r falls as −r0²/r³: a sum that fades out around `cut`, and an integral for what has faded.
    cut = 20 * max(length, np.sqrt(area))
    r, many = np.unique(np.round(np.linalg.norm(lattice(vectors, 4.5 * cut), axis=1), 12), return_counts=True)
    near = (many * beyond_coulomb(r, length) * fading(r / cut)).sum()
    step = 0.005
    tail = cut * np.exp(np.arange(-1.6, 28, step))
    far = step * (beyond_coulomb(tail, length) * (1 - fading(tail / cut)) * 2 * np.pi * tail**2).sum() / area
    return madelung(vectors) + near + far + 2 * np.pi * length / area


def fading(x: np.ndarray) -> np.ndarray:
    """From 1 to 0 around x = 1, smooth in ln x."""
    return 0.5 * erfc(4 * np.log(x))


def beyond_coulomb(r: np.ndarray, r0: float) -> np.ndarray:
    """F(r/r0)/r0 − 1/r = (1/r) ∫₀^∞ e^{−t} [1/√(1 + (t r0/r)²) − 1] dt, on 60 panels of 8 Gauss points."""
    x, w = np.polynomial.legendre.leggauss(8)
    edges = 45 * np.linspace(0, 1, 61) ** 2
    t = (edges[:-1, None] + np.diff(edges)[:, None] * (x + 1) / 2).ravel()
    weights = (np.diff(edges)[:, None] * w / 2).ravel() * np.exp(-t)
    square = (np.asarray(r)[:, None] / r0 / t) ** -2
    return (-square / (np.sqrt(1 + square) * (1 + np.sqrt(1 + square)))) @ weights / r


class TwoElectrons:
    """H on pairs of plane waves a < b of one crystal momentum (or of all), up to a kinetic cut-off."""

    def __init__(self, case: Case, cutoff: float, momentum: int | None = None, each: bool = False):
        reciprocal = 2 * np.pi * np.linalg.inv(case.vectors).T
        waves = np.concatenate([[[0.0, 0.0]], lattice(reciprocal, np.sqrt(2 * cutoff) * (1 + 1e-9))])
        m = np.rint(waves @ case.vectors.T / (2 * np.pi)).astype(int)
        kinetic = 0.5 * (waves**2).sum(1)
        first, second = np.triu_indices(len(m), 1)
        if not each:
            keep = kinetic[first] + kinetic[second] <= cutoff * (1 + 1e-9)
            first, second = first[keep], second[keep]
        cells = round(abs(np.linalg.det(np.array(case.rows))))
        turns = np.rint(waves @ case.primitive.T / (2 * np.pi) * cells).astype(int) % cells
        label = ((turns[first] + turns[second]) % cells) @ [cells, 1]
        self.momenta = np.unique(label)
        if momentum is not None:
            first, second = first[label == self.momenta[momentum]], second[label == self.momenta[momentum]]
        self.waves, self.first, self.second = m, first, second
        self.kinetic = kinetic[first] + kinetic[second]
        self.case, self.reciprocal = case, reciprocal
        self.constant = U * self_image(case.interaction, case.length, case.vectors)

    def matrix(self) -> np.ndarray:
        """H without ½NUξ, [n, n]."""
        a, b = self.waves[self.first], self.waves[self.second]
        total = a + b
        same = (total[:, None] == total[None]).all(-1)
        h = np.diag(self.kinetic).astype(complex)
        i, j = np.nonzero(same)
        h[i, j] += self._pair(a[i] - a[j]) - self._pair(a[i] - b[j])
        one, two = self.first, self.second
        moves = ((1, two, two, a, a), (-1, two, one, a, b), (-1, one, two, b, a), (1, one, one, b, b))
        for sign, left, right, bra, ket in moves:
            i, j = np.nonzero(left[:, None] == right[None])
            h[i, j] += sign * self._potential(bra[i] - ket[j])
        return h

    def _pair(self, m: np.ndarray) -> np.ndarray:
        q = np.linalg.norm(m @ self.reciprocal, axis=-1)
        safe = np.where(q > 1e-9, q, 1.0)
        return U / self.case.area * np.where(q > 1e-9, FOURIER[self.case.interaction](safe, self.case.length), 0.0)

    def _potential(self, m: np.ndarray) -> np.ndarray:
        """⟨k|V|k − m·B⟩."""
        moire = 2 * np.pi * np.linalg.inv(self.case.primitive).T
        result = np.zeros(len(m), complex)
        for turns, amplitude, phase in self.case.waves:
            g = np.rint(np.array(turns) @ moire @ self.case.vectors.T / (2 * np.pi)).astype(int)
            half = 0.5 * amplitude * np.exp(1j * np.deg2rad(phase))
            result += half * (m == g).all(1) + half.conj() * (m == -g).all(1)
        return result


def exact(case: Case, cutoffs: tuple[float, ...]) -> dict:
    """Ground state over all crystal momenta: the error falls like cut-off^−2 or faster, so the last two bracket it."""
    ladder, momentum = [], None
    for cutoff in cutoffs:
        sectors = range(len(TwoElectrons(case, cutoff).momenta)) if momentum is None else [momentum]
        energies = {}
        for sector in sectors:
            problem = TwoElectrons(case, cutoff, sector)
            lowest = eigh(problem.matrix(), eigvals_only=True, subset_by_index=[0, 0])[0]
            energies[sector] = float(lowest) + problem.constant
        momentum = min(energies, key=energies.get)
        ladder.append(energies[momentum])
    step = (cutoffs[-1] / cutoffs[-2]) ** 2
    limit = ladder[-1] - (ladder[-2] - ladder[-1]) / (step - 1)
    return {"energy": limit, "uncertainty": ladder[-1] - limit, "cutoffs": list(cutoffs), "energies": ladder}


def hartree_fock(case: Case, cutoff: float, starts: int = 24) -> dict:
    """The lowest determinant of plane waves with k²/2 up to the cut-off: L-BFGS from random orbitals."""
    problem = TwoElectrons(case, cutoff, each=True)
    h, n = problem.matrix(), len(problem.waves)
    first, second = problem.first, problem.second

    def energy(x: np.ndarray) -> tuple[float, np.ndarray]:
        c = (x[: 2 * n] + 1j * x[2 * n :]).reshape(2, n)
        pairs = c[0, first] * c[1, second] - c[0, second] * c[1, first]
        acted, norm = h @ pairs, np.vdot(pairs, pairs).real
        value = np.vdot(pairs, acted).real / norm
        slope = 2 * (acted - value * pairs) / norm
        gradient = np.zeros((2, n), complex)
        for row, sign, orbital in ((0, 1, c[1]), (1, -1, c[0])):
            np.add.at(gradient[row], first, sign * slope * orbital[second].conj())
            np.add.at(gradient[row], second, -sign * slope * orbital[first].conj())
        return value, np.concatenate([gradient.real.ravel(), gradient.imag.ravel()])

    scale = 1 / (1 + 0.5 * ((problem.waves @ problem.reciprocal) ** 2).sum(1))
    found = []
    for seed in range(starts):
        x = np.random.default_rng(seed).normal(size=(2, 2, n)) * scale
        settings = {"maxiter": 4000, "ftol": 1e-15, "gtol": 1e-9}
        result = minimize(energy, x.ravel(), jac=True, method="L-BFGS-B", options=settings)
        found.append(float(result.fun) + problem.constant)
    agreed = int((np.array(found) < min(found) + 1e-6).sum())
    return {"energy": min(found), "cutoff": cutoff, "starts": starts, "starts_that_found_it": agreed}


def main() -> None:
    """All cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("two_electrons.json"))
    arguments = parser.parse_args()
    results = []
    for case in CASES:
        result = {
            "name": case.name,
            "lattice": case.lattice,
            "supercell": case.rows,
            "waves": case.waves,
            "U": U,
            "interaction": case.interaction,
            "length": case.length,
            "self_image": self_image(case.interaction, case.length, case.vectors),
            "exact": exact(case, (60.0, 120.0, 240.0, 480.0)),
            "hartree_fock": hartree_fock(case, 60.0),
        }
        print(json.dumps(result), flush=True)
        results.append(result)
    arguments.out.write_text(json.dumps({"units": "E0, total, with N U xi/2", "cases": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
