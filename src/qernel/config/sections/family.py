"""[family]: the parameters that one wavefunction is conditioned on."""

from __future__ import annotations

from pydantic import Field

from qernel.config.sections.base import Section
from qernel.config.sections.systems import MaybeSystems
from qernel.config.types import Lam, MaybeGaps, MaybeScales
from qernel.hamiltonian.terms import parameters


class FamilyConfig(Section):
    """[family]: the Hamiltonians one wavefunction is conditioned on; intervals are trained over.

    `qernel.config.sections.terms` adds a key for each parameter of a term.
    """

    lam: Lam = Field(
        default=(1.0, 1.0),
        description="λ, the factor on the moiré depth: [low, high], or one fixed value.",
        examples=[[0.4, 1.4], 1.0],
    )
    gaps: MaybeGaps = Field(
        default=None, description="Intervals inside lam that are left out of training.", examples=[[[0.7, 0.9]]]
    )
    systems: MaybeSystems = Field(
        default=None,
        description="Systems besides [system] that the same weights are trained in, as [[family.systems]].",
        examples=[[{"electrons": 24, "supercell": [[6, 0], [0, 6]], "twist": [0.5, 0.0]}]],
    )

    scaled_over: MaybeScales = Field(
        default=None,
        description="Intervals that ψ takes parameters relative to, where a run that starts from a model has others.",
        examples=[{"lam": [0.4, 1.4]}],
    )

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """The interval of every parameter that is given one, λ first."""
        given = {name: getattr(self, name, None) for name in range_keys()}
        return {"lam": self.lam} | {name: interval for name, interval in given.items() if interval is not None}

    @property
    def scales(self) -> dict[str, tuple[float, float]]:
        """The interval that ψ takes every parameter relative to, λ first."""
        return self.ranges | (self.scaled_over or {})


def range_keys() -> tuple[str, ...]:
    """[family] keys that turn the constant of the same name into a conditioning parameter."""
    return tuple(name for name, parameter in parameters().items() if parameter.conditioned and name != "lam")
