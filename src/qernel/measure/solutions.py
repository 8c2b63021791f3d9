"""Hartree–Fock solutions as plain numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qernel.config.plane_waves import WAVES
from qernel.errors import RunError
from qernel.hartree_fock import PlaneWaves, Solution
from qernel.measure.energies import ENERGIES
from qernel.measure.files import parameter_unit

if TYPE_CHECKING:
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
