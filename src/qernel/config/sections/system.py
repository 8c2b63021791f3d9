"""[system]: the electrons, their cell and the forces on them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from qernel.config.sections import potentials as waves
from qernel.config.sections.base import Section
from qernel.config.types import (
    CellMatrix,
    Electrons,
    MaybeNonNegative,
    MoireLattice,
    NonNegative,
    Pair,
    Physical,
)
from qernel.hamiltonian.terms import interactions, potentials
from qernel.hamiltonian.terms.base import OneBody
from qernel.hamiltonian.terms.base import Pair as PairTerm
from qernel.units import Laboratory, Material

MATERIAL_KEYS = ("effective_mass", "dielectric", "period_nm", "depth_meV")
"""[system] keys in laboratory units."""

REDUCED_KEYS = ("V0", "U")
"""[system] keys in reduced units; they replace `MATERIAL_KEYS`."""

_MATERIAL = Material()


class SystemConfig(Section):
    """[system]: the electrons, the cell they live in and what acts on them.

    `qernel.config.sections.terms` adds a key for each parameter of a term, and the choices of terms.
    """

    electrons: Electrons = Field(
        description="Number of electrons: N (spin-polarised) or [up, down].", examples=[6, [3, 3]]
    )
    supercell: CellMatrix = Field(
        description="Integer matrix S: supercell vectors A_i = Σ_j S_ij a_j over the moiré lattice vectors.",
        examples=[[[3, 0], [0, 3]]],
    )
    lattice: MoireLattice = Field(
        default="triangular",
        description="Lattice the supercell is made of: triangular, square, or its two vectors in a_M.",
        examples=["triangular"],
    )
    potential: str | waves.Waves = Field(default="moire", description="Potential that each electron moves in.")
    interaction: str = Field(default="coulomb", description="Interaction of two electrons.")
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

    @property
    def material(self) -> Material | None:
        """The material in laboratory units, or None when V0 and U are given in reduced units."""
        if self.V0 is not None or self.U is not None:
            return None
        return Material(self.effective_mass, self.dielectric, self.period_nm, self.depth_meV)

    @property
    def terms(self) -> tuple[OneBody | PairTerm, ...]:
        """The terms of the Hamiltonian: potentials before interactions."""
        return self._potential, interactions()[self.interaction]()

    @property
    def _potential(self) -> OneBody:
        if isinstance(self.potential, str):
            return potentials()[self.potential]()
        material = self.material
        return waves.term(self.potential, self.lattice, None if material is None else material.energy_unit_meV)

    def reads(self, name: str) -> bool:
        """Whether a term reads a parameter of this name."""
        return any(parameter.name == name for term in self.terms for parameter in term.parameters)

    def constant(self, name: str) -> float | None:
        """The value of a parameter, in reduced units; None where none is given."""
        material = self.material
        if material is not None and name in REDUCED_KEYS:
            return float(getattr(material, name))
        value = getattr(self, name, None)
        return None if value is None else float(value)

    def laboratory(self, name: str, unit: str) -> Laboratory | None:
        """What a parameter is in the laboratory (`Material.laboratory`); None without a material.

        λ is a depth where the potential has one, ``depth_meV``.
        """
        material = self.material
        return None if material is None or (name == "lam" and not self.reads("V0")) else material.laboratory(name, unit)

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
    def half_turns(self) -> bool:
        """See `qernel.hamiltonian.twist.half_turns`."""
        from qernel.hamiltonian.twist import half_turns

        return half_turns(self.reduced_twist)

    @property
    def label(self) -> str:
        """Electrons, cells and twist for people, such as "N=24, 6×6, twist (1/2, 0)"."""
        from qernel.hamiltonian.twist import row_turns, written
        from qernel.lattice import Supercell

        up, down = self.electrons
        (a, b), (c, d) = self.supercell
        cell = f"{a}×{d}" if not b and not c else f"({a} {b}; {c} {d})"
        words = [f"N={up}+{down}" if down else f"N={up}", cell]
        if self.twisted:
            turns = row_turns(Supercell(self.supercell, self.lattice), self.twist, self.twist_along)
            words.append(f"twist {written(turns)}")
        return ", ".join(words)

    @property
    def count(self) -> int:
        """Total number of electrons N."""
        return sum(self.electrons)

    @property
    def cells(self) -> int:
        """Number of moiré cells in the supercell, |det S|."""
        (a, b), (c, d) = self.supercell
        return abs(a * d - b * c)
