"""Hartree–Fock solutions as plain numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from qernel.config.plane_waves import WAVES
from qernel.errors import RunError
from qernel.hartree_fock import PlaneWaves, Solution
from qernel.measure.energies import ENERGIES
from qernel.measure.files import parameter_unit

if TYPE_CHECKING:
    import xarray

    from qernel.config import Config

KINDS = ("crystal", "other", "symmetric")
"""Branches that are followed (`Solution.kind`)."""

UNITS = {
    **dict.fromkeys(ENERGIES, "E0 per electron"),
    "order_parameter": "1 (⟨|ρ_K|²⟩, ρ_K = (1/N) Σ exp(iK·r)); null where K does not fit the supercell",
    "broken_symmetry": "1 (largest |⟨ρ_q⟩|² that translations of H leave open; crystal: > 0.05, density wave: > 0.01)",
    "q": "reciprocal vectors of the moiré lattice; where |⟨ρ_q⟩|² is broken_symmetry, null for a liquid",
    "starts": "1 (determinants minimised from, at a cut-off of 60 E0; of symmetric states: those with symmetry)",
    "agreed": "1 (of these, how many led to this state, within 1e-4 E0 per electron)",
    "residual": "E0",
    "cutoff": "E0",
    "basis_error": "E0 per electron",
}


def units(along: str) -> dict[str, str]:
    """The unit of each number of `row`, and of the transition along a parameter."""
    place = "V0" if along == "lam" else parameter_unit(along)
    crossing = f"{place}; crossing of the crystal and the lowest other state"
    return {"lam": parameter_unit("lam"), along: parameter_unit(along), **UNITS, "transition": crossing}


def row(solution: Solution, along: str = "lam") -> dict[str, Any]:
    """One solution as plain numbers; energies per electron in E0. λ, and the parameter it was solved along."""
    count = solution.field.hamiltonian.count
    return {
        "lam": solution.lam,
        along: solution.field.values[along],
        "energy": solution.energy,
        **{name: getattr(solution.parts, name) / count for name in ENERGIES[1:]},
        "order_parameter": solution.order_parameter,
        "branch": solution.branch,
        "label": solution.order.label,
        "q": [float(x) for x in solution.order.wave] if solution.order.q else None,
        "starts": solution.starts,
        "agreed": solution.agreed,
        "converged": solution.converged,
        "residual": solution.residual,
        "cutoff": solution.field.basis.cutoff,
        "basis_error": solution.basis_error,
        "broken_symmetry": solution.broken_symmetry,
        "origin": solution.origin,
    }


def density(solution: Solution, along: str = "lam") -> xarray.Dataset:
    """The density of a solution on the grid of its plane waves ``[a1, a2]``, without statistical error."""
    import xarray

    field, hamiltonian = solution.field, solution.field.hamiltonian
    values, cell = field.density(solution.orbitals), hamiltonian.supercell
    points = field.basis.grid_points()
    fractions = [np.arange(size) / size for size in values.shape]
    about = {"units": "1/a_M^2", "long_name": "density of electrons on the supercell"}
    coordinates: dict[str, Any] = {
        name: ("a" + name[-1], array, {"units": "1", "long_name": "fractional coordinate"})
        for name, array in zip(("a1", "a2"), fractions, strict=True)
    }
    for index, name in enumerate(("ax", "ay")):
        coordinates[name] = (("a1", "a2"), points[..., index], {"units": "a_M"})
    coordinates |= {name: ((), field.values[name]) for name in dict.fromkeys(("lam", along))}
    up, down = hamiltonian.electrons
    attributes = {
        "model": f"Hartree–Fock, {solution.order.label}",
        "electrons_up": up,
        "electrons_down": down,
        "moire_cells": cell.cells,
        "supercell_vectors": cell.vectors.ravel().tolist(),
        "moire_vectors": cell.primitive.ravel().tolist(),
    }
    return xarray.Dataset({"density": (("a1", "a2"), values, about)}, coordinates, attributes)


def enough_waves(config: Config, cutoff: float) -> None:
    """Refuse a cut-off that leaves too few plane waves.

    Raises:
        RunError: naming a sufficient one.
    """
    cell = config.hamiltonian().supercell
    waves, most = len(PlaneWaves(cell, cutoff).turns), max(config.system.electrons)
    if waves < WAVES * most:
        raise RunError(
            f"--cutoff {cutoff:g} keeps {waves} plane waves for {most} electrons of one spin: "
            f"give at least {cutoff * WAVES * most / waves:.0f}"
        )
