"""The Metropolis kernel against densities known in closed form."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array
from scipy import stats

from qernel.lattice import Supercell, fractional
from qernel.sampling.devices import SPLIT, WALKERS, over_walkers, walker_mesh
from qernel.sampling.metropolis import LogModulus, Walkers, adapt_width, sweep
from qernel.sampling.moves import Gaussian, moves_of
from qernel.sampling.spread import spread_walkers

CELL = Supercell(((3, 0), (0, 3)))
WAVE = jnp.asarray(CELL.reciprocal[0])
PAIR = moves_of(CELL, (2, 0))
STRENGTH = 0.4


def log_modulus(positions: Array) -> Array:
    """|ψ|² ∝ Π_i (1 + a cos B_1·r_i)²: a product, so each electron has a known marginal along the first vector."""
    return jnp.log(1.0 + STRENGTH * jnp.cos(positions @ WAVE)).sum(-1)


STEP = jax.jit(
    lambda keys, state, moves: sweep(
        keys, state, log_modulus, moves_of(CELL, (state.positions.shape[2], 0)), moves=moves
    ),
    static_argnums=2,
)
"""One sweep, compiled once for all tests of one shape."""


def walk(seed: int, walkers: int, sweeps: int, moves: int = 6) -> tuple[Walkers, list[dict[str, Array]]]:
    key = jax.random.key(seed)
    state = spread_walkers(key, CELL, (2, walkers, 2), width=0.7, dtype=jnp.dtype("float64"))
    state = state._replace(log_modulus=log_modulus(state.positions))
    infos = []
    for index in range(sweeps):
        state, info = STEP(jax.random.split(jax.random.fold_in(key, index), (2, walkers)), state, moves)
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
    assert all(0.2 < float(info["gaussian"].mean()) < 0.99 for info in infos)


def test_translations_of_an_invariant_density_are_always_accepted() -> None:
    state = spread_walkers(jax.random.key(1), CELL, (1, 16, 2), width=0.1, dtype=jnp.dtype("float64"))
    state = state._replace(log_modulus=jnp.zeros((1, 16)))
    keys = jax.random.split(jax.random.key(2), (1, 16))
    _, info = jax.jit(lambda s: sweep(keys, s, lambda x: jnp.zeros(x.shape[:2]), PAIR, moves=2))(state)
    assert float(info["translation"].min()) == 1.0 and float(info["hop"].min()) == 1.0


def test_a_proposal_that_is_not_a_number_is_rejected() -> None:
    state = spread_walkers(jax.random.key(1), CELL, (1, 8, 2), width=0.1, dtype=jnp.dtype("float64"))
    state = state._replace(log_modulus=jnp.zeros((1, 8)))
    keys = jax.random.split(jax.random.key(2), (1, 8))
    moved, info = jax.jit(lambda s: sweep(keys, s, lambda x: jnp.full(x.shape[:2], jnp.nan), PAIR, moves=3))(state)
    np.testing.assert_array_equal(moved.positions, state.positions)
    assert float(info["gaussian"].max()) == 0.0


@pytest.mark.parametrize("stuck", [jnp.nan, jnp.inf, -jnp.inf])
def test_a_walker_at_no_finite_density_takes_the_first_finite_proposal(stuck: float) -> None:
    state = spread_walkers(jax.random.key(1), CELL, (1, 8, 2), width=0.1, dtype=jnp.dtype("float64"))
    state = state._replace(log_modulus=jnp.full((1, 8), stuck))
    keys = jax.random.split(jax.random.key(2), (1, 8))
    moved, _ = jax.jit(lambda s: sweep(keys, s, log_modulus, PAIR, moves=1))(state)
    np.testing.assert_allclose(moved.log_modulus, log_modulus(moved.positions), rtol=1e-12)


def test_chains_do_not_depend_on_the_number_of_devices() -> None:
    state = spread_walkers(jax.random.key(1), CELL, (2, 8, 2), width=0.5, dtype=jnp.dtype("float64"))
    state = state._replace(log_modulus=log_modulus(state.positions))
    keys = jax.random.split(jax.random.key(2), (2, 8))

    def measure(_: Array, walkers: Walkers, points: Array, keys: Array) -> tuple[Walkers, dict[str, Array]]:
        return sweep(keys, walkers, log_modulus, PAIR, moves=5)

    assert jax.device_count() == 2
    results = [
        jax.jit(over_walkers(measure, mesh, (WALKERS, SPLIT)))(jnp.zeros(1), state, jnp.zeros((2, 1)), keys)[0]
        for mesh in (walker_mesh(8), walker_mesh(1))
    ]
    np.testing.assert_array_equal(results[0].positions, results[1].positions)


DEPTHS = jnp.asarray([0.1, 0.35])
"""Strength of the moiré envelope in each of the two groups: each group has a density of its own."""


def pair_log_modulus(positions: Array) -> Array:
    """|ψ|² = |det of two plane waves|² × moiré envelope: 4 sin²(G·(r_1 − r_2)/2) Π_i exp(2 b_g Σ_j cos g_j·r_i)."""
    node = jnp.log(jnp.abs(jnp.sin(0.5 * (positions[..., 0, :] - positions[..., 1, :]) @ WAVE)))
    envelope = jnp.cos(positions @ jnp.asarray(CELL.moire_shells(1).T)).sum((-1, -2))
    return node + DEPTHS[: len(positions), None] * envelope


def exact_draws(log_modulus: LogModulus, walkers: int, seed: int) -> np.ndarray:
    """Independent configurations ``[2, walkers, 2, 2]`` of both groups, by rejection."""
    rng = np.random.default_rng(seed)
    candidates = rng.uniform(size=(2, 60 * walkers, 2, 2)) @ CELL.vectors
    log = 2.0 * np.asarray(log_modulus(jnp.asarray(candidates)))
    top = 2.0 * np.asarray(DEPTHS)[:, None] * 6.0
    kept = np.log(rng.uniform(size=log.shape)) < log - top
    return np.stack([c[k][:walkers] for c, k in zip(candidates, kept, strict=True)])


def histogram(positions: np.ndarray) -> np.ndarray:
    """Counts over 6 phases of G·(r_1 − r_2) × 3 × 3 places of electron 1 in its moiré cell."""
    phase = (positions[:, 0] - positions[:, 1]) @ np.asarray(WAVE) / (2 * np.pi) % 1.0
    place = (positions[:, 0] @ np.linalg.inv(CELL.primitive)) % 1.0
    coordinates = np.column_stack([phase, place])
    counts, _ = np.histogramdd(coordinates, bins=(6, 3, 3), range=((0, 1),) * 3)
    return counts.ravel()


def same_density(first: np.ndarray, second: np.ndarray) -> float:
    """p-value of two sets of independent configurations coming from one density; rare bins are lumped together."""
    table = np.stack([histogram(first), histogram(second)])
    rare = table.sum(0) < 20
    table = np.column_stack([table[:, ~rare], table[:, rare].sum(1)])
    return float(stats.chi2_contingency(table[:, table.sum(0) > 0]).pvalue)


def test_exact_samples_of_a_determinant_stay_exact() -> None:
    """Walkers that start from |ψ|² follow it after every kind of move: χ² of independent chains over repetitions.

    The expected counts come from a large independent draw; its own noise enters as a second sample.
    """
    step = jax.jit(lambda keys, s: sweep(keys, s, pair_log_modulus, PAIR, moves=4))
    p_values = []
    for seed in range(4):
        start = jnp.asarray(exact_draws(pair_log_modulus, 1500, seed))
        state = Walkers(start, pair_log_modulus(start), jnp.asarray([0.3, 0.8]))
        for index in range(3):
            state, info = step(jax.random.split(jax.random.key(100 * seed + index), (2, 1500)), state)
        assert 0.05 < float(info["gaussian"].mean(1).min()) <= float(info["gaussian"].mean(1).max()) < 0.95
        reference = exact_draws(pair_log_modulus, 1500, 1000 + seed)
        for group in range(2):
            p_values.append(same_density(np.asarray(state.positions[group]), reference[group]))
    assert stats.combine_pvalues(p_values).pvalue > 1e-3
    assert stats.kstest(p_values, "uniform").pvalue > 1e-3


def test_the_check_would_notice_a_density_of_the_wrong_power() -> None:
    """|ψ| instead of |ψ|² in the same statistics."""
    start = jnp.asarray(exact_draws(pair_log_modulus, 1500, 0))
    wrong = Walkers(start, 0.5 * pair_log_modulus(start), jnp.asarray([0.3, 0.8]))
    step = jax.jit(lambda keys, s: sweep(keys, s, lambda x: 0.5 * pair_log_modulus(x), PAIR, moves=10))
    for index in range(3):
        wrong, _ = step(jax.random.split(jax.random.key(index), (2, 1500)), wrong)
    assert same_density(np.asarray(wrong.positions[1]), exact_draws(pair_log_modulus, 1500, 1)[1]) < 1e-6


@pytest.mark.parametrize("electrons", [1, 2])
def test_translations_and_hops_obey_detailed_balance(electrons: int) -> None:
    """Without Gaussian steps a walker visits the 9 (81) translated places of its electrons in proportion to |ψ|².

    The density has the period of the supercell only; χ² over independent walkers, all started in one place.
    """
    walkers = 4000
    origin = np.asarray(CELL.vectors.sum(0) * 0.11 + np.arange(electrons)[:, None] * 0.05)
    start = jnp.asarray(np.broadcast_to(origin, (1, walkers, electrons, 2)))
    state = Walkers(start, log_modulus(start), jnp.zeros(1))
    translations, hops = [], []
    for index in range(25):
        state, info = STEP(jax.random.split(jax.random.key(index), (1, walkers)), state, 1)
        translations.append(float(info["translation"].mean()))
        hops.append(float(info["hop"].mean()))
    assert 0.3 < np.mean(translations) < 0.98 and 0.3 < np.mean(hops) < 0.98
    places = origin[:, None] + CELL.translations
    weights = [np.exp(2 * np.asarray(log_modulus(jnp.asarray(row[:, None])))) for row in places]
    expected, found = np.ones(1), np.zeros(walkers, int)
    for electron, weight in enumerate(weights):
        offset = np.asarray(state.positions[0, :, electron]) - origin[electron] - CELL.translations[:, None]
        turns = offset @ np.linalg.inv(CELL.vectors)
        near = np.all(np.abs(turns - np.round(turns)) < 1e-6, axis=-1)
        assert np.all(near.sum(0) == 1)
        found = 9 * found + near.argmax(0)
        expected = np.outer(expected, weight / weight.sum()).ravel()
    counts = np.bincount(found, minlength=9**electrons)
    assert stats.chisquare(counts, walkers * expected).pvalue > 1e-3


def test_a_walker_without_a_value_accepts_the_first_finite_proposal() -> None:
    """As after `spread_walkers`, where log|ψ| is −∞; a proposal on a node, at −∞ too, is refused."""
    state = spread_walkers(jax.random.key(1), CELL, (1, 64, 2), width=0.4, dtype=jnp.dtype("float64"))
    keys = jax.random.split(jax.random.key(2), (1, 64))
    moved, info = jax.jit(lambda s: sweep(keys, s, log_modulus, (Gaussian(CELL, (2, 0)),), moves=1))(state)
    np.testing.assert_array_equal(info["gaussian"], 1.0)
    assert np.isfinite(moved.log_modulus).all()
    still, info = jax.jit(lambda s: sweep(keys, s, lambda x: jnp.full(x.shape[:2], -jnp.inf), PAIR, moves=1))(state)
    np.testing.assert_array_equal(still.positions, state.positions)
    np.testing.assert_array_equal(info["gaussian"], 0.0)


def test_every_walker_has_its_own_stream() -> None:
    """Same place and same density: different keys move apart, equal keys stay together."""
    start = jnp.ones((1, 3, 2, 2))
    state = Walkers(start, jnp.zeros((1, 3)), jnp.asarray([0.3]))
    keys = jax.random.split(jax.random.key(3), 2)[jnp.asarray([[0, 1, 0]])]
    moved, _ = jax.jit(lambda s: sweep(keys, s, lambda x: jnp.zeros(x.shape[:2]), PAIR, moves=5))(state)
    np.testing.assert_array_equal(moved.positions[0, 0], moved.positions[0, 2])
    assert float(jnp.abs(moved.positions[0, 0] - moved.positions[0, 1]).min()) > 0.0


def test_the_width_follows_the_acceptance_between_its_bounds() -> None:
    width = jnp.asarray([0.3, 0.3, 0.3, 1.5, 1e-3])
    acceptance = jnp.asarray([0.5, 0.8, 0.2, 1.0, 0.0])
    new = adapt_width(width, acceptance, target=0.5, rate=0.1, largest=1.5)
    np.testing.assert_allclose(new, [0.3, 0.3 * np.exp(0.03), 0.3 * np.exp(-0.03), 1.5, 1e-3], rtol=1e-12)
