"""The electron density n(r) on a grid of the supercell."""

from __future__ import annotations

import numpy as np

from qernel.lattice import FloatArray, Supercell


def histogram_density(positions: FloatArray, supercell: Supercell, grid: int) -> tuple[FloatArray, FloatArray]:
    """Density from sampled configurations.

    Every configuration contributes its N electrons, so the density integrates to N exactly. Chains are
    independent: the error is the scatter of the chain means, which includes all autocorrelation.

    Args:
        positions: ``[chains, samples, N, 2]`` in a_M.
        supercell: the simulation cell.
        grid: points along each supercell vector.

    Returns:
        Density and its one-sigma error in electrons per a_M², each ``[grid, grid]``.
    """
    chains, samples = positions.shape[:2]
    fractions = (positions @ np.linalg.inv(supercell.vectors)) % 1.0
    cells = np.minimum((fractions * grid).astype(int), grid - 1)
    index = cells[..., 0] * grid + cells[..., 1]
    counts = np.stack([np.bincount(chain.ravel(), minlength=grid * grid) for chain in index])
    per_chain = counts / samples * grid * grid / supercell.area
    error = per_chain.std(0, ddof=1) / np.sqrt(chains)
    return per_chain.mean(0).reshape(grid, grid), error.reshape(grid, grid)
