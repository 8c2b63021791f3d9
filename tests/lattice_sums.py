"""Sums over lattices that share nothing with Ewald's: oracles for periodic interactions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qernel.lattice import FloatArray
from qernel.primitive import Lattice, lattice_vectors


def basis_of(matrix: tuple[tuple[int, int], tuple[int, int]], lattice: Lattice) -> FloatArray:
    """Superlattice vectors straight from the definition, not reduced."""
    vectors: FloatArray = np.array(matrix, float) @ lattice_vectors(lattice)
    return vectors


def points_within(basis: FloatArray, radius: float) -> FloatArray:
    """Points of a lattice within a radius, from a grid that surely covers it: |n_i| ≤ radius·|dual vector i|."""
    first, second = (radius * np.linalg.norm(np.linalg.inv(basis), axis=0)).astype(int) + 1
    index = np.meshgrid(np.arange(-first, first + 1), np.arange(-second, second + 1), indexing="ij")
    grid = np.stack(index, axis=-1).reshape(-1, 2) @ basis
    inside: FloatArray = grid[np.linalg.norm(grid, axis=1) <= radius]
    return inside


def nearest_charge(position: FloatArray, basis: FloatArray) -> float:
    """Distance to the nearest lattice point."""
    reach = float(np.linalg.norm(position) + 2 * np.linalg.norm(basis))
    return float(np.linalg.norm(position - points_within(basis, reach), axis=1).min())


def fourier_sum(position: FloatArray, basis: FloatArray, kernel: Callable[[FloatArray], FloatArray]) -> float:
    """(1/A) Σ_{q≠0} kernel(q) e^{iq·r}, as the limit s → 0 of the sum with a factor e^{−s q²}.

    The factor is the heat kernel e^{s∇²}: the regulated sum is a power series in s with coefficients
    ∇^{2n}v/n! plus e^{−d²/4s} for a charge at distance d. Eight values of s ≤ d²/130 and the polynomial through
    them leave 3e-12/d of the series of 1/r and 1e-14 of the exponential; rounding of terms that add up to
    0.9/√s, amplified 255-fold by the polynomial, is of the order of 1e-11.
    """
    distance = nearest_charge(position, basis)
    widths = distance**2 / 130 * np.arange(1, 9) / 8
    area = abs(np.linalg.det(basis))
    waves = points_within(2 * np.pi * np.linalg.inv(basis).T, np.sqrt(37 / widths[0]))
    length = np.linalg.norm(waves, axis=1)
    waves, length = waves[length > 1e-9], length[length > 1e-9]
    terms = kernel(length) * np.cos(waves @ position) / area
    values = [np.sum(terms * np.exp(-s * length**2)) for s in widths]
    limit = 0.0
    for i, value in enumerate(values):
        others = np.delete(widths, i)
        limit += value * np.prod(others / (others - widths[i]))
    return float(limit)
