"""The Metropolis kernel against densities known in closed form."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy import stats

from qernel.lattice import Supercell, fractional
from qernel.sampling.devices import over_walkers, walker_mesh
from qernel.sampling.metropolis import SweepInfo, Walkers, spread_walkers, sweep

CELL = Supercell(((3, 0), (0, 3)))
WAVE = jnp.asarray(CELL.reciprocal[0])
STRENGTH = 0.4


def log_modulus(positions: Array) -> Array:
    """|ψ|² ∝ Π_i (1 + a cos B_1·r_i)²: a product, so each electron has a known marginal along the first vector."""
    return jnp.log(1.0 + STRENGTH * jnp.cos(positions @ WAVE)).sum(-1)


def walk(seed: int, walkers: int, sweeps: int, moves: int = 6) -> tuple[Walkers, list[SweepInfo]]:
    key = jax.random.key(seed)
    state = spread_walkers(key, CELL, (2, walkers, 2), width=0.7, dtype=jnp.dtype("float64"))
    state = state._replace(log_modulus=log_modulus(state.positions))
    infos = []
    step = jax.jit(lambda keys, s: sweep(keys, s, log_modulus, CELL, moves=moves))
    for index in range(sweeps):
        state, info = step(jax.random.split(jax.random.fold_in(key, index), (2, walkers)), state)
        infos.append(info)
    return state, infos


def marginal(u: np.ndarray) -> np.ndarray:
    """Cumulative distribution of the fractional coordinate s under (1 + a cos 2πs)²."""
    a = STRENGTH
    density = u * (1 + a**2 / 2) + a / np.pi * np.sin(2 * np.pi * u) + a**2 / (8 * np.pi) * np.sin(4 * np.pi * u)
    return density / (1 + a**2 / 2)


def test_the_stationary_distribution_is_psi_squared() -> None:
    """Walkers are independent and each is used once, so Kolmogorov–Smirnov applies; p-values over seeds combined."""
    p_values = []
    for seed in range(4):
        state, _ = walk(seed, 400, 40)
        s = np.asarray(fractional(state.positions, CELL.vectors))[..., 0, 0].ravel()
        p_values.append(stats.kstest(s, marginal).pvalue)
    assert stats.combine_pvalues(p_values).pvalue > 1e-3


def test_positions_stay_in_the_cell_and_the_logarithm_belongs_to_them() -> None:
    state, infos = walk(3, 64, 5)
    s = np.asarray(fractional(state.positions, CELL.vectors))
    assert s.min() > -1e-12 and s.max() < 1 + 1e-12
    np.testing.assert_allclose(state.log_modulus, log_modulus(state.positions), rtol=1e-12)
    assert all(0.2 < float(info.acceptance.mean()) < 0.99 for info in infos)


def test_translations_of_an_invariant_density_are_always_accepted() -> None:
    state = spread_walkers(jax.random.key(1), CELL, (1, 16, 2), width=0.1, dtype=jnp.dtype("float64"))
    state = state._replace(log_modulus=jnp.zeros((1, 16)))
    keys = jax.random.split(jax.random.key(2), (1, 16))
    _, info = sweep(keys, state, lambda x: jnp.zeros(x.shape[:2]), CELL, moves=2)
    assert float(info.translation_acceptance.min()) == 1.0 and float(info.hop_acceptance.min()) == 1.0


def test_a_proposal_that_is_not_a_number_is_rejected() -> None:
    state = spread_walkers(jax.random.key(1), CELL, (1, 8, 2), width=0.1, dtype=jnp.dtype("float64"))
    state = state._replace(log_modulus=jnp.zeros((1, 8)))
    keys = jax.random.split(jax.random.key(2), (1, 8))
    moved, info = sweep(keys, state, lambda x: jnp.full(x.shape[:2], jnp.nan), CELL, moves=3)
    np.testing.assert_array_equal(moved.positions, state.positions)
    assert float(info.acceptance.max()) == 0.0


def test_chains_do_not_depend_on_the_number_of_devices() -> None:
    state = spread_walkers(jax.random.key(1), CELL, (2, 8, 2), width=0.5, dtype=jnp.dtype("float64"))
    state = state._replace(log_modulus=log_modulus(state.positions))
    keys = jax.random.split(jax.random.key(2), (2, 8))

    def measure(_: Array, walkers: Walkers, points: Array, keys: Array) -> tuple[Walkers, SweepInfo, Array, Array]:
        moved, info = sweep(keys, walkers, log_modulus, CELL, moves=5)
        return moved, info, moved.log_modulus, moved.log_modulus

    assert jax.device_count() == 2
    results = [
        over_walkers(measure, mesh)(jnp.zeros(1), state, jnp.zeros((2, 1)), keys)[0]
        for mesh in (walker_mesh(8), walker_mesh(1))
    ]
    np.testing.assert_array_equal(results[0].positions, results[1].positions)
