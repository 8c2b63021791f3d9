"""cos and sin of many plane waves of a supercell, from two angles an electron.

With G = m B_1 + n B_2, e^{iG·r} is a product of powers of e^{iB_1·r} and e^{iB_2·r}: two complex products instead of a
cosine and a sine, which take ten times as long. Orbitals made of plane waves were most of the time of ψ for 24
electrons.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array

from qernel.laplacian.jet import Jet, contract, from_parts
from qernel.lattice import Supercell, fractional


def plane_waves(positions: Array | Jet, supercell: Supercell, turns: npt.NDArray[np.integer[Any]]) -> tuple[Any, Any]:
    """cos G·r and sin G·r of every electron.

    Args:
        positions: ``[N, 2]`` in a_M, or a jet of them.
        supercell: whose reciprocal vectors B_1, B_2 the waves are made of.
        turns: G in units of them, integers ``[g, 2]``.

    Returns:
        Two quantities ``[N, g]``; local jets if the positions are one.
    """
    if not isinstance(positions, Jet):
        return _phases(positions, supercell, turns)
    cos, sin = _phases(positions.value, supercell, turns)
    waves = jnp.asarray((turns @ supercell.reciprocal).T, positions.dtype)
    angles = contract("nx,xg->ng", positions, waves)
    squares = (angles.jacobian**2).sum(0)
    return (
        from_parts(cos, -sin * angles.jacobian, -sin * angles.laplacian - cos * squares, angles.owners),
        from_parts(sin, cos * angles.jacobian, cos * angles.laplacian - sin * squares, angles.owners),
    )


def _phases(positions: Array, supercell: Supercell, turns: npt.NDArray[np.integer[Any]]) -> tuple[Array, Array]:
    """Real and imaginary parts of e^{iG·r}, ``[N, g]``."""
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
