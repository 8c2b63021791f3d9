"""Walkers that start spread: without order, without holes, anywhere in the cell with equal probability."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from qernel.lattice import Supercell
from qernel.sampling.spread import even_points, spread_walkers

NINE = Supercell(((9, 0), (0, 9)))


def positions(cell: Supercell, walkers: int, electrons: int, seed: int = 3) -> np.ndarray:
    shape = (1, walkers, electrons)
    return np.asarray(spread_walkers(jax.random.key(seed), cell, shape, width=0.1, dtype=jnp.float64).positions[0])


@pytest.mark.parametrize(
    ("electrons", "matrix"),
    [(1, ((1, 0), (0, 1))), (2, ((1, 1), (-1, 2))), (24, ((6, 0), (0, 6))), (54, NINE.matrix), (7, ((5, 0), (1, 2)))],
)
def test_the_lattice_is_even(electrons: int, matrix: tuple[tuple[int, int], tuple[int, int]]) -> None:
    cell = Supercell(matrix)
    points = even_points(cell, electrons)
    assert points.shape == (electrons, 2) and (points >= 0).all() and (points < 1).all()
    apart = points[:, None] - points
    image = np.array([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)])
    distances = np.linalg.norm((apart - np.rint(apart))[:, :, None] @ cell.vectors + image @ cell.vectors, axis=-1)
    nearest = np.where(distances < 1e-9, np.inf, distances).min((1, 2))
    np.testing.assert_allclose(nearest, nearest[0], rtol=1e-12, err_msg="every point of a lattice is as any other")
    # The triangular lattice of this density is the most even one there is.
    densest = math.sqrt(2 * cell.area / electrons / math.sqrt(3))
    assert 0.7 * densest < nearest[0] < densest * (1 + 1e-12)


def test_long_waves_of_the_density_are_small_and_nothing_is_ordered() -> None:
    found = positions(NINE, 400, 54)
    q = np.array([(1, 0), (0, 1), (1, 1)]) @ NINE.reciprocal
    modes = np.abs(np.exp(1j * found @ q.T).sum(1)) ** 2 / 54
    # S(q) = 1 − exp(−q²σ²), σ² = 0.09 areas of an electron, between the Bragg peaks of the lattice.
    expected = 1 - np.exp(-0.09 * NINE.area / 54 * (q**2).sum(1))
    error = modes.std(0) / math.sqrt(len(modes))
    np.testing.assert_array_less(np.abs(modes.mean(0) - expected), 4 * error)
    assert expected.max() < 0.1, "where independent electrons have 1"
    moire = np.abs(np.exp(1j * found @ NINE.moire_reciprocal.T).sum(1)) ** 2 / 54
    assert moire.mean() < 3.0, "a crystal has 54"


def test_every_electron_is_anywhere() -> None:
    found = positions(NINE, 900, 54)[:, 5]
    fractions = (found @ np.linalg.inv(NINE.vectors)) % 1.0
    for column in fractions.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-3
    same, other = positions(NINE, 2, 54), positions(NINE, 2, 54, seed=4)
    np.testing.assert_array_equal(same, positions(NINE, 2, 54))
    assert not np.allclose(same[0], same[1]) and not np.allclose(same, other)
