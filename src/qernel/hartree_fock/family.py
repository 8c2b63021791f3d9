"""Branches followed through a family as smooth families of orbitals: what a wavefunction can start from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from qernel.hamiltonian.family import Hamiltonian
from qernel.hamiltonian.grid import steps
from qernel.hartree_fock.alignment import nearest
from qernel.hartree_fock.functional import Orbitals
from qernel.hartree_fock.search import Branches, mean_field, search
from qernel.hartree_fock.solution import Solution, carried
from qernel.lattice import FloatArray

_DISTINCT = 0.5
"""Determinants that overlap by less are different states."""


def orbital_families(
    hamiltonian: Hamiltonian,
    points: FloatArray,
    shape: Sequence[int],
    determinants: int,
    *,
    cutoff: float,
    real: bool,
    crystal: bool,
) -> list[list[Orbitals]]:
    """Occupied orbitals of several determinants at every point, rotated so that each orbital is smooth in the point.

    All follow one branch, each in another place: the registries of a crystal are degenerate. Branches are searched for
    along λ, with the other parameters in the middle of the grid, and followed from there to all its points.

    Args:
        hamiltonian: the family.
        points: a grid of points ``[points, p]``, λ along its first axis and descending, the last axis fastest.
        shape: of the grid.
        determinants: how many.
        cutoff: kinetic cut-off in E0.
        real: only real orbitals are of use.
        crystal: follow the crystal, if there is one, in place of the branch of lower energy.

    Returns:
        Amplitudes per spin ``[n_s, n]`` on ``mean_field(hamiltonian, point, cutoff).basis``, by determinant and point.
    """
    others = int(np.prod(shape[1:]))
    middle = int(np.ravel_multi_index(tuple(size // 2 for size in shape[1:]), shape[1:])) if shape[1:] else 0
    line = np.arange(len(points)).reshape(-1, others)[::-1, middle]  # ascending in λ
    found = search(hamiltonian, points[line], cutoff=cutoff)
    if real:
        found = [{kind: s for kind, s in branches.items() if s.field.real} for branches in found]
    along = dict(zip(line.tolist(), found, strict=True))
    chosen = _followed(hamiltonian, points, shape, along, "crystal")
    if not (crystal and chosen):
        other = _followed(hamiltonian, points, shape, along, "other")
        other = other or _followed(hamiltonian, points, shape, along, "symmetric")
        chains = [chain for chain in (other, chosen) if chain]
        chosen = min(chains, key=lambda chain: sum(state.energy for state in chain))
    assert chosen is not None
    shifts = _registries(chosen[line[-1]], determinants)
    start = int(line[0])
    return [_aligned([replace(s, orbitals=_translated(s, shift)) for s in chosen], shape, start) for shift in shifts]


def _followed(
    hamiltonian: Hamiltonian, points: FloatArray, shape: Sequence[int], found: dict[int, Branches], kind: str
) -> list[Solution] | None:
    """One branch through every point, from where it is the lowest by most; beyond its end its last orbitals stay.

    Following it, instead of taking the best state at each point, makes neighbours continuations of each other.
    """
    leads = {}
    for index, branches in found.items():
        if kind in branches:
            others = [state.energy for other, state in branches.items() if other != kind]
            leads[min(others, default=0.0) - branches[kind].energy] = (index, branches[kind])
    if not leads:
        return None
    anchor, solution = leads[max(leads)]
    chain, last = {anchor: solution}, {anchor: solution}
    for index, before in steps(shape, anchor):
        current = last[before]
        field = mean_field(hamiltonian, points[index], solution.field.basis.cutoff)
        field = replace(field, real=solution.field.real)
        if before in chain and chain[before] is current:
            here = carried(current, field, "", tolerance=solution.tolerance)
            if here.kind == solution.kind:
                chain[index] = last[index] = here
                continue
        last[index] = current
        chain[index] = replace(current, field=field, parts=field.apply(current.orbitals)[0])
    return [chain[index] for index in range(len(points))]


def _aligned(chain: Sequence[Solution], shape: Sequence[int], start: int) -> list[Orbitals]:
    """The orbitals of each solution, rotated among themselves to be closest to those of a neighbour.

    The determinant does not change, and its orbitals become smooth functions of the point, which can be interpolated.
    """
    result = {start: chain[start].orbitals}
    for index, before in steps(shape, start):
        pairs = zip(chain[index].orbitals, result[before], strict=True)
        result[index] = [nearest(block, target)[0] for block, target in pairs]
    return [result[index] for index in range(len(chain))]


def _translated(solution: Solution, shift: FloatArray) -> Orbitals:
    """The orbitals moved by a vector ``[2]``."""
    basis = solution.field.basis
    phases = np.exp(-1j * (basis.turns @ basis.supercell.reciprocal) @ shift)
    return [block * phases for block in solution.orbitals]


def _registries(solution: Solution, count: int) -> list[FloatArray]:
    """Moiré translations that make different states out of one; repeated if there are not so many."""
    chosen: list[FloatArray] = []
    states: list[Orbitals] = []
    for shift in solution.field.hamiltonian.supercell.translations:
        moved = _translated(solution, shift)
        overlaps = [
            np.prod([abs(np.linalg.det(a.conj() @ b.T)) for a, b in zip(moved, state, strict=True)]) for state in states
        ]
        if max(overlaps, default=0.0) < _DISTINCT:
            chosen.append(shift)
            states.append(moved)
    return [chosen[index % len(chosen)] for index in range(count)]
