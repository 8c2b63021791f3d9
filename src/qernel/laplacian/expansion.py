"""Functions of each electron's own coordinates, which in turn depend on whatever they like."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from qernel.laplacian.jet import Jet, from_parts


class Expanded(NamedTuple):
    """Functions of each electron's own coordinates x_i, to second order: one-electron orbitals, for instance.

    Attributes:
        value: ``[N, ...]``.
        gradient: ∂/∂x_a, ``[2, N, ...]``.
        hessian: ∂²/∂x_a∂x_b, ``[2, 2, N, ...]``.
    """

    value: Array
    gradient: Array
    hessian: Array


def composed(functions: Expanded, coordinates: Jet) -> Jet:
    """The chain rule: functions ``[N, ...]`` of coordinates ``[N, 2]``, local if these are."""
    jacobian = jnp.einsum("tia,ai...->ti...", coordinates.jacobian, functions.gradient)
    drift = jnp.einsum("ia,ai...->i...", coordinates.laplacian, functions.gradient)
    laplacian = drift + jnp.einsum("abi,abi...->i...", metric(coordinates), functions.hessian)
    return from_parts(functions.value, jacobian, laplacian, coordinates.owners)


def metric(coordinates: Jet) -> Array:
    """Σ_t ∂_t x_a ∂_t x_b of coordinates x ``[N, 2]``, as ``[2, 2, N]``: what multiplies second derivatives."""
    return jnp.einsum("tia,tib->abi", coordinates.jacobian, coordinates.jacobian)


class Displaced(NamedTuple):
    """One-electron orbitals B_ij = φ_j(x_i) at coordinates that depend on all electrons.

    Attributes:
        orbitals: φ ``[n, D, n]`` (electron, determinant, orbital) about the coordinates.
        coordinates: x, the dense jet of ``[n, 2]``.
    """

    orbitals: Expanded
    coordinates: Jet
