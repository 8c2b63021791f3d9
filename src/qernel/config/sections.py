"""The sections of a configuration and every default, once.

Lengths are in the moiré period a_M, energies in E0 = ħ²/(m* a_M²), unless a key says otherwise.
A section checks each value alone; relations between values are checked by `qernel.config.schema.Config`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from qernel.config.types import (
    CellMatrix,
    Copies,
    Count,
    Cutoff,
    Depth,
    Electrons,
    Expects,
    Flag,
    Lam,
    MaybeGaps,
    MaybeGateDistance,
    MaybeGateInterval,
    MaybeInterval,
    MaybeNonNegative,
    MaybeNonNegativeInterval,
    MaybePositive,
    MaybeStep,
    NonNegative,
    Number,
    Pair,
    Physical,
    Positive,
    Seed,
    Shells,
    Size,
    UnitInterval,
    Whole,
)
from qernel.units import Material

MATERIAL_KEYS = ("effective_mass", "dielectric", "period_nm", "depth_meV")
"""[system] keys in laboratory units."""

REDUCED_KEYS = ("V0", "U")
"""[system] keys in reduced units; they replace `MATERIAL_KEYS`."""

RANGE_KEYS = ("U", "phase_deg", "gate_distance")
"""[family] keys that turn the constant of the same name into a conditioning parameter."""

LATER_KEYS: dict[str, tuple[str, ...]] = {
    "family": ("gaps",),
    "model": (
        "hf_order",
        "hf_cutoff",
        "hf_trained",
        "symmetric_along",
        "parameter_features",
        "expert_balance",
        "backflow",
    ),
    "train": ("margin", "focus", "exchange", "crystal_from", "spread_until"),
    "sample": ("crystal_from",),
}
"""Keys that came after the first runs were stored: at their defaults they do not enter a fingerprint."""

_MATERIAL = Material()


class Section(BaseModel):
    """Base of all sections: unknown keys are errors, values do not change, infinities are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


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


