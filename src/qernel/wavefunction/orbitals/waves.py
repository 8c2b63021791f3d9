"""Superpositions of many plane waves of a supercell, from the multiples of two angles an electron.

With G = m B_1 + n B_2, cos G·r and sin G·r are sums of products of cosines and sines of m B_1·r and n B_2·r: a table
of few angles for each electron, and one outer product. Taken over all m and n that occur, it has places for waves that
do not; their amplitudes are zero. That costs less than picking the waves there are, and −G needs no place of its own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array

from qernel.laplacian.expansion import Expanded, composed
from qernel.laplacian.jet import Jet
from qernel.lattice import Supercell, fractional

Turns = npt.NDArray[np.integer[Any]]


class Waves(NamedTuple):
    """Functions Σ_G [even_G cos G·r + odd_G sin G·r].

    Attributes:
        supercell: whose reciprocal vectors B_1, B_2 the G are made of.
        turns: G in units of them, integers ``[g, 2]``.
        even: amplitudes of the cosines ``[g, ...]``, real or complex.
        odd: those of the sines.
    """

    supercell: Supercell
    turns: Turns
    even: Array
    odd: Array

    def at(self, positions: Array | Jet) -> Any:
        """Positions ``[N, 2]`` in a_M → ``[N, ...]``; a jet for a jet."""
        if isinstance(positions, Jet):
            return composed(self.expanded(positions.value), positions)
        even, odd = _on_grid(self.even, self.odd, self.turns)
        return jnp.tensordot(plane_waves(positions, self.supercell, reach(self.turns)), jnp.stack([even, odd]), 2)

    def expanded(self, positions: Array) -> Expanded:
        """To second order about positions ``[N, 2]``: value and derivatives in one matrix product."""
        even, odd = _on_grid(self.even, self.odd, self.turns)
        waves = jnp.asarray((grid(reach(self.turns)) @ self.supercell.reciprocal).T, positions.dtype)
        waves = waves.reshape(2, -1, *(1,) * (even.ndim - 1))
        both, turned = jnp.stack([even, odd]), jnp.stack([odd, -even])
        tables = [both, *(waves[a] * turned for a in (0, 1)), *(-waves[a] * waves[b] * both for a, b in _SECOND)]
        phases = plane_waves(positions, self.supercell, reach(self.turns))
        value, x, y, xx, xy, yy = jnp.moveaxis(jnp.tensordot(phases, jnp.stack(tables, axis=2), 2), 1, 0)
        return Expanded(value, jnp.stack([x, y]), jnp.stack([xx, xy, xy, yy]).reshape(2, 2, *value.shape))


_SECOND = ((0, 0), (0, 1), (1, 1))
"""The second derivatives that differ."""


def reach(turns: Turns) -> tuple[int, int]:
    """The largest |m| and |n| of waves ``[g, 2]``."""
    first, second = np.abs(turns).max(axis=0, initial=0).tolist()
    return first, second


def grid(reach: tuple[int, int]) -> Turns:
    """All G with 0 ≤ m ≤ reach[0] and |n| ≤ reach[1], integers ``[waves, 2]``."""
    first, second = reach
    return np.mgrid[0 : first + 1, -second : second + 1].reshape(2, -1).T


def plane_waves(positions: Array, supercell: Supercell, reach: tuple[int, int]) -> Array:
    """cos G·r and sin G·r of every electron and every G of `grid`.

    Args:
        positions: ``[N, 2]`` in a_M.
        supercell: see `Waves`.
        reach: see `grid`.

    Returns:
        ``[N, 2, waves]``.
    """
    turned = fractional(positions, supercell.vectors)
    # Whole turns do nothing, but small angles have the smaller rounding error.
    turned = turned - jnp.round(turned)
    multiples = np.arange(reach[0] + 1), np.arange(-reach[1], reach[1] + 1)
    angles = [turned[:, axis, None] * jnp.asarray(m, positions.dtype) for axis, m in enumerate(multiples)]
    angle = jnp.concatenate(angles, axis=1)
    angle = 2 * np.pi * (angle - jnp.round(angle))
    # A product with 1, which XLA cannot merge with what follows: it would compute a cosine again wherever it occurs.
    table = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)
    table = jnp.einsum("ncm,mk->nck", table, jnp.eye(table.shape[-1], dtype=table.dtype))
    first, second = table[:, :, : reach[0] + 1, None], table[:, :, None, reach[0] + 1 :]
    even = first[:, 0] * second[:, 0] - first[:, 1] * second[:, 1]
    odd = first[:, 1] * second[:, 0] + first[:, 0] * second[:, 1]
    return jnp.stack([even, odd], axis=1).reshape(len(positions), 2, -1)


def _on_grid(even: Array, odd: Array, turns: Turns) -> tuple[Array, Array]:
    """Amplitudes ``[g, ...]`` of the waves there are → those of all waves of `grid`; G and −G share a place."""
    first, second = reach(turns)
    mirrored = (turns[:, 0] < 0) | ((turns[:, 0] == 0) & (turns[:, 1] < 0))
    sign = np.where(mirrored, -1, 1)
    m, n = (turns * sign[:, None]).T
    place = m * (2 * second + 1) + n + second
    count = (first + 1) * (2 * second + 1)
    # Every place is read from the wave that is there, or from a row of zeros behind the last.
    sources = [np.full(count, len(turns)) for _ in range(2)]
    for source, chosen in zip(sources, (~mirrored, mirrored), strict=True):
        source[place[chosen]] = np.flatnonzero(chosen)

    def gathered(even: Array, odd: Array) -> tuple[Array, Array]:
        plus, minus = sources
        even, odd = (jnp.concatenate([part, jnp.zeros_like(part[:1])]) for part in (even, odd))
        return even[plus] + even[minus], odd[plus] - odd[minus]

    def backward(_: None, cotangents: tuple[Array, Array]) -> tuple[Array, Array]:
        even, odd = cotangents
        return even[place], odd[place] * sign.astype(odd.real.dtype).reshape(-1, *(1,) * (odd.ndim - 1))

    # The derivative of a gather adds into an array element by element; here each is read from its only place.
    placed = jax.custom_vjp(gathered)
    placed.defvjp(lambda even, odd: (gathered(even, odd), None), backward)
    found: tuple[Array, Array] = placed(even, odd)
    return found
