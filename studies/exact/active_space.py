"""Full configuration interaction of N electrons in Bloch orbitals of the 3×3 cell, one crystal momentum at a time.

All two-electron pairs (c, d) of momentum P are annihilated from the wavefunction, X_P[cd, D] = ⟨D|a_d a_c|Ψ⟩ with D the
states of N − 2 electrons; then H|Ψ⟩ is one dense product V_P X_P per P, folded back, and X_P X_P† is the two-body
density matrix. One-body terms are folded into V_P.
"""

from math import comb

import numpy as np
from cell import CELLS, COUPLING, PHASE, Cell
from davidson import lowest

POINTS = 9  # crystal momenta of the 3×3 cell: κ = (i/3, j/3) has number 3 i + j
MOMENTA = {"Gamma": 0, "K": 5, "X": 3}
ADD = np.array([[(a // 3 + b // 3) % 3 * 3 + (a % 3 + b % 3) % 3 for b in range(POINTS)] for a in range(POINTS)])
NEGATIVE = ADD.argmin(axis=1)


class OneBody:
    """Plane waves of every crystal momentum; kinetic energy and w in them; Fourier grid of the cell."""

    def __init__(self, cutoff: float = 200.0):
        self.cell = Cell(CELLS["3x3"])
        waves = self.cell.waves(cutoff)
        number = self.cell.crystal_momentum(waves) // 3 @ [3, 1]
        self.waves = [waves[number == k] for k in range(POINTS)]
        self.kinetic = [self.cell.kinetic(m) for m in self.waves]
        self.moire = []
        for m in self.waves:
            w = np.zeros((len(m), len(m)), complex)
            for g in self.cell.moire_waves:
                w -= np.exp(1j * PHASE) * (m[:, None] - m[None] == g).all(-1)
            self.moire.append(w + w.conj().T)
        self.grid = 4 * np.abs(waves).max() + 2
        q = np.rint(np.fft.fftfreq(self.grid) * self.grid).astype(int)
        q = np.stack(np.meshgrid(q, q, indexing="ij"), -1).reshape(-1, 2)
        self.coulomb = self.cell.coulomb(q)
        number = self.cell.crystal_momentum(q) // 3 @ [3, 1]
        self.transfer = [np.flatnonzero(number == k) for k in range(POINTS)]  # grid points of each momentum
        self.mirror = ((-q) % self.grid) @ [self.grid, 1]  # grid point of −q

    def hamiltonian(self, k: int, v: float) -> np.ndarray:
        """T + v w at one crystal momentum."""
        return np.diag(self.kinetic[k]) + v * self.moire[k]

    def bands(self, v: float, counts: list[int]) -> list[np.ndarray]:
        """Lowest Bloch orbitals at depth v: per momentum [waves, orbitals]."""
        return [np.linalg.eigh(self.hamiltonian(k, v))[1][:, :n] for k, n in enumerate(counts)]

    def shells(self, total: int) -> list[int]:
        """Orbitals per crystal momentum, as many as the lowest `total` plane waves have."""
        waves = self.cell.waves(100.0)[:total]
        return np.bincount(self.cell.crystal_momentum(waves) // 3 @ [3, 1], minlength=POINTS).tolist()


def colex_rank(states: np.ndarray, columns: list[int]) -> np.ndarray:
    """Position of increasing orbital lists (those columns) in colexicographic order."""
    rank = np.zeros(len(states), np.int64)
    for t, column in enumerate(columns):
        rank += np.array([comb(o, t + 1) for o in range(256)])[states[:, column]]
    return rank


class PairBasis:
    """`counts[k]` orbitals at every crystal momentum, and the pairs a < b of each total momentum."""

    def __init__(self, counts: list[int], electrons: int = 6):
        self.counts, self.electrons = counts, electrons
        self.k_of = np.repeat(np.arange(POINTS), counts)
        self.orbitals = m = len(self.k_of)
        self.k_pair = ADD[self.k_of[:, None], self.k_of[None]]
        self.pairs, self.place = [], np.zeros((m, m), np.int64)
        for p in range(POINTS):
            a, b = np.nonzero(np.triu(self.k_pair == p, 1))
            self.pairs.append((a, b))
            self.place[a, b] = self.place[b, a] = np.arange(len(a))

    def position_in(self, larger: "PairBasis") -> np.ndarray:
        """[orbitals] where each orbital sits in a basis with more orbitals at the end of every momentum's list."""
        starts = np.concatenate([[0], np.cumsum(larger.counts)])
        return np.concatenate([starts[k] + np.arange(n) for k, n in enumerate(self.counts)])

    def pair_diagonal(self, matrices: list[np.ndarray]) -> np.ndarray:
        """[orbitals, orbitals]: V_ab,ab, whose sum over the pairs of a state is its energy."""
        table = np.zeros((self.orbitals, self.orbitals))
        for (a, b), v in zip(self.pairs, matrices, strict=True):
            table[a, b] = table[b, a] = np.diag(v).real
        return table


class ActiveSpace(PairBasis):
    """All states of N electrons with one total crystal momentum, and the maps to those of N − 2 electrons."""

    def __init__(self, counts: list[int], momentum: int, electrons: int = 6):
        super().__init__(counts, electrons)
        self.momentum, m = momentum, self.orbitals
        lists = [np.zeros((1, 0), np.uint8)]
        for n in range(1, electrons):  # colexicographic order: those below orbital o come first
            lists.append(
                np.concatenate(
                    [
                        np.hstack([lists[-1][: comb(o, n - 1)], np.full((comb(o, n - 1), 1), o, np.uint8)])
                        for o in range(n - 1, m)
                    ]
                )
            )
        k_rest = self._momentum(lists[-1])
        members = [np.flatnonzero(k_rest == k) for k in range(POINTS)]
        states = []
        for o in range(electrons - 1, m):
            rest = members[ADD[momentum, NEGATIVE[self.k_of[o]]]]
            rest = rest[: np.searchsorted(rest, comb(o, electrons - 1))]
            states.append(np.hstack([lists[-1][rest], np.full((len(rest), 1), o, np.uint8)]))
        self.states = np.concatenate(states)
        self.fewer = lists[electrons - 2 :]  # states of N − 2 and N − 1 electrons, all momenta
        self._fold(self.fewer[0])

    def _momentum(self, states: np.ndarray) -> np.ndarray:
        total = np.zeros(len(states), int)
        for column in states.T:
            total = ADD[total, self.k_of[column]]
        return total

    def _fold(self, smaller: np.ndarray) -> None:
        """Where each (state, removed pair) sits in the blocks X_P."""
        n, momentum = self.electrons, self._momentum(smaller)
        position = np.zeros(len(smaller), np.int64)
        self.width, self.members = [], []
        for p in range(POINTS):
            members = np.flatnonzero(momentum == ADD[self.momentum, NEGATIVE[p]])
            position[members] = np.arange(len(members))
            self.members.append(members)
            self.width.append(len(members))
        self.position = position
        rows = [len(a) for a, _ in self.pairs]
        self.offset = np.concatenate([[0], np.cumsum(np.array(rows) * self.width)])
        width = np.array(self.width)
        self.removed, self.fold = [(i, j) for j in range(n) for i in range(j)], []
        for i, j in self.removed:
            rank = colex_rank(self.states, [t for t in range(n) if t not in (i, j)])
            a, b = self.states[:, i], self.states[:, j]
            p = self.k_pair[a, b]
            flat = self.offset[p] + self.place[a, b] * width[p] + position[rank]
            self.fold.append(flat.astype(np.int32))

    def annihilate(self, c: np.ndarray) -> np.ndarray:
        """All X_P, flat, of amplitudes [states]."""
        x = np.zeros(self.offset[-1], c.dtype)
        for (i, j), flat in zip(self.removed, self.fold, strict=True):
            x[flat] = c if (i + j) % 2 else -c
        return x

    def block(self, x: np.ndarray, p: int) -> np.ndarray:
        """View [pairs, N − 2 states] of one momentum."""
        return x[self.offset[p] : self.offset[p + 1]].reshape(-1, self.width[p])

    def apply(self, matrices: list[np.ndarray], c: np.ndarray) -> np.ndarray:
        """H times amplitudes."""
        x = self.annihilate(c)
        for p, v in enumerate(matrices):
            part = self.block(x, p)
            part[:] = v @ part
        out = np.zeros_like(c)
        for (i, j), flat in zip(self.removed, self.fold, strict=True):
            out += x[flat] if (i + j) % 2 else -x[flat]
        return out

    def density_matrices(self, c: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        """Γ_P[ab, cd] = ⟨a†_a a†_b a_d a_c⟩ and D[a, c] = ⟨a†_a a_c⟩."""
        x = self.annihilate(c)
        two = [(self.block(x, p).conj() @ self.block(x, p).T).astype(complex) for p in range(POINTS)]
        one = np.zeros((self.orbitals, self.orbitals), complex)
        for p, (a, b) in enumerate(self.pairs):
            for left, kept, sign in ((a, b, 1), (b, a, -1)):
                for right, same, other in ((a, b, 1), (b, a, -1)):
                    match = kept[:, None] == same[None]
                    i, j = np.nonzero(match)
                    np.add.at(one, (left[i], right[j]), sign * other * two[p][i, j])
        return two, one / (self.electrons - 1)


class Problem:
    """One (depth, coupling): integrals in given orbitals, ground state, orbital optimisation."""

    def __init__(self, one_body: OneBody, space: PairBasis, depth: float, coupling: float = COUPLING):
        self.one_body, self.space, self.depth, self.coupling = one_body, space, depth, coupling
        k = space.k_of
        transfer = ADD[k[None], NEGATIVE[k[:, None]]]  # momentum of φ_a* φ_c
        self.products = [np.nonzero(transfer == q) for q in range(POINTS)]
        self.shift = space.electrons * coupling * one_body.cell.madelung / 2

    def _real_space(self, orbitals: list[np.ndarray]) -> np.ndarray:
        grid = self.one_body.grid
        f = np.zeros((self.space.orbitals, grid, grid), complex)
        start = 0
        for m, c in zip(self.one_body.waves, orbitals, strict=True):
            f[start : start + c.shape[1], m[:, 0] % grid, m[:, 1] % grid] = c.T
            start += c.shape[1]
        return np.fft.ifft2(f, norm="forward")

    def _products(self, phi: np.ndarray) -> list[np.ndarray]:
        """Fourier coefficients of φ_a* φ_c, per momentum [products, waves]."""
        out = []
        for q, (a, c) in enumerate(self.products):
            f = np.fft.fft2(phi[a].conj() * phi[c], norm="forward").reshape(len(a), -1)
            out.append(f[:, self.one_body.transfer[q]])
        return out

    def _one_body(self, orbitals: list[np.ndarray], matrix: str) -> np.ndarray:
        out = np.zeros((self.space.orbitals,) * 2, complex)
        start = 0
        for k, c in enumerate(orbitals):
            n = c.shape[1]
            if matrix == "kinetic":
                block = c.conj().T @ (self.one_body.kinetic[k][:, None] * c)
            else:
                block = c.conj().T @ self.one_body.moire[k] @ c
            out[start : start + n, start : start + n] = block
            start += n
        return out

    def integrals(self, orbitals: list[np.ndarray]) -> list[np.ndarray]:
        """V_P[ab, cd], antisymmetrised, one-body part included."""
        space, n = self.space, self.space.orbitals
        rho = self._products(self._real_space(orbitals))
        row, table, offset, width = np.zeros((n, n), int), [], np.zeros(POINTS + 1, int), np.zeros(POINTS, int)
        momentum = np.zeros((n, n), int)
        for q, (a, c) in enumerate(self.products):
            minus = NEGATIVE[q]
            order = np.argsort(self.one_body.transfer[minus])
            at = order[
                np.searchsorted(self.one_body.transfer[minus][order], self.one_body.mirror[self.one_body.transfer[q]])
            ]
            v = self.coupling * self.one_body.coulomb[self.one_body.transfer[q]]
            block = (rho[q] * v) @ rho[minus][:, at].T
            row[a, c], momentum[a, c] = np.arange(len(a)), q
            table.append(block.reshape(-1))
            offset[q + 1], width[q] = offset[q] + block.size, block.shape[1]
        flat = np.concatenate(table)
        h = (self._one_body(orbitals, "kinetic") + self.depth * self._one_body(orbitals, "moire")) / (
            space.electrons - 1
        )

        def element(a, b, c, d):
            q = momentum[a, c]
            value = flat[offset[q] + row[a, c] * width[q] + row[b, d]]
            return value + h[a, c] * (b == d) + h[b, d] * (a == c)

        out = []
        for a, b in space.pairs:
            a, b, c, d = a[:, None], b[:, None], a[None], b[None]
            out.append(element(a, b, c, d) - element(a, b, d, c))
        return out

    def solve(
        self, orbitals: list[np.ndarray], start: np.ndarray | None = None, tolerance: float = 5e-3
    ) -> tuple[float, np.ndarray]:
        """Ground-state energy (total, ½NUξ included) and amplitudes."""
        space, matrices = self.space, self.integrals(orbitals)
        table = space.pair_diagonal(matrices).astype(np.float32)
        diagonal = sum(table[space.states[:, i], space.states[:, j]] for i, j in space.removed)
        single = [v.astype(np.complex64) for v in matrices]
        if start is None:
            low = np.argsort(diagonal)[:300]
            start = np.zeros(len(diagonal), np.complex64)
            start[low] = np.random.default_rng(1).normal(size=(len(low), 2)) @ [1, 1j]
        value, c, _ = lowest(lambda x: space.apply(single, x), diagonal, start, tolerance)
        return value + self.shift, c

    def parts(self, orbitals: list[np.ndarray], one: np.ndarray, energy: float) -> dict[str, float]:
        """Kinetic, moiré and interaction energy (total)."""
        kinetic = float((one * self._one_body(orbitals, "kinetic")).sum().real)
        moire = self.depth * float((one * self._one_body(orbitals, "moire")).sum().real)
        return {"kinetic": kinetic, "moire": moire, "interaction": energy - kinetic - moire}


def embed(small: ActiveSpace, large: ActiveSpace, c: np.ndarray) -> np.ndarray:
    """Amplitudes of a space in one that has more orbitals at the end of every momentum's list."""
    columns = list(range(large.electrons))
    moved = small.position_in(large)[small.states]
    out = np.zeros(len(large.states), c.dtype)
    out[np.searchsorted(colex_rank(large.states, columns), colex_rank(moved, columns))] = c
    return out
