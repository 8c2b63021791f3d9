"""Order parameter of the √3×√3 honeycomb crystal, the density harmonic at the K points."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from qernel.lattice import Supercell


def crystal_order(positions: ArrayLike, supercell: Supercell) -> Array:
    """|ρ_K|² = |(1/N) Σ_i exp(iK·r_i)|² of configurations ``[..., N, 2]``; 1/4 for the perfect honeycomb crystal.

    Meaningful where K is a wave vector of the supercell (√3×√3, 3×3, 6×6, …).
    """
    array = jnp.asarray(positions)
    phases = array @ jnp.asarray(supercell.k_point, array.dtype)
    return jnp.square(jnp.cos(phases).mean(-1)) + jnp.square(jnp.sin(phases).mean(-1))
