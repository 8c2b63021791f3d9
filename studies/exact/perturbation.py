"""Epstein–Nesbet energy of second order for what lies outside an active space: Σ |⟨D|H|Ψ⟩|² / (E − ⟨D|H|D⟩).

D runs over all states with one or two electrons in the outer orbitals of a larger basis; H cannot reach others.
"""

import numpy as np
from active_space import ADD, NEGATIVE, POINTS, ActiveSpace, OneBody, PairBasis, Problem, colex_rank


def second_order(
    body: OneBody, space: ActiveSpace, counts: list[int], depth: float, energy: float, c: np.ndarray
) -> dict[int, float]:
    """E2 by number of electrons outside. `energy` is total, `c` the amplitudes of the active space."""
    n = space.electrons
    outer = PairBasis(counts, n)
    problem = Problem(body, outer, depth)
    matrices = problem.integrals(body.bands(depth, counts))
    diagonal = outer.pair_diagonal(matrices)
    reference = energy - problem.shift
    inside = space.position_in(outer)
    outside = np.setdiff1d(np.arange(outer.orbitals), inside)
    x = space.annihilate(c)
    fewer, remaining = space.fewer
    columns = [outer.place[inside[a], inside[b]] for a, b in space.pairs]

    def energies(states: np.ndarray) -> np.ndarray:
        return sum(diagonal[states[:, i], states[:, j]] for j in range(states.shape[1]) for i in range(j))

    def beside(a: np.ndarray, states: np.ndarray) -> np.ndarray:
        """[a, states] energy of orbital a in the field of a state."""
        return sum(diagonal[a[:, None], column[None]] for column in states.T)

    two = 0.0
    is_outside = np.zeros(outer.orbitals, bool)
    is_outside[outside] = True
    for p, (a, b) in enumerate(outer.pairs):
        rows = np.flatnonzero(is_outside[a] & is_outside[b])
        states = inside[fewer[space.members[p]]]
        base, field = energies(states), beside(outside, states)
        block = space.block(x, p)
        matrix = matrices[p][np.ix_(rows, columns[p])].astype(x.dtype)
        for part in np.array_split(np.arange(len(rows)), max(1, len(rows) * len(states) // 4_000_000)):
            left, right = a[rows[part]], b[rows[part]]
            amplitude = matrix[part] @ block
            level = base + diagonal[left, right][:, None]
            level = level + field[np.searchsorted(outside, left)] + field[np.searchsorted(outside, right)]
            two += float((np.abs(amplitude) ** 2 / (reference - level)).sum())

    one, momentum = 0.0, space._momentum(remaining)
    for k in range(POINTS):
        states = remaining[momentum == ADD[space.momentum, NEGATIVE[k]]]
        full = inside[states]
        base = energies(full)
        rest = [space.position[colex_rank(states, [s for s in range(n - 1) if s != t])] for t in range(n - 1)]
        for a in outside[outer.k_of[outside] == k]:
            table = np.zeros((space.orbitals, max(space.width)), x.dtype)
            for p in range(POINTS):
                r = np.flatnonzero(ADD[space.k_of, k] == p)
                sign = np.sign(a - inside[r])[:, None]
                matrix = sign * matrices[p][np.ix_(outer.place[inside[r], a], columns[p])]
                table[r, : space.width[p]] = matrix.astype(x.dtype) @ space.block(x, p)
            amplitude = sum((-1) ** t * table[states[:, t], rest[t]] for t in range(n - 1))
            level = base + beside(np.array([a]), full)[0]
            one += float((np.abs(amplitude) ** 2 / (reference - level)).sum())
    return {1: one, 2: two}
