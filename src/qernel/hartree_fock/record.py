"""Solutions as plain data, and its units."""

from __future__ import annotations

from typing import Any

from qernel.hartree_fock.solution import Solution

ENERGIES = ("energy", "kinetic", "moire", "interaction")

UNITS = {
    "lam": "V0 (factor on the moiré depth)",
    **dict.fromkeys(ENERGIES, "E0 per electron"),
    "order_parameter": "1 (⟨|ρ_K|²⟩, ρ_K = (1/N) Σ exp(iK·r)); null where K does not fit the supercell",
    "broken_symmetry": "1 (largest |⟨ρ_q⟩|² that translations of H leave open; crystal: > 0.05, density wave: > 0.01)",
    "q": "reciprocal vectors of the moiré lattice; where |⟨ρ_q⟩|² is broken_symmetry, null for a liquid",
    "starts": "1 (determinants minimised from, at a cut-off of 60 E0; of symmetric states: those with symmetry)",
    "agreed": "1 (of these, how many led to this state, within 1e-4 E0 per electron)",
    "residual": "E0",
    "cutoff": "E0",
    "basis_error": "E0 per electron",
    "transition": "V0; crossing of the crystal and the lowest other state",
}


def row(solution: Solution) -> dict[str, Any]:
    """One solution as plain numbers; energies per electron in E0."""
    count = solution.field.hamiltonian.count
    return {
        "lam": solution.lam,
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
