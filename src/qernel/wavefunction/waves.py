"""Superpositions of many plane waves of a supercell, from two angles an electron.

With G = m B_1 + n B_2, e^{iG·r} is a product of powers of e^{iB_1·r} and e^{iB_2·r}: two complex products instead of a
cosine and a sine, which take ten times as long. They were most of the time of ψ for 24 electrons in Hartree–Fock
orbitals.
"""

from __future__ import annotations

from typing import Any, NamedTuple

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
        phases = jnp.concatenate(plane_waves(positions, self.supercell, self.turns), axis=-1)
        return jnp.tensordot(phases, jnp.concatenate([self.even, self.odd]), 1)

    def expanded(self, positions: Array) -> Expanded:
        """To second order about positions ``[N, 2]``: value and derivatives in one matrix product."""
        phases = jnp.concatenate(plane_waves(positions, self.supercell, self.turns), axis=-1)
        waves = jnp.asarray((self.turns @ self.supercell.reciprocal).T, positions.dtype)
        waves = waves.reshape(2, -1, *(1,) * (self.even.ndim - 1))
        both, turned = jnp.stack([self.even, self.odd]), jnp.stack([self.odd, -self.even])
        tables = [both, *(waves[a] * turned for a in (0, 1)), *(-waves[a] * waves[b] * both for a, b in _SECOND)]
        table = jnp.stack(tables, axis=2).reshape(phases.shape[-1], len(tables), *self.even.shape[1:])
        value, x, y, xx, xy, yy = jnp.moveaxis(jnp.tensordot(phases, table, 1), 1, 0)
        return Expanded(value, jnp.stack([x, y]), jnp.stack([xx, xy, xy, yy]).reshape(2, 2, *value.shape))


_SECOND = ((0, 0), (0, 1), (1, 1))
"""The second derivatives that differ."""


def plane_waves(positions: Array, supercell: Supercell, turns: Turns) -> tuple[Array, Array]:
    """cos G·r and sin G·r of every electron.

    Args:
        positions: ``[N, 2]`` in a_M.
        supercell: see `Waves`.
        turns: see `Waves`.

    Returns:
        Two arrays ``[N, g]``.
    """
    turned = fractional(positions, supercell.vectors)
    # Whole turns do nothing, but small angles have the smaller rounding error.
    angles = 2 * np.pi * (turned - jnp.round(turned))
    real, imaginary = _powers(jnp.cos(angles), jnp.sin(angles), int(np.abs(turns).max(initial=0)))
    # Rows of whole electrons are picked: neighbours in memory stay neighbours.
    steps, directions = np.abs(turns), np.sign(turns)
    cos, sin = [], []
    for axis in (0, 1):
        cos.append(real[:, :, axis][steps[:, axis]])
        sin.append(imaginary[:, :, axis][steps[:, axis]] * directions[:, axis, None].astype(positions.dtype))
    return (cos[0] * cos[1] - sin[0] * sin[1]).T, (sin[0] * cos[1] + cos[0] * sin[1]).T


def _powers(real: Array, imaginary: Array, highest: int) -> tuple[Array, Array]:
    """z⁰ to z^highest along a new first axis; the number of products in a row, and so the error, grows as its log."""
    re, im = jnp.stack([jnp.ones_like(real), real]), jnp.stack([jnp.zeros_like(imaginary), imaginary])
    while len(re) <= highest:
        # The next power of z after those there are, times each of them.
        next_re = re[-1] * real - im[-1] * imaginary
        next_im = re[-1] * imaginary + im[-1] * real
        re, im = (
            jnp.concatenate([re, re * next_re - im * next_im]),
            jnp.concatenate([im, re * next_im + im * next_re]),
        )
    return re[: highest + 1], im[: highest + 1]
