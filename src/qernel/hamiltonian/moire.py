"""The moiré potential w(r) = −2 Σ_j cos(g_j·r + φ) of three wave vectors at 120°."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

_ANGLES = np.pi / 2 + 2 * np.pi / 3 * np.arange(3)
WAVE_VECTORS = 4 * np.pi / np.sqrt(3) * np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
"""g_1 = (4π/√3)(0, 1) and its rotations by 120° and 240°, rows ``[3, 2]`` in 1/a_M."""


def moire_potential(positions: Array, phase: Array | float) -> Array:
    """w(r), dimensionless, for positions ``[..., 2]``; attractive around r = 0 at phase 0.

    Args:
        positions: electron positions in a_M.
        phase: φ in radians.

    Returns:
        Array ``[...]`` with values in [−6, 6] (in [−6, 3] at phase 0).
    """
    angles = positions @ jnp.asarray(WAVE_VECTORS.T, positions.dtype) + phase
    return -2.0 * jnp.cos(angles).sum(-1)
