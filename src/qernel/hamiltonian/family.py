"""The Hamiltonian family H(p) over a named vector of parameters, λ first.

    H = Σ_i [ −½∇_i² + λ V0 w(r_i) ] + U [ Σ_{i<j} v(r_i − r_j) + ½ N ξ ]

The object is physics only: no wavefunction, no sampling. A *point* of the family is a vector
``[n_parameters]``; quantities that are not parameters of the family are constants of it. The constant of a quantity
that is a parameter is the middle of its interval, for whatever takes one value for the whole family: starts of
orbitals, walkers and Hartree–Fock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from qernel import runtime
from qernel.hamiltonian.interactions import PeriodicInteraction
from qernel.hamiltonian.moire import moire_potential
from qernel.hamiltonian.twist import Along, Turns, reduced_turns, row_turns
from qernel.lattice import FloatArray, Supercell

CONDITIONABLE = ("lam", "U", "phase_deg", "gate_distance")
"""Names that can be parameters of a family; ``lam`` always comes first."""


class Potential(NamedTuple):
    """Potential energy of one configuration in E0, *total* over electrons."""

    moire: Array
    interaction: Array


@dataclass(frozen=True)
class Hamiltonian:
    """A family of Hamiltonians for N electrons in one supercell.

    Attributes:
        supercell: the simulation cell.
        electrons: numbers of spin-up and spin-down electrons.
        V0: moiré depth at λ = 1 in E0.
        U: interaction strength in E0 a_M; like the other constants in the middle of its interval if it is a parameter.
        phase_deg: moiré phase φ in degrees.
        interaction: a key of `qernel.hamiltonian.interactions.SCREENING`.
        gate_distance: distance to the gate(s) in a_M, for screened interactions.
        twist: boundary twist θ in units of 2π, ψ(r + A_i) = exp(2πi θ_i) ψ(r) along the rows A_i of the supercell.
        twist_along: "rows", or "reduced" where θ belongs to ``supercell.vectors`` (`qernel.hamiltonian.twist`).
        parameters: names of the conditioning parameters, a subset of `CONDITIONABLE`.
        ranges: the interval of each parameter the model is trained on.
        gaps: intervals inside the one of λ that are left out of training, in increasing order.
    """

    supercell: Supercell
    electrons: tuple[int, int]
    V0: float
    U: float
    phase_deg: float
    interaction: str = "coulomb"
    gate_distance: float | None = None
    twist: Turns = (0.0, 0.0)
    twist_along: Along = "rows"
    parameters: tuple[str, ...] = ("lam",)
    ranges: tuple[tuple[float, float], ...] = ((1.0, 1.0),)
    gaps: tuple[tuple[float, float], ...] = ()
    kernel: PeriodicInteraction = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        runtime.require_x64()
        shortest = self.gate_distance
        if "gate_distance" in self.parameters:
            shortest = self.ranges[self.parameters.index("gate_distance")][0]
        for name, value in self.middle.items():
            if name != "lam":
                object.__setattr__(self, name, value)
        object.__setattr__(self, "kernel", PeriodicInteraction(self.supercell, self.interaction, shortest))

    @property
    def count(self) -> int:
        """Total number of electrons N."""
        return sum(self.electrons)

    @property
    def parts(self) -> list[tuple[float, float]]:
        """What the gaps leave of the interval of λ: the intervals it is trained on, in increasing order."""
        ends = [self.ranges[0][0], *(end for gap in self.gaps for end in gap), self.ranges[0][1]]
        return list(zip(ends[::2], ends[1::2], strict=True))

    @property
    def middle(self) -> dict[str, float]:
        """Every conditioning parameter in the middle of its interval, λ first."""
        return {name: 0.5 * (low + high) for name, (low, high) in zip(self.parameters, self.ranges, strict=True)}

    def value(self, name: str, point: Array) -> Array | float:
        """A quantity at a point of the family: the parameter if it is one, else the constant."""
        if name in self.parameters:
            return point[self.parameters.index(name)]
        constant = 1.0 if name == "lam" else getattr(self, name)
        return 1.0 if constant is None else float(constant)

    def scaled(self, point: Array) -> Array:
        """A point ``[p]`` mapped affinely so that each training range becomes [−1, 1]."""
        low, high = np.array(self.ranges).T
        half = np.where(high > low, 0.5 * (high - low), 1.0)
        return (point - 0.5 * (low + high)) / half

    def potential(self, positions: Array, point: Array) -> Potential:
        """Moiré and interaction energy of one configuration.

        Args:
            positions: ``[N, 2]`` in a_M.
            point: family parameters ``[p]``.

        Returns:
            Total (not per electron) energies in E0; the interaction includes ½NUξ.

        Raises:
            QernelError: for a gate closer than those of the family (`PeriodicInteraction`).
        """
        n = self.count
        phase = jnp.deg2rad(self.value("phase_deg", point))
        moire = self.value("lam", point) * self.V0 * moire_potential(positions, phase).sum()
        gate = self.value("gate_distance", point)
        pairs = self.kernel.energy(positions, gate) if n > 1 else 0.0
        constant = 0.5 * n * self.kernel.self_image(gate)
        interaction = self.value("U", point) * (pairs + constant)
        return Potential(moire.astype(positions.dtype), jnp.asarray(interaction, positions.dtype))

    @property
    def row_twist(self) -> Turns:
        """θ along the rows of ``supercell.matrix``, whatever `twist` refers to."""
        return row_turns(self.supercell, self.twist, self.twist_along)

    @property
    def twisted(self) -> bool:
        """Whether there is a twist: whole turns are none."""
        return bool(self.twist_momentum.any())

    @property
    def twist_momentum(self) -> FloatArray:
        """k_t with ψ(r + A) = exp(i k_t·A) ψ(r) for every supercell vector A, shape ``[2]`` in 1/a_M."""
        return np.asarray(reduced_turns(self.supercell, self.twist, self.twist_along)) @ self.supercell.reciprocal