class ModelConfig(Section):
    """[model]: the wavefunction."""

    ansatz: Literal["qernel", "psiformer", "slater"] = Field(
        default="qernel", description="Experts and grouped-query attention, plain self-attention, or one-body Slater."
    )
    width: Size = Field(default=32, description="Feature width of the electron stream.")
    blocks: Depth = Field(default=2, description="Attention blocks.")
    heads: Size = Field(default=4, description="Query heads per block; divides width.")
    kv_heads: Size = Field(default=1, description="Key/value heads shared by the query heads (qernel).")
    experts: Copies = Field(default=4, description="Routed experts per block (qernel).")
    active_experts: Copies = Field(default=2, description="Experts that may act on one configuration (qernel).")
    expert_width: Size = Field(default=16, description="Hidden width of a routed expert (qernel).")
    shared_width: Size = Field(default=16, description="Hidden width of the expert that always acts (qernel).")
    mlp_width: Size = Field(default=64, description="Hidden width of the MLP after attention (psiformer).")
    expert_balance: NonNegative = Field(
        default=0.0,
        description="Logits by which an iteration moves router biases towards equal load; 0: they follow the energy.",
        examples=[0.02],
    )
    determinants: Copies = Field(default=2, description="Determinants summed in ψ.")
    orbitals: Literal["network", "bloch", "hartree_fock"] = Field(
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
    bloch_cutoff: Cutoff = Field(default=250.0, description="Kinetic cut-off of the Bloch orbitals in E0.")
    hf_order: Depth = Field(default=5, description="Values of λ, and Chebyshev terms, of the Hartree–Fock orbitals.")
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

    def is_complex(self, twisted: bool) -> bool:
        """Whether ψ is complex; "auto": if there is a twist. Without one the ground state can be chosen real."""
        return twisted if self.complex == "auto" else self.complex

    @property
    def key_value_heads(self) -> int:
        """Key/value heads in use: plain attention (psiformer) has one per query head."""
        return self.heads if self.ansatz == "psiformer" else self.kv_heads


class TrainConfig(Section):
    """[train]: optimisation of one model over the whole family."""

    iterations: Whole = Field(default=1000, description="Optimisation steps.")
    groups: Count = Field(default=8, description="Walker groups, each at its own point of the family.")
    walkers: Annotated[Count, Field(ge=2)] = Field(default=32, description="Walkers per group.")
    moves: Count = Field(default=20, description="Metropolis moves of every walker between two steps.")
    exchange: Whole = Field(
        default=0,
        description="Iterations between swaps of walkers of neighbouring λ groups (replica exchange); 0: never.",
    )
    optimiser: Literal["spring", "adam"] = Field(default="spring", description="Natural gradient (SPRING) or Adam.")
    learning_rate: Positive = Field(default=0.05, description="Learning rate at step 0.")
    decay: Positive = Field(
        default=1000.0, description="Steps t over which the rate falls: learning_rate/(1 + t/decay)."
    )
    damping: Positive = Field(default=1e-3, description="Added to the diagonal of the score overlap matrix (spring).")
    momentum: Annotated[NonNegative, Field(lt=1)] = Field(default=0.95, description="SPRING's projected momentum.")
    norm_constraint: Positive = Field(default=1e-2, description="Largest squared norm of an update (spring).")
    clip: Positive = Field(
        default=5.0, description="Local energies are clipped at this many mean deviations, per group."
    )
    balance: UnitInterval = Field(
        default=0.5,
        description="Group weight ∝ (local-energy spread)^(-balance): 0 none, 1 equal signal from every group.",
    )
    drift: UnitInterval = Field(
        default=0.02, description="Random step of λ per iteration, as a fraction of a group's stratum."
    )
    margin: Annotated[NonNegative, Field(le=0.5)] = Field(
        default=0.0, description="λ is trained beyond both ends of its range, by this fraction of its length."
    )
    focus: MaybeInterval = Field(
        default=None,
        description="An interval of λ, around a transition for instance, with four times as many groups as elsewhere.",
        examples=[[1.0, 1.2]],
    )
    average: Annotated[Positive, Field(ge=1)] = Field(
        default=100.0, description="Iterations over which the parameters that are kept as the model are averaged."
    )
    chunk: Whole = Field(
        default=0, description="Walkers of a group differentiated at once; 0: as many as pay off and fit into memory."
    )
    crystal_from: MaybeNonNegative = Field(
        default=None,
        description="λ from which walkers start as crystals, in the three registries; below, and if not given, spread.",
        examples=[0.8],
    )
    spread_until: MaybeNonNegative = Field(
        default=None,
        description="λ up to which every other walker starts spread, from crystal_from on: both phases are there.",
        examples=[1.1],
    )
    burn_in: Whole = Field(
        default=20, description="Iterations that only sample, before the first update of the parameters."
    )
    seed: Seed = Field(default=0, description="Seed of initial parameters, walkers and training noise.")
    precision: Literal["float32", "float64"] = Field(
        default="float32", description="Floating-point type of the wavefunction."
    )
    laplacian: Literal["forward", "folx", "loop"] = Field(
        default="forward", description="Kinetic energy: own forward Laplacian, folx, or a loop of second derivatives."
    )
    record_every: Count = Field(default=5, description="Iterations between rows of the metrics file.")
    checkpoint_every: Count = Field(default=100, description="Steps between checkpoints.")
    keep_checkpoints: Count = Field(
        default=3, description="Checkpoints kept, so that a damaged one can be passed over."
    )
    stall_limit_s: NonNegative = Field(
        default=300.0,
        description="End the process if no step is completed for so many seconds (20 steps, if longer); 0: never.",
    )
    time_limit_s: MaybePositive = Field(
        default=None,
        description="Stop this many seconds after the first step, with a checkpoint from which --resume goes on.",
        examples=[3600.0],
    )


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


UNCOUNTED = {"train": ("keep_checkpoints", "stall_limit_s")}
"""Keys that change nothing in a calculation but how it is looked after: not part of its fingerprint."""

EXTENT = {"train": ("iterations", "time_limit_s")}
"""Keys that say how far a run goes and change nothing on the way: it may be resumed with others."""

SECTIONS: dict[str, type[Section]] = {
    "system": SystemConfig,
    "family": FamilyConfig,
    "model": ModelConfig,
    "train": TrainConfig,
    "sample": SampleConfig,
}
"""Sections by name, in the order they are written."""
