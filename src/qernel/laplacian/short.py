"""Sums of products over short axes: as matrix products they would be many tiny ones, with both operands transposed."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from qernel.laplacian.jet import Jet, Operand


def summed(a: Operand, b: Operand, axis: int) -> Any:
    """Σ a b over one axis of two quantities ``[N, ...]`` that broadcast against each other, each with all its axes.

    Args:
        a: an array or a dense jet.
        b: the same kind.
        axis: counted from the last, so negative.
    """
    if not (isinstance(a, Jet) and isinstance(b, Jet)):
        product: Any = a * b
        return product.sum(axis)
    a, b = a.dense(), b.dense()
    value = (a.value * b.value).sum(axis)
    changes = (a.data[1:] * b.value + a.value * b.data[1:]).sum(axis)
    cross = (a.jacobian * b.jacobian).sum(0).sum(axis)
    return Jet(jnp.concatenate([value[None], changes[:-1], (changes[-1] + 2.0 * cross)[None]]))
