"""Chebyshev polynomials in the parameters of a family: how orbitals follow the point."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from qernel.hamiltonian.family import Hamiltonian
from qernel.lattice import FloatArray


class Series(NamedTuple):
    """Functions of the point of a family: sums of products of Chebyshev polynomials, one for each parameter followed.

    Coefficients have one axis for all products, the polynomial of the last parameter changing fastest. For a family
    of λ alone these are the polynomials in λ.

    Attributes:
        hamiltonian: the family; each parameter is scaled to [−1, 1] over its `Hamiltonian.scales`.
        names: of the parameters followed; all others are taken at their `Hamiltonian.origin`.
        orders: number of polynomials in each.
    """

    hamiltonian: Hamiltonian
    names: tuple[str, ...]
    orders: tuple[int, ...]

    @classmethod
    def following(cls, hamiltonian: Hamiltonian, orders: Mapping[str, int]) -> Series:
        """Functions of λ and of those of the other parameters that vary and have more than one polynomial.

        Args:
            hamiltonian: the family.
            orders: number of polynomials in each parameter.
        """
        low, high = np.array(hamiltonian.scales).T
        names = [name for name, wide in zip(hamiltonian.parameters, high > low, strict=True) if wide]
        kept = ["lam", *(name for name in names if name != "lam" and orders.get(name, 1) > 1)]
        return cls(hamiltonian, tuple(kept), tuple(orders[name] for name in kept))

    @property
    def terms(self) -> int:
        """Number of products."""
        return int(np.prod(self.orders))

    def at(self, point: Array, coefficients: Array) -> Array:
        """The value ``[...]`` at a point ``[p]`` of functions with coefficients ``[terms, ...]``."""
        scaled = self.hamiltonian.scaled(point)
        products = jnp.ones(1, coefficients.dtype)
        for index, (name, order) in enumerate(zip(self.names, self.orders, strict=True)):
            x = scaled[self.hamiltonian.parameters.index(name)].astype(coefficients.dtype)
            values = chebyshev(x, order)
            products = values if index == 0 else jnp.outer(products, values).ravel()
        return jnp.tensordot(products, coefficients, 1)

    @property
    def nodes(self) -> FloatArray:
        """The points ``[terms, p]`` that determine such functions, in descending order of each parameter."""
        family = self.hamiltonian
        middle = np.array([*family.origin.values()])
        half = 0.5 * (np.array(family.scales)[:, 1] - np.array(family.scales)[:, 0])
        axes = [chebyshev_nodes(order) for order in self.orders]
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
        points = np.tile(middle, (self.terms, 1))
        for column, name in zip(grid.T, self.names, strict=True):
            index = family.parameters.index(name)
            points[:, index] = middle[index] + half[index] * column
        return points

    def fit(self, values: FloatArray) -> FloatArray:
        """Coefficients ``[terms, ...]`` of the functions with values ``[terms, ...]`` at the nodes."""
        table = values.reshape(*self.orders, *values.shape[1:])
        for axis in range(len(self.orders)):
            table = np.moveaxis(chebyshev_fit(np.moveaxis(table, axis, 0)), 0, axis)
        return np.ascontiguousarray(table.reshape(values.shape))

    def at_nodes(self, coefficients: FloatArray) -> FloatArray:
        """The inverse of `fit`."""
        table = coefficients.reshape(*self.orders, *coefficients.shape[1:])
        for axis, order in enumerate(self.orders):
            basis = np.polynomial.chebyshev.chebvander(chebyshev_nodes(order), order - 1)
            table = np.moveaxis(np.tensordot(basis, np.moveaxis(table, axis, 0), 1), 0, axis)
        return np.ascontiguousarray(table.reshape(coefficients.shape))


def chebyshev(x: Array, order: int) -> Array:
    """T_0 … T_{order−1} at x, by recurrence so that points beyond the range stay finite."""
    terms = [jnp.ones_like(x), x]
    while len(terms) < order:
        terms.append(2.0 * x * terms[-1] - terms[-2])
    return jnp.stack(terms[:order])


def chebyshev_nodes(order: int) -> FloatArray:
    """Where in [−1, 1] a function is to be known for `chebyshev_fit`, in descending order."""
    return np.cos(np.pi * (np.arange(order) + 0.5) / order) if order > 1 else np.zeros(1)


def chebyshev_fit(values: FloatArray) -> FloatArray:
    """Coefficients ``[order, ...]`` of the polynomial through values ``[order, ...]`` at the Chebyshev nodes."""
    order = len(values)
    basis = np.cos(np.arange(order)[:, None] * np.arccos(chebyshev_nodes(order))[None, :])
    scale = np.where(np.arange(order) == 0, 1.0, 2.0)[:, None] / order
    coefficients: FloatArray = np.tensordot(scale * basis, values, 1)
    return coefficients
