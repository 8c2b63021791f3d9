"""V-score: how far a variational state is from an eigenstate, free of scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from qernel.observables.base import Observable, Samples, Variable, averaged


@dataclass(frozen=True)
class VScore(Observable):
    """N Var(E_L)/(E − E_∞)² with E_∞ = ½NUξ (Wu et al., Science 386, 296 (2024)); 0 for an eigenstate."""

    name: ClassVar[str] = "v_score"
    summary: ClassVar[str] = "N Var(E_L)/(E - E_inf)^2 and the variance of the local energy"
    needs: ClassVar[frozenset[str]] = frozenset({"energies"})

    def measure(self, samples: Samples) -> list[Variable]:
        """Variance and V-score, whose error comes from linearising both means."""
        energies, n = samples.energies, samples.count
        total = energies["kinetic"] + energies["moire"] + energies["interaction"]
        deviation = total - total.mean()
        imaginary = energies["kinetic_imaginary"]
        squares = deviation**2 + (imaginary - imaginary.mean()) ** 2
        distance = float(total.mean()) - infinite_temperature_energy(samples)
        score = n * float(squares.mean()) / distance**2
        linear = n * squares / distance**2 - 2.0 * score * deviation / distance
        return [
            averaged("energy_variance", squares / n, "E0^2", "variance of the local energy per electron, Var(E_L)/N"),
            averaged("v_score", linear, "1", "V-score N Var(E_L)/(E - E_inf)^2"),
        ]


def infinite_temperature_energy(samples: Samples) -> float:
    """E_∞ = ½NUξ in E0, the mean of H over all configurations: there the pair and moiré terms average to zero."""
    family = samples.hamiltonian
    return 0.5 * samples.count * float(family.interaction.self_image(family.numbers(samples.point)))
