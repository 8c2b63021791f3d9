"""The lowest Hartree–Fock states along a way through a family: many starts at a low cut-off, sweeps, then all waves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from qernel import runtime
from qernel.along import named
from qernel.errors import QernelError
from qernel.hamiltonian.family import Hamiltonian
from qernel.hartree_fock.basis import PlaneWaves
from qernel.hartree_fock.functional import MeanField
from qernel.hartree_fock.solution import Solution, carried, refined, solve
from qernel.hartree_fock.starts import starts
from qernel.lattice import FloatArray

CUTOFF = 300.0
"""Kinetic cut-off in E0: the basis error is below 10⁻⁴ E0 per electron up to λ = 2 of the default material."""

_COARSE_CUTOFF = 60.0
"""Where starts and sweeps are decided: coarse for energies, enough to tell states apart."""

_COARSE_TOLERANCE, _COARSE_EVALUATIONS = 3e-4, 120

SAME = 1e-4
"""Energies per electron in E0 at the low cut-off that differ by less belong to one state."""

Branches = dict[str, Solution]
"""The lowest state of each `Solution.kind` at one point: ``crystal``, ``other``, ``symmetric``."""


Remember = Callable[[MeanField, str, list[FloatArray] | None, Callable[[], Solution]], Solution]
"""Called with what a solution is of, its start, momenta that are imposed, and what makes it; gives it."""

Place = float | Mapping[str, float] | npt.ArrayLike
"""A point of a family: λ, values of parameters by name, or those of all of them in order ``[p]``. What is not given is
taken in the middle of its interval."""


def point_of(hamiltonian: Hamiltonian, place: Place) -> npt.NDArray[np.float64]:
    """The parameters ``[p]`` at a place.

    Raises:
        QernelError: if the family has no parameter of a name, or another number of them.
    """
    if isinstance(place, Mapping):
        strange = [name for name in place if name not in hamiltonian.parameters]
        if strange:
            known = ", ".join(hamiltonian.parameters)
            raise QernelError(f"{strange[0]} is no parameter of this family, which has {known}: give one of those")
        return np.array([*(hamiltonian.middle | dict(place)).values()], dtype=np.float64)
    values = np.asarray(place, dtype=np.float64)
    if values.ndim == 0:
        return point_of(hamiltonian, {"lam": float(values)})
    if values.shape != (len(hamiltonian.parameters),):
        raise QernelError(
            f"a point of this family has {len(hamiltonian.parameters)} values ({', '.join(hamiltonian.parameters)}), "
            f"and {values.tolist()} has another number of them"
        )
    return values


def mean_field(hamiltonian: Hamiltonian, place: Place, cutoff: float = CUTOFF) -> MeanField:
    """The functional at a point of a family.

    Without a twist the Hamiltonian is real, and so are the orbitals.
    """
    point = point_of(hamiltonian, place)
    shift = hamiltonian.twist_momentum
    basis = PlaneWaves(hamiltonian.supercell, cutoff, (float(shift[0]), float(shift[1])))
    return MeanField(hamiltonian, point, basis, real=not hamiltonian.twisted)


def lowest(branches: Branches) -> Solution:
    """The state of lowest energy."""
    return min(branches.values(), key=lambda solution: solution.energy)


def search(
    hamiltonian: Hamiltonian,
    places: Sequence[Place] | FloatArray,
    *,
    cutoff: float = CUTOFF,
    tolerance: float = 1e-5,
    progress: Callable[[str, float], None] | None = None,
    remember: Remember | None = None,
) -> list[Branches]:
    """The branches at every point of a way through a family, along λ for instance.

    Args:
        hamiltonian: the family.
        places: points, one after the other: branches are carried from each to its neighbours.
        cutoff: kinetic cut-off of the plane waves in E0.
        tolerance: largest residual of a converged solution in E0.
        progress: called with what is being done and the fraction done.
        remember: called for every solution, always in the same order, instead of finding it; default: it is found.

    Returns:
        For every point the lowest solution of each kind that was found, and how many starts agreed on it.
    """
    runtime.refuse_forked()
    report = progress or (lambda text, fraction: None)
    ask = remember or (lambda field, origin, momenta, make: make())
    coarse = [mean_field(hamiltonian, place, min(cutoff, _COARSE_CUTOFF)) for place in places]
    names = _told_apart(coarse)
    settings: Any = {"tolerance": max(tolerance, _COARSE_TOLERANCE), "evaluations": _COARSE_EVALUATIONS}
    pools: list[Branches] = []
    started: list[list[Solution]] = []
    for index, field in enumerate(coarse):
        pools.append({})
        started.append([])
        for start in starts(field):
            report(f"{names[index]}: {start.name}", 0.6 * index / len(names))
            begun = partial(solve, field, start.amplitudes, start.name, start.momenta, **settings)
            started[-1].append(ask(field, start.name, start.momenta, begun))
            _offer(pools[-1], started[-1][-1])
    steps = [("up", index, index + 1) for index in range(len(names) - 1)]
    steps += [("down", target, source) for _, source, target in reversed(steps)]
    for way, source, target in steps:
        report(f"{names[target]}: sweep {way}", 0.6 + 0.1 * target / len(names))
        for state in list(pools[source].values()):
            origin = f"sweep {way} from {names[source]}"
            swept = partial(carried, state, coarse[target], origin, **settings)
            _offer(pools[target], ask(coarse[target], origin, state.momenta, swept))
    results: list[Branches] = []
    for index, pool in enumerate(pools):
        field = mean_field(hamiltonian, coarse[index].point, cutoff)
        results.append({})
        for kind, state in pool.items():
            report(f"{names[index]}: {kind}, all plane waves", 0.7 + 0.3 * index / len(names))
            likes = [other.energy for other in started[index] if other.symmetric == state.symmetric]
            agreed = sum(abs(energy - state.energy) < SAME for energy in likes)
            last = partial(refined, state, field, tolerance=tolerance)
            found = ask(field, state.origin, state.momenta, last)
            _offer(results[-1], replace(found, starts=len(likes), agreed=agreed))
    return results


def _told_apart(fields: Sequence[MeanField]) -> list[str]:
    """A name for each point, of the parameters that are not the same at all of them: λ where there is nothing else."""
    points = np.array([field.point for field in fields]).reshape(len(fields), -1)
    varied = (np.ptp(points, axis=0) > 0).tolist() if fields else []
    axes = [named(name) for name in fields[0].hamiltonian.parameters] if fields else []
    chosen = [index for index, wide in enumerate(varied) if wide] or [0]
    return [", ".join(axes[index].at(point[index]) for index in chosen) for point in points.tolist()]


def _offer(pool: Branches, found: Solution) -> None:
    """Keep a solution if it is the lowest of its kind."""
    if found.kind not in pool or found.energy < pool[found.kind].energy - 1e-7:
        pool[found.kind] = found


def transition(results: Sequence[Branches], along: str = "lam") -> float | None:
    """Where along a parameter the crystal becomes the lowest state, linearly between neighbours; None if nowhere."""
    points = []
    for branches in results:
        others = [state for kind, state in branches.items() if kind != "crystal"]
        if others and "crystal" in branches:
            best = min(state.energy for state in others)
            points.append((branches["crystal"].field.values[along], branches["crystal"].energy - best))
    for (a, da), (b, db) in pairwise(points):
        if da > 0 >= db:
            return a + (b - a) * da / (da - db)
    return None
