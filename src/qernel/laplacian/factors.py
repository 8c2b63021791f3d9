"""Factorisations of many small matrices: sign and logarithm of determinants, inverses.

XLA on a CPU factorises a large batch in parts, on the threads of its pool, and the thread that asked waits for them.
With a thread for each device, all of them waiting, nothing would move again (docs/benchmarks.md). So batches are kept
below the size that XLA divides, whatever `jax.vmap` makes of them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from math import ceil, prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.custom_batching import custom_vmap

_DIVIDED = 200_000
"""Operations from which on XLA (jaxlib 0.10) divides a batch, counted as n³ a matrix, three times that if complex."""


def _in_undivided_batches(single: Callable[[Array], Any]) -> Callable[[Array], Any]:
    """A function of matrices ``[..., n, n]`` whose batches, also those of `jax.vmap`, are never divided by XLA."""

    @custom_vmap
    @wraps(single)
    def batched(matrix: Array) -> Any:
        shape = matrix.shape
        most = undivided(shape[-1], complex=jnp.iscomplexobj(matrix))
        if most is None or prod(shape[:-2]) <= most:
            return single(matrix)
        found = jax.lax.map(single, matrix.reshape(-1, *shape[-2:]), batch_size=most)
        return jax.tree.map(lambda leaf: leaf.reshape(*shape[:-2], *leaf.shape[1:]), found)

    @batched.def_vmap
    def _(_size: int, _axes: Any, matrix: Array) -> Any:
        found = batched(matrix)
        return found, jax.tree.map(lambda _: True, found)

    return batched


def undivided(size: int, *, complex: bool) -> int | None:
    """How many n×n matrices XLA factorises without dividing them among threads; None: any number.

    Args:
        size: n.
        complex: whether their elements are.
    """
    if jax.default_backend() != "cpu" or jax.local_device_count() == 1:
        return None
    return ceil(_DIVIDED / (size**3 * (3 if complex else 1)))


@jax.custom_jvp
@_in_undivided_batches
def inverted(matrix: Array) -> tuple[Array, Array, Array]:
    """Sign, log |det M| and M⁻¹ of M ``[..., n, n]``, all finite.

    One of several determinants has nodes where ψ has none, and walkers cross them: about once in 10⁷ evaluations a
    matrix is singular in single precision, and 0 · ∞ would be its share in ∇ψ and Δψ. A pivot that is zero
    therefore counts as √ε: what det M and its derivatives are then wrong by is √ε of a cofactor.
    """
    lu, pivots, _ = jax.lax.linalg.lu(matrix)
    diagonal = jnp.diagonal(lu, axis1=-2, axis2=-1)
    modulus = jnp.abs(diagonal)
    smallest = float(np.finfo(matrix.dtype).eps) ** 0.5 * modulus.max(-1, keepdims=True)
    diagonal = jnp.where(modulus > 0.0, diagonal, smallest.astype(matrix.dtype))
    one = jnp.eye(matrix.shape[-1], dtype=matrix.dtype)
    upper = jnp.where(one == 1, diagonal[..., None], lu)
    permuted = one[_order(pivots)]
    half = jax.lax.linalg.triangular_solve(lu, permuted, left_side=True, lower=True, unit_diagonal=True)
    inverse = jax.lax.linalg.triangular_solve(upper, half, left_side=True, lower=False)
    modulus = jnp.abs(diagonal)
    swaps = (pivots != jnp.arange(matrix.shape[-1], dtype=pivots.dtype)).sum(-1) % 2
    sign = (1 - 2 * swaps).astype(matrix.dtype) * (diagonal / modulus).prod(-1)
    return sign, jnp.log(modulus).sum(-1), inverse


def _order(pivots: Array) -> Array:
    """The order of rows ``[..., n]`` that exchanging row i with row ``pivots[..., i]``, one i after the other, gives.

    XLA exchanges in a loop of n steps, which takes longer than the factorisation; here pairs of exchanges are joined,
    then pairs of pairs.
    """
    size = pivots.shape[-1]
    row, column = jnp.arange(size)[:, None], jnp.arange(size)
    with_row = pivots[..., :, None].astype(column.dtype)
    orders = jnp.where(column == row, with_row, jnp.where(column == with_row, row, column))
    while (count := orders.shape[-2]) > 1:
        pairs = orders[..., : count - count % 2, :]
        joined = jnp.take_along_axis(pairs[..., ::2, :], pairs[..., 1::2, :], axis=-1)
        orders = jnp.concatenate([joined, orders[..., count - count % 2 :, :]], axis=-2)
    return orders[..., 0, :]


@inverted.defjvp
def _(primals: tuple[Array], tangents: tuple[Array]) -> Any:
    """d log det M = tr M⁻¹dM, dM⁻¹ = −M⁻¹ dM M⁻¹."""
    sign, log, inverse = inverted(*primals)
    relative = inverse @ tangents[0]
    return (sign, log, inverse), (*_turned(sign, relative), -relative @ inverse)


@jax.custom_jvp
@_in_undivided_batches
def _slogdet(matrix: Array) -> tuple[Array, Array]:
    sign, log = jnp.linalg.slogdet(matrix)
    return sign, log


@_slogdet.defjvp
def _(primals: tuple[Array], tangents: tuple[Array]) -> Any:
    sign, log, inverse = inverted(*primals)
    return (sign, log), _turned(sign, inverse @ tangents[0])


def _turned(sign: Array, relative: Array) -> tuple[Array, Array]:
    """Tangents of sign and log |det M| for M⁻¹dM."""
    trace = jnp.trace(relative, axis1=-2, axis2=-1)
    if jnp.iscomplexobj(sign):
        return 1j * trace.imag * sign, trace.real
    return jnp.zeros_like(sign), trace


@jax.jit
def slogdet(matrix: Array) -> tuple[Array, Array]:
    """Sign (or phase) and log |det M| of M ``[..., n, n]``.

    The library folx has a rule of its own for a compiled function of this name, as `jax.numpy.linalg.slogdet` is.
    """
    return _slogdet(matrix)
