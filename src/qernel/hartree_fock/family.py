"""Branches followed through λ as smooth families of orbitals: what a wavefunction can start from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from qernel.hamiltonian.family import Hamiltonian
from qernel.hartree_fock.alignment import nearest
from qernel.hartree_fock.functional import Orbitals
from qernel.hartree_fock.search import Branches, mean_field, search
from qernel.hartree_fock.solution import Solution, carried
from qernel.lattice import FloatArray

_DISTINCT = 0.5
"""Determinants that overlap by less are different states."""


def orbital_families(
    hamiltonian: Hamiltonian, lam: Sequence[float], determinants: int, *, cutoff: float, real: bool, crystal: bool
) -> list[list[Orbitals]]:
    """Occupied orbitals of several determinants at every λ, rotated so that each orbital is smooth in λ.

    All follow one branch, each in another place: the registries of a crystal are degenerate.

    Args:
        hamiltonian: the family.
        lam: values of λ in ascending order.
        determinants: how many.
        cutoff: kinetic cut-off in E0.
        real: only real orbitals are of use.
        crystal: follow the crystal, if there is one, in place of the branch of lower energy.

    Returns:
        Amplitudes per spin ``[n_s, n]`` on `mean_field(hamiltonian, lam, cutoff).basis`, by determinant and λ.
    """
    found = search(hamiltonian, lam, cutoff=cutoff)
    if real:
        found = [{kind: s for kind, s in branches.items() if s.field.real} for branches in found]
    chosen = _followed(found, "crystal")
    if not (crystal and chosen):
        other = _followed(found, "other") or _followed(found, "symmetric")
        chains = [chain for chain in (other, chosen) if chain]
        chosen = min(chains, key=lambda chain: sum(state.energy for state in chain))
    shifts = _registries(chosen[-1], determinants)
    return [_aligned([replace(s, orbitals=_translated(s, shift)) for s in chosen]) for shift in shifts]


def _followed(found: Sequence[Branches], kind: str) -> list[Solution] | None:
    """One branch through every λ, from where it is the lowest by most; beyond its end its last orbitals stay.

    Following it, instead of taking the best state at each λ, makes neighbours continuations of each other.
    """
    leads = {}
    for index, branches in enumerate(found):
        if kind in branches:
            others = [state.energy for other, state in branches.items() if other != kind]
            leads[min(others, default=0.0) - branches[kind].energy] = (index, branches[kind])
    if not leads:
        return None
    anchor, solution = leads[max(leads)]
    points = [next(iter(branches.values())).lam for branches in found]
    chain = {anchor: solution}
    for path in (range(anchor + 1, len(found)), range(anchor - 1, -1, -1)):
        current, ended = solution, False
        for index in path:
            field = replace(
                mean_field(solution.field.hamiltonian, points[index], solution.field.basis.cutoff),
                real=solution.field.real,
            )
            if not ended:
                found_here = carried(current, field, "", tolerance=solution.tolerance)
                ended = found_here.kind != solution.kind
                current = current if ended else found_here
            chain[index] = (
                current if not ended else replace(current, field=field, parts=field.apply(current.orbitals)[0])
            )
    return [chain[index] for index in range(len(found))]


def _aligned(chain: Sequence[Solution]) -> list[Orbitals]:
    """The orbitals of each solution, rotated among themselves to be closest to those before.

    The determinant does not change, and its orbitals become smooth functions of λ, which can be interpolated.
    """
    result = [chain[0].orbitals]
    for solution in chain[1:]:
        pairs = zip(solution.orbitals, result[-1], strict=True)
        result.append([nearest(block, before)[0] for block, before in pairs])
    return result


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
