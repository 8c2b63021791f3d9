"""What a term is that could be added to a wavefunction."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp
from jax import Array

from qernel.hamiltonian.family import Hamiltonian

Logarithm = Callable[[Array], Array]
"""log ψ of positions ``[N, 2]``."""


class Term(abc.ABC):
    """A term of log ψ that is linear in its coefficients near 0, where it is absent.

    Args:
        model: the ``[model]`` section of the wavefunction it is added to, for ranges.
        hamiltonian: the family.

    Attributes:
        name: what it is called on the command line and in files.
        summary: one line.
    """

    name: ClassVar[str]
    summary: ClassVar[str]

    def __init__(self, model: Any, hamiltonian: Hamiltonian) -> None:
        self.model, self.hamiltonian = model, hamiltonian

    @property
    @abc.abstractmethod
    def size(self) -> int:
        """Number of coefficients."""

    @abc.abstractmethod
    def applied(self, logarithm: Logarithm, coefficients: Array, positions: Array) -> Array:
        """log ψ of positions ``[N, 2]`` with the term, for coefficients ``[size]``."""


class Factor(Term):
    """A Jastrow factor exp(Σ_k α_k f_k) that multiplies ψ."""

    @abc.abstractmethod
    def values(self, positions: Array) -> Array:
        """f ``[size]`` of positions ``[N, 2]``."""

    def applied(self, logarithm: Logarithm, coefficients: Array, positions: Array) -> Array:
        """See `Term.applied`."""
        return logarithm(positions) + coefficients @ self.values(positions)


class Displacement(Term):
    """Electrons that all of ψ meets at r_i + Σ_k α_k u_k(i): columns Σ_i u_k(i)·∇_i log ψ."""

    @abc.abstractmethod
    def fields(self, positions: Array) -> Array:
        """u ``[size, N, 2]`` in a_M of positions ``[N, 2]``."""

    def applied(self, logarithm: Logarithm, coefficients: Array, positions: Array) -> Array:
        """See `Term.applied`."""
        return logarithm(positions + jnp.tensordot(coefficients, self.fields(positions), 1))
