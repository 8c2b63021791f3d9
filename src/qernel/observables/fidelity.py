"""Fidelity susceptibility: how fast the state changes along a parameter of the family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qernel.errors import RunError
from qernel.hamiltonian.terms import parameter
from qernel.observables.base import Observable, Samples, Variable, averaged


@dataclass(frozen=True)
class FidelitySusceptibility(Observable):
    """χ_F = ⟨|O|²⟩ − |⟨O⟩|² with O = ∂_λ log ψ, so that |⟨ψ_λ|ψ_{λ+ε}⟩|² = 1 − χ_F ε² for normalised states.

    It is that of the conditioned model, whose derivative the training does not fix directly.

    Attributes:
        parameter: of the family, along which the state changes.
    """

    parameter: str = "lam"
    name: ClassVar[str] = "fidelity_susceptibility"
    summary: ClassVar[str] = "Var[d log psi/d lambda], of the conditioned model"
    needs: ClassVar[frozenset[str]] = frozenset({"psi"})

    def measure(self, samples: Samples) -> list[Variable]:
        """The mean of |O − ⟨O⟩|², corrected for the mean being taken from the same samples."""
        parameters = samples.hamiltonian.parameters
        if self.parameter not in parameters:
            raise RunError(
                f"fidelity_susceptibility.parameter = {self.parameter!r}: the model is conditioned on "
                f"{', '.join(parameters)} only, choose one of these"
            )
        gradient = samples.amplitude().log_psi_gradient(samples.positions)[..., parameters.index(self.parameter)]
        squares = np.abs(gradient - gradient.mean()) ** 2 * gradient.size / (gradient.size - 1)
        text = f"fidelity susceptibility <|O|^2> - |<O>|^2 with O = d log psi/d {self.parameter}"
        return [averaged(self.name, squares, parameter(self.parameter).squared(), text)]
