"""The lowest Hartree–Fock states along λ: many starts at a low cut-off, sweeps up and down, then the full basis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from qernel import runtime
from qernel.hamiltonian.family import Hamiltonian
from qernel.hartree_fock.basis import PlaneWaves
from qernel.hartree_fock.functional import MeanField
from qernel.hartree_fock.solution import Solution, carried, solve
from qernel.hartree_fock.starts import starts

CUTOFF = 300.0
"""Kinetic cut-off in E0: the basis error is below 10⁻⁴ E0 per electron up to λ = 2 of the default material."""

_COARSE_CUTOFF = 60.0
"""Where starts and sweeps are decided: coarse for energies, enough to tell states apart."""

_COARSE_TOLERANCE, _COARSE_EVALUATIONS = 3e-4, 120

SAME = 1e-4
"""Energies per electron in E0 at the low cut-off that differ by less belong to one state."""

Branches = dict[str, Solution]
"""The lowest state of each `Solution.kind` at one λ: ``crystal``, ``other``, ``symmetric``."""


def mean_field(hamiltonian: Hamiltonian, lam: float, cutoff: float = CUTOFF) -> MeanField:
    """The functional at λ, other parameters of the family in the middle of their intervals.

    Without a twist the Hamiltonian is real, and so are the orbitals.
    """
    point = np.array([*(hamiltonian.middle | {"lam": lam}).values()], dtype=float)
    shift = hamiltonian.twist_momentum
    basis = PlaneWaves(hamiltonian.supercell, cutoff, (float(shift[0]), float(shift[1])))
    return MeanField(hamiltonian, point, basis, real=not hamiltonian.twisted)


def lowest(branches: Branches) -> Solution:
    """The state of lowest energy."""
    return min(branches.values(), key=lambda solution: solution.energy)


def search(
    hamiltonian: Hamiltonian,
    lam: Sequence[float],
    *,
    cutoff: float = CUTOFF,
    tolerance: float = 1e-5,
    progress: Callable[[str, float], None] | None = None,
) -> list[Branches]:
    """The branches at every λ.

    Args:
        hamiltonian: the family; parameters other than λ are taken in the middle of their intervals.
        lam: values of λ, in ascending order.
        cutoff: kinetic cut-off of the plane waves in E0.
        tolerance: largest residual of a converged solution in E0.
        progress: called with what is being done and the fraction done.

    Returns:
        For every λ the lowest solution of each kind that was found, and how many starts agreed on it.
    """
    runtime.refuse_forked()
    report = progress or (lambda text, fraction: None)
    coarse = [mean_field(hamiltonian, value, min(cutoff, _COARSE_CUTOFF)) for value in lam]
    settings: Any = {"tolerance": max(tolerance, _COARSE_TOLERANCE), "evaluations": _COARSE_EVALUATIONS}
    pools: list[Branches] = []
    started: list[list[Solution]] = []
    for index, field in enumerate(coarse):
        pools.append({})
        started.append([])
        for start in starts(field):
            report(f"λ = {lam[index]:g}: {start.name}", 0.6 * index / len(lam))
            started[-1].append(solve(field, start.amplitudes, start.name, start.momenta, **settings))
            _offer(pools[-1], started[-1][-1])
    steps = [("up", index, index + 1) for index in range(len(lam) - 1)]
    steps += [("down", target, source) for _, source, target in reversed(steps)]
    for way, source, target in steps:
        report(f"λ = {lam[target]:g}: sweep {way}", 0.6 + 0.1 * target / len(lam))
        for state in list(pools[source].values()):
            origin = f"sweep {way} from λ = {lam[source]:g}"
            _offer(pools[target], carried(state, coarse[target], origin, **settings))
    results: list[Branches] = []
    for index, pool in enumerate(pools):
        field = mean_field(hamiltonian, lam[index], cutoff)
        results.append({})
        for kind, state in pool.items():
            report(f"λ = {lam[index]:g}: {kind}, all plane waves", 0.7 + 0.3 * index / len(lam))
            likes = [other.energy for other in started[index] if other.symmetric == state.symmetric]
            agreed = sum(abs(energy - state.energy) < SAME for energy in likes)
            found = carried(state, field, state.origin, tolerance=tolerance)
            _offer(results[-1], replace(found, starts=len(likes), agreed=agreed))
    return results


def _offer(pool: Branches, found: Solution) -> None:
    """Keep a solution if it is the lowest of its kind."""
    if found.kind not in pool or found.energy < pool[found.kind].energy - 1e-7:
        pool[found.kind] = found


def transition(results: Sequence[Branches]) -> float | None:
    """λ where the crystal crosses the lowest other state, linearly between neighbours; None if they do not cross."""
    points = []
    for branches in results:
        others = [state for kind, state in branches.items() if kind != "crystal"]
        if others and "crystal" in branches:
            best = min(state.energy for state in others)
            points.append((branches["crystal"].lam, branches["crystal"].energy - best))
    for (a, da), (b, db) in pairwise(points):
        if da > 0 >= db:
            return a + (b - a) * da / (da - db)
    return None
