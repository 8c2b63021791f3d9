"""[system]: the electrons, their cell and the forces on them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from qernel.config.sections.base import Section
from qernel.config.types import (
    CellMatrix,
    Electrons,
    MaybeGateDistance,
    MaybeNonNegative,
    NonNegative,
    Number,
    Pair,
    Physical,
)
from qernel.units import Material

MATERIAL_KEYS = ("effective_mass", "dielectric", "period_nm", "depth_meV")
"""[system] keys in laboratory units."""

REDUCED_KEYS = ("V0", "U")
"""[system] keys in reduced units; they replace `MATERIAL_KEYS`."""

_MATERIAL = Material()


class SystemConfig(Section):
    """[system]: the electrons, the cell they live in and what acts on them."""

    electrons: Electrons = Field(
        description="Number of electrons: N (spin-polarised) or [up, down].", examples=[6, [3, 3]]
    )
    supercell: CellMatrix = Field(
        description="Integer matrix S: supercell vectors A_i = Σ_j S_ij a_j over the moiré lattice vectors.",
        examples=[[[3, 0], [0, 3]]],
    )
    lattice: Literal["triangular", "square"] = Field(
        default="triangular", description="Lattice the supercell is made of."
    )
    interaction: Literal["coulomb", "dual_gate", "single_gate"] = Field(
        default="coulomb", description="Bare 2π/q, or screened by one or two metallic gates."
    )
    gate_distance: MaybeGateDistance = Field(
        default=None, description="Distance to the gate(s) in a_M; only with a gated interaction.", examples=[1.0]
    )
    twist: Pair = Field(
        default=(0.0, 0.0),
        description="Boundary twist along each row of supercell, in turns (units of 2π), modulo 1.",
        examples=[[0.25, 0.0]],
    )
    twist_along: Literal["rows", "reduced"] = Field(
        default="rows",
        description="What twist refers to: rows of supercell, or the reduced vectors as in runs of earlier versions.",
    )
    effective_mass: Physical = Field(default=_MATERIAL.effective_mass, description="Effective mass m*/m_e.")
    dielectric: Physical = Field(default=_MATERIAL.dielectric, description="Relative dielectric constant ε.")
    period_nm: Physical = Field(default=_MATERIAL.period_nm, description="Moiré period a_M in nm.")
    depth_meV: NonNegative = Field(default=_MATERIAL.depth_meV, description="Moiré depth at λ = 1 in meV.")
    V0: MaybeNonNegative = Field(
        default=None, description="Moiré depth at λ = 1 in E0; with U replaces the material keys.", examples=[4.44]
    )
    U: MaybeNonNegative = Field(
        default=None, description="Interaction strength in E0 a_M; with V0 replaces the material keys.", examples=[10.6]
    )
    phase_deg: Number = Field(default=45.0, description="Moiré phase φ in degrees.")

    @property
    def material(self) -> Material | None:
        """The material in laboratory units, or None when V0 and U are given in reduced units."""
        if self.V0 is not None or self.U is not None:
            return None
        return Material(self.effective_mass, self.dielectric, self.period_nm, self.depth_meV)

    @property
    def reduced_twist(self) -> tuple[float, float]:
        """The twist along the reduced supercell vectors, equal for equal twists (`qernel.hamiltonian.twist`)."""
        from qernel.hamiltonian.twist import reduced_turns
        from qernel.lattice import Supercell

        return reduced_turns(Supercell(self.supercell, self.lattice), self.twist, self.twist_along)

    @property
    def twisted(self) -> bool:
        """Whether there is a twist: whole turns are none."""
        return any(self.reduced_twist)

    @property
    def count(self) -> int:
        """Total number of electrons N."""
        return sum(self.electrons)

    @property
    def cells(self) -> int:
        """Number of moiré cells in the supercell, |det S|."""
        (a, b), (c, d) = self.supercell
        return abs(a * d - b * c)
