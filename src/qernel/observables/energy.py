"""The energy and its parts, per electron."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from qernel.observables.base import Observable, Samples, Variable, averaged

PARTS = {
    "energy": "total energy per electron, ½NUξ included",
    "kinetic": "kinetic energy per electron, ⟨−½Σ∇²⟩/N",
    "moire": "moiré potential energy per electron, ⟨λV0 Σw⟩/N",
    "interaction": "interaction energy per electron, U⟨Σv + ½Nξ⟩/N",
}


@dataclass(frozen=True)
class Energy(Observable):
    """E/N and its three parts, in E0."""

    name: ClassVar[str] = "energy"
    summary: ClassVar[str] = "energy per electron: total, kinetic, moiré, interaction"
    needs: ClassVar[frozenset[str]] = frozenset({"energies"})

    def measure(self, samples: Samples) -> list[Variable]:
        """Means of the local energies."""
        series = {name: samples.energies[name] / samples.count for name in ("kinetic", "moire", "interaction")}
        series = {"energy": series["kinetic"] + series["moire"] + series["interaction"], **series}
        return [averaged(name, series[name], "E0", text) for name, text in PARTS.items()]
