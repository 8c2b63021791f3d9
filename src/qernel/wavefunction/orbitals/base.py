"""One-electron orbitals that a network dresses: what the head asks of every kind of them."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import equinox as eqx
import jax
from jax import Array

from qernel.hamiltonian.family import Hamiltonian
from qernel.laplacian.jet import Jet

Choice = tuple[bool, ...]
"""Some of the determinants of a sum."""


def spin_blocks(electrons: tuple[int, int]) -> list[tuple[int, int]]:
    """Start and stop of each non-empty spin species."""
    up, down = electrons
    return [block for block in ((0, up), (up, up + down)) if block[1] > block[0]]


class Orbitals(eqx.Module):
    """One-electron orbitals B_dj of the matrices M_dij = B_dj(x_i)(h_i·W_dj + b_dj).

    A new kind is a subclass in a file of its own, and a line in `qernel.wavefunction.registry`.
    """

    tilted: ClassVar[bool] = False
    """Whether the first determinant is meant for weak potentials and the others for strong ones."""

    dressed: eqx.AbstractVar[Choice]
    """Which determinants these orbitals are in; the network alone makes those of the others."""

    @classmethod
    @abc.abstractmethod
    def of(cls, model: Any, hamiltonian: Hamiltonian, free: Choice, *, complex: bool, dtype: Any) -> Self:
        """The orbitals that a ``[model]`` section describes, before they are `started`.

        Args:
            model: the section (`qernel.config.ModelConfig`).
            hamiltonian: the family they are for.
            free: determinants that no other orbitals are in.
            complex: whether orbitals are complex functions.
            dtype: element type of the parameters.
        """

    @abc.abstractmethod
    def __call__(self, coordinates: Array | Jet, point: Array) -> list[Any]:
        """B of every spin species at a point of the family.

        Args:
            coordinates: x ``[N, 2]`` in a_M. A local jet are positions; a dense one are coordinates that depend on all
                electrons (backflow), for which kinds that can be displaced return a `Displaced`.
            point: family parameters ``[p]``.

        Returns:
            ``[n, determinants, n]`` (electron, determinant, orbital) of each; 1 where they are not in a determinant.
        """

    def loudness(self) -> Sequence[float]:
        """What the initial weights of the network are multiplied with, for each determinant.

        ψ begins as the first determinant of the orbitals themselves; dressed determinants start quiet, but not equal
        to each other: they would stay equal for ever.
        """
        return [0.0, *(0.01 for _ in self.dressed[1:])]

    def started(self) -> Self:
        """The same with the numbers that training starts from, where to find them takes a calculation."""
        return self


def started(wavefunction: Any) -> Any:
    """A wavefunction with all `Orbitals` in it started."""

    def chosen(part: Any) -> bool:
        return isinstance(part, Orbitals)

    return jax.tree.map(lambda part: part.started() if chosen(part) else part, wavefunction, is_leaf=chosen)
