"""Order parameter of the √3×√3 honeycomb crystal, the density harmonic at the K points."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from qernel.lattice import Supercell


def crystal_order(positions: Array, supercell: Supercell) -> Array:
    """|ρ_K|² = |(1/N) Σ_i exp(iK·r_i)|² of one configuration ``[N, 2]``; 1/4 for the perfect honeycomb crystal.

    Meaningful where K is a wave vector of the supercell (√3×√3, 3×3, 6×6, …).
    """
    phases = positions @ jnp.asarray(supercell.k_point, positions.dtype)
    return (jnp.square(jnp.cos(phases).sum()) + jnp.square(jnp.sin(phases).sum())) / positions.shape[0] ** 2
