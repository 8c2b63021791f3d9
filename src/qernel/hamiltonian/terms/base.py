"""What a term of the Hamiltonian is: a one-body potential or a pair interaction over named parameters.

A term is a frozen dataclass. It names the parameters that it reads in ``parameters``; what it computes takes
``values``, every named number at one point of the family. Fields of the dataclass are what a family never varies.
Modules of terms import jax inside their functions: a configuration reads their parameters, and starts without jax.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from qernel.hamiltonian.parameters import STRENGTH, Parameter
from qernel.hamiltonian.wells import Levels, minima
from qernel.lattice import FloatArray, Integers, Supercell

if TYPE_CHECKING:
    from jax import Array

Values = Mapping[str, Any]
"""Every parameter by name at one point, as numbers or traced scalars."""

Intervals = Mapping[str, tuple[float, float]]
"""Every parameter by name with its smallest and largest value in a family, equal for a constant."""


class Components(NamedTuple):
    """A periodic potential V(r) = Σ_n c_n exp(i G_n·r).

    Attributes:
        waves: G_n as integers in reciprocal vectors of the moiré lattice ``[n, 2]``, both of each pair ±G.
        amplitudes: c_n in E0 ``[n]``, with c(−G) the conjugate of c(G).
    """

    waves: Integers
    amplitudes: Any


@dataclass(frozen=True)
class Term(ABC):
    """What potentials and interactions have in common.

    Attributes:
        name: in configurations.
        summary: what it is, in a line.
        parameters: those that it reads.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    parameters: ClassVar[tuple[Parameter, ...]]

    @property
    def label(self) -> str:
        """Its name and what a family never varies of it: equal terms have equal labels, in files too."""
        given = ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in fields(self))
        return f"{self.name}({given})" if given else self.name


@dataclass(frozen=True)
class OneBody(Term):
    """A potential with the period of the moiré lattice.

    Attributes:
        lattices: names of the moiré lattices that it fits; none for any lattice.
    """

    lattices: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def components(self, values: Values) -> Components:
        """Its Fourier components. Traced, unless the term has a `value` of its own."""

    def value(self, positions: Array, values: Values, cell: Supercell) -> Array:
        """V(r) in E0 ``[...]`` at positions ``[..., 2]`` in a_M; jax traces it and differentiates it by values."""
        import jax.numpy as jnp

        waves, amplitudes = self.components(values)
        phases = positions @ jnp.asarray((waves @ cell.moire_reciprocal).T, positions.dtype)
        real, imaginary = (jnp.asarray(part, positions.dtype) for part in (jnp.real(amplitudes), jnp.imag(amplitudes)))
        return jnp.cos(phases) @ real - jnp.sin(phases) @ imaginary

    def energy(self, positions: Array, values: Values, cell: Supercell) -> Array:
        """Σ_i V(r_i) in E0 of a configuration ``[N, 2]``."""
        return self.value(positions, values, cell).sum()

    def minima(self, values: Values, cell: Supercell) -> Levels:
        """Places of one moiré cell to put electrons, the deepest first: by default its local minima."""
        return minima(*self.components(values), cell)

    def lower(self, values: Values) -> float:
        """What V cannot be below anywhere, in E0: by default c_0 − Σ_{G≠0} |c_G|."""
        waves, amplitudes = self.components(values)
        moving = np.asarray(waves).any(axis=1)
        c: npt.NDArray[np.complex128] = np.asarray(amplitudes)
        return float(c[~moving].real.sum() - np.abs(c[moving]).sum())


class Cusp(NamedTuple):
    """How log ψ begins where two electrons meet so that the local energy stays finite: slope·r + logarithm·r² ln r.

    Attributes:
        slope: in 1/a_M.
        logarithm: in 1/a_M²; zero for an interaction that diverges like 1/r.
    """

    slope: Any
    logarithm: Any = 0.0


class Kernel(Protocol):
    """v(r) of a pair interaction in one supercell, without its component at q = 0 and its strength.

    Values may be traced; a kernel that is asked for values it does not serve gives nan where it is traced.
    """

    @property
    def supercell(self) -> Supercell:
        """The simulation cell."""

    def __call__(self, difference: Array, values: Values) -> Array:
        """v(r_i − r_j) ``[...]`` in 1/a_M for differences ``[..., 2]`` in a_M."""

    def energy(self, positions: Array, values: Values) -> Array:
        """Σ_{i<j} v(r_i − r_j) in 1/a_M of a configuration ``[N, 2]``."""

    def fourier(self, q: FloatArray, values: Values) -> FloatArray:
        """A times the Fourier components of v in a_M, for wave numbers ``[...]`` in 1/a_M; 0 at q = 0."""

    def self_image(self, values: Values) -> Array:
        """ξ, what an electron feels of its own images and of the background, in 1/a_M."""

    def require(self, values: Values) -> None:
        """Refuse values that it does not serve.

        Raises:
            QernelError: naming the parameter, its value and the smallest that is served.
        """


@dataclass(frozen=True)
class Pair(Term):
    """An interaction U v(r) between all electrons, periodic in the supercell, with a neutralising background.

    Every energy has Σ_{i<j} v + ½Nξ; v has no component at q = 0, and ξ = lim_{r→0} [v(r) − v_∞(r)] with v_∞ the
    interaction of two electrons without images and background.
    """

    parameters: ClassVar[tuple[Parameter, ...]] = (STRENGTH,)

    @abstractmethod
    def on(self, supercell: Supercell, intervals: Intervals) -> Kernel:
        """v in one supercell, for all values inside the intervals."""

    def strength(self, values: Values) -> Any:
        """What v is multiplied by, in E0 a_M."""
        return values[STRENGTH.name]

    def cusp(self, values: Values, like: bool) -> Cusp:
        """What log ψ has to do where two electrons of like or unlike spin meet, for U v → U/r: U/3 or U."""
        return Cusp(self.strength(values) * (1 / 3 if like else 1.0))

    def lower(self, values: Values, density: float) -> float:
        """What U(Σ_{i<j} v + ½Nξ)/N cannot be below, in E0; −∞ where nothing is known.

        Args:
            values: the parameters, as numbers.
            density: electrons per a_M².
        """
        return -np.inf
