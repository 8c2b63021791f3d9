"""[model]: the wavefunction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import Field

from qernel.config.sections.base import Section
from qernel.config.types import (
    Copies,
    Cutoff,
    Depth,
    Expects,
    Extras,
    Flag,
    MaybeStep,
    NonNegative,
    Positive,
    Shells,
    Size,
)
from qernel.wavefunction.registry import ANSATZE, ORBITALS, PHASES, UNIVERSAL

if TYPE_CHECKING:
    Ansatz: TypeAlias = str
    Orbitals: TypeAlias = str
    Phases: TypeAlias = str
else:
    Ansatz, Orbitals = Literal[tuple(ANSATZE)], Literal[("network", *ORBITALS)]
    Phases = Literal[("both", *PHASES)]


class ModelConfig(Section):
    """[model]: the wavefunction."""

    ansatz: Ansatz = Field(
        default="qernel",
        description="Experts and grouped-query attention; the same for every size; plain self-attention; or a Slater "
        "determinant, alone or with a Jastrow factor.",
    )
    width: Size = Field(default=32, description="Feature width of the electron stream.")
    blocks: Depth = Field(default=2, description="Attention blocks.")
    heads: Size = Field(default=4, description="Query heads per block; divides width.")
    kv_heads: Size = Field(default=1, description="Key/value heads shared by the query heads (qernel, lem).")
    experts: Extras = Field(
        default=4, description="Routed experts per block (qernel, lem); 0: the shared one alone, a dense perceptron."
    )
    active_experts: Copies = Field(default=2, description="Experts that may act on one configuration (qernel, lem).")
    expert_width: Size = Field(default=16, description="Hidden width of a routed expert (qernel, lem).")
    shared_width: Size = Field(default=16, description="Hidden width of the expert that always acts (qernel, lem).")
    mlp_width: Size = Field(default=64, description="Hidden width of the MLP after attention (psiformer).")
    expert_balance: NonNegative = Field(
        default=0.0,
        description="Logits by which an iteration moves router biases towards equal load; 0: they follow the energy.",
        examples=[0.02],
    )
    determinants: Copies = Field(default=2, description="Determinants summed in ψ.")
    phase: Phases = Field(
        default="both",
        description="Of which phase determinants are, those of the liquid and of the crystal or of one alone (lem).",
    )
    orbitals: Orbitals = Field(
        default="network",
        description="Orbitals from the network alone, or one-body Bloch or Hartree–Fock orbitals it dresses.",
    )
    crystal_seed: Flag = Field(
        default=False,
        description="Start every determinant but the first from the √3×√3 crystal (fillings 1/3 and 2/3, polarised).",
    )
    symmetric_along: MaybeStep = Field(
        default=None,
        description="Sum ψ over the multiples of this moiré lattice vector, in units of a1, a2: momentum 0 along it.",
        examples=[[1, 0]],
    )
    harmonics: Annotated[Shells, Field(ge=1)] = Field(
        default=1, description="Shells of supercell reciprocal vectors among the input features."
    )
    moire_harmonics: Shells = Field(
        default=1, description="Shells of moiré reciprocal vectors among the input features."
    )
    conditioning_width: Size = Field(default=16, description="Width of the embedding of the family parameters.")
    film: Flag = Field(default=True, description="Condition every block on the family parameters by FiLM.")
    parameter_features: Flag = Field(
        default=False, description="Append the family parameters, scaled to [-1, 1], to the input features."
    )
    jastrow: Flag = Field(default=True, description="Pair Jastrow factor with electron cusp and long-range waves.")
    envelope: Flag = Field(default=True, description="One-body Jastrow factor of moiré harmonics.")
    many_body: Flag = Field(
        default=False, description="Jastrow factor of three and more electrons and of their places in the potential."
    )
    many_body_range: Positive = Field(
        default=2.5, description="Longest range of that factor in a_M; at most the inscribed radius is used."
    )
    jastrow_order: Depth = Field(default=6, description="Free coefficients of the pair Jastrow polynomial.")
    jastrow_range: Positive = Field(
        default=2.5, description="Longest range of the pair Jastrow in a_M; at most the inscribed radius is used."
    )
    jastrow_shells: Shells = Field(
        default=4, description="Shells of supercell reciprocal vectors in the long-range Jastrow."
    )
    envelope_shells: Shells = Field(
        default=2, description="Shells of moiré reciprocal vectors in the one-body envelope."
    )
    bloch_order: Depth = Field(default=8, description="Chebyshev terms along λ of the Bloch orbitals.")
    bloch_order_others: Depth = Field(
        default=4, description="Chebyshev terms of the Bloch orbitals along each other parameter that they depend on."
    )
    bloch_cutoff: Cutoff = Field(default=250.0, description="Kinetic cut-off of the Bloch orbitals in E0.")
    hf_order: Depth = Field(default=5, description="Values of λ, and Chebyshev terms, of the Hartree–Fock orbitals.")
    hf_order_others: Depth = Field(
        default=3, description="Values of each other parameter, and Chebyshev terms, of the Hartree–Fock orbitals."
    )
    hf_cutoff: Cutoff = Field(default=150.0, description="Kinetic cut-off of the Hartree–Fock orbitals in E0.")
    hf_trained: Flag = Field(
        default=True,
        description="Whether Hartree–Fock orbitals are trained, or stay as they are, dressed by a network.",
    )
    backflow: Flag = Field(
        default=False,
        description="Evaluate Bloch or Hartree–Fock orbitals at coordinates displaced by network and pairs.",
    )
    complex: Annotated[Literal["auto"] | Flag, Expects('"auto", true or false')] = Field(
        default="auto", description="Complex ψ; auto: only where a boundary twist demands it."
    )

    def complex_orbitals(self, twisted: bool, halves: bool = False) -> bool:
        """Whether orbitals are complex; "auto": if there is a twist, as without one the ground state can be real.

        Args:
            twisted: whether there is a twist.
            halves: whether it is one of half turns; orbitals of universal ansätze carry such a twist and are real.
        """
        twisted = twisted and not (halves and self.ansatz in UNIVERSAL)
        return twisted if self.complex == "auto" else self.complex

    @property
    def key_value_heads(self) -> int:
        """Key/value heads in use: plain attention (psiformer) has one per query head."""
        return self.heads if self.ansatz == "psiformer" else self.kv_heads
