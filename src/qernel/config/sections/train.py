"""[train]: optimisation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from qernel.config.sections.base import Section
from qernel.config.types import (
    Count,
    MaybeInterval,
    MaybeNonNegative,
    MaybeOrigin,
    MaybePositive,
    NonNegative,
    Positive,
    Seed,
    UnitInterval,
    Whole,
)


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
    implicit: NonNegative = Field(
        default=0.0,
        description="Imaginary time τ (1/E0) of implicit steps: they lower E + τ Var(E_L) of trained weights; 0: none.",
        examples=[0.05],
    )
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
        description="Rows of a group in the score system ∝ (local-energy spread)^(-balance): 0 none, 1 equal signal.",
    )
    drift: UnitInterval = Field(
        default=0.02,
        description="Random step of λ per iteration, relative to a group's stratum; others: to their interval.",
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
    started_from: MaybeOrigin = Field(
        default=None,
        description="The model whose weights a run began with, and their SHA-256; written by --from.",
        examples=["n6 sha256:" + 64 * "0"],
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
