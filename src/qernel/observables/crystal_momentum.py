"""How much of each crystal momentum there is in a state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qernel.lattice import FloatArray, Supercell
from qernel.observables.base import Coordinate, Observable, Samples, Variable, averaged


@dataclass(frozen=True)
class CrystalMomentum(Observable):
    """w_k = (1/M) Σ_R e^{−ik·R} ⟨ψ(r + R)/ψ(r)⟩ over the M moiré translations R of all electrons; Σ_k w_k = 1.

    Eigenstates of H can be chosen with one crystal momentum. States of different momentum, such as the sums and
    differences of the registries of a crystal, can be nearly degenerate: a trained ψ may be a mixture of them, above
    the lowest by the weights times the splittings. With a twist, k is counted from N times the twist momentum.
    """

    name: ClassVar[str] = "crystal_momentum"
    summary: ClassVar[str] = "weight of each crystal momentum in the state"
    needs: ClassVar[frozenset[str]] = frozenset({"psi"})

    def measure(self, samples: Samples) -> list[Variable]:
        """The weights of all momenta of the supercell."""
        psi = samples.amplitude()
        hamiltonian = samples.hamiltonian
        cell = hamiltonian.supercell
        fractions = momenta(cell)
        turns = cell.translations @ np.linalg.inv(cell.primitive)
        characters = np.exp(-2j * np.pi * turns @ fractions.T) / cell.cells
        shift = hamiltonian.count * cell.translations @ hamiltonian.twist_momentum
        sign, log = psi.log_psi(samples.positions)
        series = np.zeros((*samples.positions.shape[:2], len(fractions)))
        for translation, phase, character in zip(cell.translations, shift, characters, strict=True):
            moved_sign, moved_log = psi.log_psi(samples.positions + translation)
            ratio = moved_sign * np.conj(sign) * np.exp(moved_log - log - 1j * phase)
            series += (ratio[..., None] * character).real
        text = "weight of crystal momentum k = kappa_1 g_1 + kappa_2 g_2"
        labels = [
            Coordinate(f"kappa_{axis + 1}", ("momentum",), fractions[:, axis], "1", f"component along g_{axis + 1}")
            for axis in range(2)
        ]
        means = np.stack([series[:, records].mean(1) for records in samples.stretches], axis=1)
        return [averaged(self.name, means, "1", text, ("momentum",), labels)]


def momenta(cell: Supercell) -> FloatArray:
    """The inequivalent crystal momenta of a supercell ``[cells, 2]`` in moiré reciprocal vectors, each in [0, 1)."""
    vectors = cell.reciprocal @ cell.primitive.T / (2.0 * np.pi)
    steps = np.stack(np.meshgrid(*[np.arange(cell.cells)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    fractions = np.round(steps @ vectors * cell.cells).astype(np.int64) % cell.cells
    return np.unique(fractions, axis=0) / cell.cells
