"""[[family.systems]]: further systems that one wavefunction is trained in."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from qernel.config.sections.base import Section
from qernel.config.sections.entries import entries
from qernel.config.types import CellMatrix, Count, Electrons, Expects, Pair


class FurtherSystem(Section):
    """[[family.systems]]: what differs from [system], and from [train] for its walkers."""

    electrons: Annotated[
        Electrons | None, Expects("a whole number of spin-polarised electrons or a pair [up, down]")
    ] = Field(
        default=None,
        description="Number of electrons: N (spin-polarised) or [up, down]; not given: those of [system].",
        examples=[24, [3, 3]],
    )
    supercell: Annotated[CellMatrix | None, Expects("two rows of two whole numbers")] = Field(
        default=None, description="Its integer matrix S; not given: that of [system].", examples=[[[6, 0], [0, 6]]]
    )
    twist: Annotated[Pair | None, Expects("a pair of numbers")] = Field(
        default=None,
        description="Its boundary twist in turns; not given: that of [system].",
        examples=[[0.5, 0.0]],
    )
    groups: Annotated[Count | None, Expects("a whole number")] = Field(
        default=None, description="Walker groups in it; not given: train.groups.", examples=[8]
    )
    walkers: Annotated[Count | None, Field(ge=2), Expects("a whole number")] = Field(
        default=None, description="Walkers per group in it; not given: train.walkers.", examples=[32]
    )


def _listed(value: Any) -> Any:
    """Tables as systems; none is no value."""
    if value is not None and not isinstance(value, list | tuple):
        raise PydanticCustomError("unusable", "is not a list of systems")
    return entries(FurtherSystem, value or ()) or None


MaybeSystems = Annotated[
    tuple[FurtherSystem, ...] | None, BeforeValidator(_listed), Expects("a list of systems, [[family.systems]]")
]
"""All entries of [[family.systems]]."""
