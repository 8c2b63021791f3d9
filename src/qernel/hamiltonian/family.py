"""The Hamiltonian family H(p) over a named vector of parameters, λ first.

    H = Σ_i −½∇_i² + Σ_t Σ_i V_t(r_i) + Σ_t U_t [ Σ_{i<j} v_t(r_i − r_j) + ½ N ξ_t ]

The object is physics only: no wavefunction, no sampling. A *point* of the family is a vector ``[n_parameters]``;
numbers that are not parameters of the family are constants of it. The constant of a parameter is the middle of its
interval, for whatever takes one value for the whole family.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array

from qernel import runtime
from qernel.errors import QernelError
from qernel.hamiltonian.interaction import Interaction
from qernel.hamiltonian.parameters import LAM, Constants, Parameter
from qernel.hamiltonian.terms import parameters as table
from qernel.hamiltonian.terms.base import Components, OneBody, Pair, Values
from qernel.hamiltonian.twist import Along, Turns, half_turns, reduced_turns, row_turns
from qernel.hamiltonian.wells import Levels, minima
from qernel.lattice import FloatArray, Supercell

Point = Array | npt.ArrayLike
"""Values of the parameters of a family ``[p]``, λ first."""


class Potential(NamedTuple):
    """Potential energy of one configuration in E0, *total* over electrons: all one-body terms, and all interactions."""

    moire: Array
    interaction: Array


@dataclass(frozen=True)
class Hamiltonian:
    """A family of Hamiltonians for N electrons in one supercell.

    Attributes:
        supercell: the simulation cell.
        electrons: numbers of spin-up and spin-down electrons.
        terms: potentials and interactions (`qernel.hamiltonian.terms`).
        constants: values of what the terms read; those with a default may be left out, and those of parameters are
            their `origin`, whatever is given.
        twist: boundary twist θ in units of 2π, ψ(r + A_i) = exp(2πi θ_i) ψ(r) along the rows A_i of the supercell.
        twist_along: "rows", or "reduced" where θ belongs to ``supercell.vectors`` (`qernel.hamiltonian.twist`).
        parameters: names of the conditioning parameters: λ, and what the terms read.
        ranges: the interval of each parameter the model is trained on.
        gaps: intervals inside the one of λ that are left out of training, in increasing order.
        scaled_over: the interval that ψ takes a parameter relative to, by name, where it is not the one in ``ranges``.
        interaction: all pair terms in this supercell.

    Raises:
        ValueError: for a constant that is missing, or a constant or parameter that no term reads.
    """

    supercell: Supercell
    electrons: tuple[int, int]
    terms: tuple[OneBody | Pair, ...]
    constants: Mapping[str, float] = field(default_factory=Constants)
    twist: Turns = (0.0, 0.0)
    twist_along: Along = "rows"
    parameters: tuple[str, ...] = ("lam",)
    ranges: tuple[tuple[float, float], ...] = ((1.0, 1.0),)
    gaps: tuple[tuple[float, float], ...] = ()
    scaled_over: tuple[tuple[str, tuple[float, float]], ...] = ()
    interaction: Interaction = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        runtime.require_x64()
        object.__setattr__(self, "constants", self._complete())
        intervals = {name: (value, value) for name, value in self.constants.items()}
        intervals |= dict(zip(self.parameters, self.ranges, strict=True))
        pairs = [(term, term.on(self.supercell, intervals)) for term in self.terms if isinstance(term, Pair)]
        object.__setattr__(self, "interaction", Interaction(tuple(pairs)))

    def _complete(self) -> Constants:
        """A constant for everything that a term reads, and for nothing else."""
        read = {parameter.name: parameter for parameter in self.read}
        unread = [name for name in (*self.constants, *self.parameters) if name not in read]
        if unread:
            raise ValueError(f"no term reads {', '.join(unread)}: they read {', '.join(read)}")
        defaults = {name: parameter.default for name, parameter in read.items() if parameter.default is not None}
        values = defaults | dict(self.constants) | self.origin
        missing = [name for name in read if name not in values]
        if missing:
            raise ValueError(f"constants lack {', '.join(missing)}: give a value for each")
        return Constants(values)

    @property
    def potentials(self) -> tuple[OneBody, ...]:
        """The one-body terms."""
        return tuple(term for term in self.terms if isinstance(term, OneBody))

    @property
    def read(self) -> tuple[Parameter, ...]:
        """Every parameter that a term reads, conditioned on or not; λ always."""
        found = {parameter.name: parameter for term in self.terms for parameter in term.parameters}
        return tuple(({LAM.name: LAM} | found).values())

    @property
    def count(self) -> int:
        """Total number of electrons N."""
        return sum(self.electrons)

    @property
    def density(self) -> float:
        """Electrons per a_M²."""
        return self.count / self.supercell.area

    @property
    def parts(self) -> list[tuple[float, float]]:
        """What the gaps leave of the interval of λ: the intervals it is trained on, in increasing order."""
        ends = [self.ranges[0][0], *(end for gap in self.gaps for end in gap), self.ranges[0][1]]
        return list(zip(ends[::2], ends[1::2], strict=True))

    @property
    def middle(self) -> dict[str, float]:
        """Every conditioning parameter in the middle of its interval, λ first."""
        return {name: 0.5 * (low + high) for name, (low, high) in zip(self.parameters, self.ranges, strict=True)}

    @property
    def scales(self) -> tuple[tuple[float, float], ...]:
        """The interval of each parameter that becomes [−1, 1] in `scaled`."""
        given = dict(self.scaled_over)
        return tuple(given.get(name, own) for name, own in zip(self.parameters, self.ranges, strict=True))

    @property
    def origin(self) -> dict[str, float]:
        """The point that `scaled` maps to 0, λ first: where ψ takes one value for the whole family."""
        return {name: 0.5 * (low + high) for name, (low, high) in zip(self.parameters, self.scales, strict=True)}

    def value(self, name: str, point: Array) -> Array | float:
        """A quantity at a point of the family: the parameter if it is one, else the constant."""
        return point[self.parameters.index(name)] if name in self.parameters else self.constants[name]

    def values(self, point: Array) -> dict[str, Any]:
        """Everything that the terms read, at a point of the family: parameters as they are in it, constants as numbers.

        Args:
            point: values of the parameters ``[p]``, traced or not.
        """
        return {name: self.value(name, point) for name in self.constants}

    def numbers(self, point: Point) -> dict[str, float]:
        """`values` at a point that is not traced, as numbers."""
        return {**self.constants, **dict(zip(self.parameters, np.asarray(point, np.float64).tolist(), strict=True))}

    def described(self, others: Mapping[str, float]) -> dict[str, float]:
        """Every number but λ that the terms read, in the order of the table: what files say of a system.

        Args:
            others: values of parameters that are not those of `constants`.
        """
        names = (name for name in table() if name in self.constants and name != LAM.name)
        return {name: others.get(name, self.constants[name]) for name in names}

    def including(self, name: str, low: float, high: float) -> Hamiltonian:
        """The family with a number among its parameters, in an interval for which interactions are summed.

        Args:
            name: of what a term reads.
            low: its smallest value that is of use.
            high: the largest.

        Raises:
            QernelError: if no term reads it, a family is not conditioned on it, or it has no such values.
        """
        known = {parameter.name: parameter for parameter in self.read if parameter.conditioned}
        if name not in known:
            raise QernelError(f"{name} is no parameter of this system, which has {', '.join(known)}: give one of those")
        about = known[name]
        if not about.least <= low <= high <= about.most:
            within = f"{about.least:g} to {about.most:g}"
            raise QernelError(f"{name} = {low if low < about.least else high:g} is out of its bounds: give {within}")
        if name in self.parameters and not about.reach:
            return self
        ranges = dict(zip(self.parameters, self.ranges, strict=True))
        start, end = ranges.get(name, (low, high))
        ranges[name] = (min(start, low), max(end, high))
        return replace(self, parameters=tuple(ranges), ranges=tuple(ranges.values()))

    def scaled(self, point: Array) -> Array:
        """A point ``[p]`` mapped affinely so that each of `scales` becomes [−1, 1]."""
        low, high = np.array(self.scales).T
        half = np.where(high > low, 0.5 * (high - low), 1.0)
        return (jnp.asarray(point, jnp.float64) - 0.5 * (low + high)) / half

    def potential(self, positions: Array, point: Array) -> Potential:
        """One-body and interaction energy of one configuration.

        Args:
            positions: ``[N, 2]`` in a_M.
            point: family parameters ``[p]``.

        Returns:
            Total (not per electron) energies in E0; the interaction includes ½NUξ.

        Raises:
            QernelError: for a parameter that an interaction is not summed for, such as a gate closer than those of the
                family.
        """
        values = self.values(point)
        parts = [term.energy(positions, values, self.supercell) for term in self.potentials]
        moire = jnp.asarray(sum(parts[1:], parts[0]) if parts else 0.0, positions.dtype)
        return Potential(moire, jnp.asarray(self.interaction.energy(positions, values), positions.dtype))

    def one_body(self, positions: Array, values: Mapping[str, Any]) -> Array:
        """The sum of the one-body terms in E0 ``[...]`` at positions ``[..., 2]`` in a_M."""
        total = jnp.zeros(positions.shape[:-1], positions.dtype)
        return sum((term.value(positions, values, self.supercell) for term in self.potentials), total)

    def components(self, values: Mapping[str, Any]) -> Components:
        """Fourier components of the sum of the one-body terms at values that are numbers, each wave once."""
        amplitudes: dict[tuple[int, int], complex] = {}
        for term in self.potentials:
            waves, c = term.components(values)
            for (i, j), amplitude in zip(np.asarray(waves).tolist(), np.asarray(c).tolist(), strict=True):
                amplitudes[i, j] = amplitudes.get((i, j), 0.0) + amplitude
        waves = np.array(list(amplitudes), dtype=np.int64).reshape(-1, 2)
        return Components(waves, np.array(list(amplitudes.values()), dtype=complex))

    def uniform(self, values: Mapping[str, Any]) -> bool:
        """Whether no one-body term varies in space, so that every translation leaves the Hamiltonian as it is."""
        waves, amplitudes = self.components(values)
        return not np.any(amplitudes[waves.any(axis=1)])

    def proportional(self, name: str) -> bool:
        """Whether the part of the energy that a parameter multiplies (`Parameter.multiplies`) is proportional to it.

        It is not where one of several terms does not read it, a potential of its own beside λ times another one: the
        derivative of the energy by the parameter is not that part over the parameter then.
        """
        part = table()[name].multiplies if name in table() else ""
        here = {**self.constants, **self.middle}
        once = here.get(name) or 1.0
        sizes = [self._sizes(part, {**here, name: value}) for value in (once, 2 * once)]
        return bool(part) and np.allclose(2 * sizes[0], sizes[1], rtol=1e-6)

    def _sizes(self, part: str, values: Values) -> FloatArray:
        """Numbers of which one part of the energy is a linear function."""
        if part == "moire":
            return np.asarray(self.components(values).amplitudes)
        return np.array([float(term.strength(values)) for term, _ in self.interaction.terms])

    def minima(self, values: Mapping[str, Any]) -> Levels:
        """Where the one-body terms are lowest in a moiré cell, the deepest first; at λ = 0 as at a very small λ."""
        values = {**values, LAM.name: values[LAM.name] or 1.0}
        if len(self.potentials) == 1:
            return self.potentials[0].minima(values, self.supercell)
        return minima(*self.components(values), self.supercell)

    @property
    def row_twist(self) -> Turns:
        """θ along the rows of ``supercell.matrix``, whatever `twist` refers to."""
        return row_turns(self.supercell, self.twist, self.twist_along)

    @property
    def twisted(self) -> bool:
        """Whether there is a twist: whole turns are none."""
        return bool(self.twist_momentum.any())

    @property
    def half_turns(self) -> bool:
        """See `qernel.hamiltonian.twist.half_turns`."""
        return half_turns(reduced_turns(self.supercell, self.twist, self.twist_along))

    @property
    def twist_momentum(self) -> FloatArray:
        """k_t with ψ(r + A) = exp(i k_t·A) ψ(r) for every supercell vector A, shape ``[2]`` in 1/a_M."""
        return np.asarray(reduced_turns(self.supercell, self.twist, self.twist_along)) @ self.supercell.reciprocal
