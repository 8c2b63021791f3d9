"""[sample]: measurement."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from qernel.config.sections.base import Section
from qernel.config.types import Count, MaybeNonNegative, Positive, Seed, Whole


class SampleConfig(Section):
    """[sample]: measurement with frozen parameters, fresh walkers at every λ."""

    walkers: Annotated[Count, Field(ge=2)] = Field(default=64, description="Independent chains per λ.")
    burn_in: Whole = Field(
        default=300, description="Metropolis moves per chain before recording; the step width adapts here."
    )
    crystal_from: MaybeNonNegative = Field(
        default=None,
        description="λ from which chains start as crystals, in the registries ψ holds; below, or not given: spread.",
        examples=[0.8],
    )
    samples: Annotated[Count, Field(ge=2)] = Field(default=400, description="Records per chain.")
    moves: Count = Field(default=10, description="Metropolis moves between two records.")
    seed: Seed = Field(default=1, description="Seed of the chains.")
    acceptance: Annotated[Positive, Field(lt=1)] = Field(
        default=0.5, description="Acceptance ratio the step width aims at."
    )
