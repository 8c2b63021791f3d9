"""Periodic one-electron input features."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from qernel.laplacian.jet import Jet, concatenate, contract, pointwise
from qernel.lattice import FloatArray, Supercell


def feature_waves(supercell: Supercell, harmonics: int, moire_harmonics: int) -> FloatArray:
    """Wave vectors ``[n, 2]`` of the features: supercell shells, then moiré shells not among them.

    The first supercell shell tells where an electron is in the cell; the moiré shell where it is in
    its moiré cell, which in a large supercell the first shell alone cannot resolve.
    """
    waves = supercell.shells(harmonics)
    for wave in supercell.moire_shells(moire_harmonics):
        if not np.any(np.linalg.norm(np.abs(waves - wave), axis=-1) < 1e-6):
            waves = np.concatenate([waves, wave[None]])
    return waves


def electron_features(positions: Array | Jet, waves: FloatArray, electrons: tuple[int, int]) -> Any:
    """cos and sin of every wave, and the spin where there are two kinds.

    Args:
        positions: ``[N, 2]``.
        waves: ``[n, 2]`` reciprocal vectors of the supercell.
        electrons: numbers of up and down electrons, up first.

    Returns:
        Features ``[N, 2n (+1)]``.
    """
    matrix = jnp.asarray(waves.T, positions.dtype)
    angles = contract("nx,xg->ng", positions, matrix)
    parts = [pointwise(jnp.cos, angles), pointwise(jnp.sin, angles)]
    if electrons[1]:
        parts.append(spins(electrons, positions.dtype)[:, None])
    return concatenate(parts)


def feature_count(waves: FloatArray, electrons: tuple[int, int]) -> int:
    """Number of features per electron."""
    return 2 * len(waves) + (1 if electrons[1] else 0)


def spins(electrons: tuple[int, int], dtype: Any) -> Array:
    """Spin of each electron, +1 or −1, ``[N]``."""
    return jnp.concatenate([jnp.ones(electrons[0], dtype), -jnp.ones(electrons[1], dtype)])
