"""Configurations without order that are close to what repelling electrons do: spread evenly, not at random.

Electrons that are placed independently crowd and leave holes as large as the cell. Moves of all electrons at once have
to be small, and take thousands of them to fill such holes: 96 electrons at λ = 0.4 had an interaction energy 6 E0 an
electron too high after 180 moves, and still 0.4 after 1,300 (studies/starts). Points of a lattice with independent
displacements have S(q) ∝ q² at small q, as a liquid of charges has, and are 0.8 too high after 180 moves.
"""

from __future__ import annotations

import math
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import DTypeLike

from qernel.lattice import FloatArray, Supercell
from qernel.sampling.metropolis import Walkers

_JITTER = 0.3
"""Displacement along each axis, over the square root of the area of an electron: enough to melt the lattice."""


def spread_walkers(
    key: Array, supercell: Supercell, shape: tuple[int, int, int], *, width: float, dtype: DTypeLike
) -> Walkers:
    """Walkers spread evenly over the supercell, log|ψ| not yet evaluated.

    Each is the lattice of `even_points`, shifted by a vector that is uniform in the supercell, its electrons in random
    order and displaced independently.

    Args:
        key: random key.
        supercell: where to spread them.
        shape: (groups, walkers per group, electrons).
        width: initial step width in a_M.
        dtype: element type of the positions.
    """
    groups, walkers, count = shape
    points = jnp.asarray(even_points(supercell, count), dtype)
    vectors = jnp.asarray(supercell.vectors, dtype)
    sigma = _JITTER * math.sqrt(supercell.area / count)

    def one(key: Array) -> Array:
        order, shift, jitter = jax.random.split(key, 3)
        fractions = jax.random.permutation(order, points) + jax.random.uniform(shift, (2,), dtype)
        return fractions @ vectors + sigma * jax.random.normal(jitter, (count, 2), dtype)

    positions = jax.vmap(jax.vmap(one))(jax.random.split(key, (groups, walkers)))
    return Walkers(positions, jnp.full(shape[:2], -jnp.inf, dtype), jnp.full(groups, width, dtype))


@lru_cache(maxsize=32)
def even_points(supercell: Supercell, count: int) -> FloatArray:
    """The lattice of so many points with the largest distance between neighbours, of the rank-1 ones.

    Args:
        supercell: in which it is periodic.
        count: n.

    Returns:
        Fractions along the supercell vectors ``[n, 2]``: (i/n, i·k/n mod 1) for the best k.
    """
    index = np.arange(count)
    lattices = [np.stack([index, index * k % count], 1) / count for k in range(1, max(2, count))]
    return max(lattices, key=lambda fractions: round(_closest(supercell, fractions), 9))


def _closest(supercell: Supercell, fractions: FloatArray) -> float:
    """The least distance from the first point to another, or to its own image, in a_M."""
    images = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1], indexing="ij"), -1).reshape(-1, 1, 2)
    apart = np.linalg.norm((fractions - np.rint(fractions) + images) @ supercell.vectors, axis=-1)
    return float(apart[apart > 1e-9].min())
