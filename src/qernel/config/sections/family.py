"""[family]: the parameters that one wavefunction is conditioned on."""

from __future__ import annotations

from pydantic import Field

from qernel.config.sections.base import Section
from qernel.config.types import Lam, MaybeGaps, MaybeGateInterval, MaybeInterval, MaybeNonNegativeInterval

RANGE_KEYS = ("U", "phase_deg", "gate_distance")
"""[family] keys that turn the constant of the same name into a conditioning parameter."""


class FamilyConfig(Section):
    """[family]: the Hamiltonians one wavefunction is conditioned on; intervals are trained over."""

    lam: Lam = Field(
        default=(1.0, 1.0),
        description="λ, the factor on the moiré depth: [low, high], or one fixed value.",
        examples=[[0.4, 1.4], 1.0],
    )
    gaps: MaybeGaps = Field(
        default=None, description="Intervals inside lam that are left out of training.", examples=[[[0.7, 0.9]]]
    )
    U: MaybeNonNegativeInterval = Field(
        default=None, description="Interaction strengths in E0 a_M, [low, high].", examples=[[8.0, 12.0]]
    )
    phase_deg: MaybeInterval = Field(
        default=None, description="Moiré phases in degrees, [low, high].", examples=[[30.0, 60.0]]
    )
    gate_distance: MaybeGateInterval = Field(
        default=None, description="Gate distances in a_M, [low, high].", examples=[[0.5, 2.0]]
    )
