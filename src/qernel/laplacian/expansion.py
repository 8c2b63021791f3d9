"""Functions of each electron's own coordinates, which in turn depend on whatever they like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
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


class Curved(NamedTuple):
    """The same of any number B of coordinates, with all that the Laplacian asks of the second derivatives.

    Attributes:
        value: ``[N, ...]``.
        gradient: ∂/∂x_a, ``[B, N, ...]``.
        curvature: Σ_ab g_ab ∂²/∂x_a∂x_b with the `metric` g of the coordinates, ``[N, ...]``.
    """

    value: Array
    gradient: Array
    curvature: Array


def curved(function: Callable[[Array], Any], coordinates: Array, metric: Array) -> Any:
    """What `Curved` has of functions F(x_i), from Σ_a ∂_a ∂_(g_a) F: as many directions as coordinates.

    Args:
        function: ``[B, N]`` → a pytree of ``[..., N]``, each electron by itself; electrons last, because most of what
            is computed of few numbers has short axes.
        coordinates: x ``[N, B]``.
        metric: g ``[B, B, N]``.

    Returns:
        The pytree with a `Curved` for each array.
    """
    at, unit = coordinates.T, jnp.eye(coordinates.shape[1], dtype=coordinates.dtype)

    def along(direction: Array, opposite: Array) -> tuple[Any, Any]:
        def derivative(x: Array) -> Any:
            return jax.jvp(function, (x,), (jnp.broadcast_to(direction[:, None], x.shape),))[1]

        return jax.jvp(derivative, (at,), (opposite,))

    gradient, second = jax.vmap(along)(unit, metric)

    def joined(value: Array, slope: Array, bend: Array) -> Curved:
        return Curved(*(jnp.moveaxis(part, -1, axis) for part, axis in ((value, 0), (slope, 1), (bend.sum(0), 0))))

    return jax.tree.map(joined, function(at), gradient, second)


def composed(functions: Expanded | Curved, coordinates: Jet) -> Jet:
    """The chain rule: functions ``[N, ...]`` of coordinates ``[N, B]``, local if these are."""
    if isinstance(functions, Expanded):
        value, gradient, hessian = functions
        curvature = jnp.einsum("abi,abi...->i...", metric(coordinates), hessian)
    else:
        value, gradient, curvature = functions
    changes = jnp.einsum("tia,ai...->ti...", coordinates.data[1:], gradient)
    return from_parts(value, changes[:-1], changes[-1] + curvature, coordinates.owners)


def metric(coordinates: Jet) -> Array:
    """Σ_t ∂_t x_a ∂_t x_b of coordinates x ``[N, B]``, as ``[B, B, N]``: what multiplies second derivatives."""
    return jnp.einsum("tia,tib->abi", coordinates.jacobian, coordinates.jacobian)


class Displaced(NamedTuple):
    """One-electron orbitals B_ij = φ_j(x_i) at coordinates that depend on all electrons.

    Attributes:
        orbitals: φ ``[n, D, n]`` (electron, determinant, orbital) about the coordinates.
        coordinates: x, the dense jet of ``[n, 2]``.
    """

    orbitals: Expanded
    coordinates: Jet
