"""Replica exchange: the probability of a swap, distributions that stay, wells that mix, devices."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array
from scipy import stats

from qernel.config import load_config
from qernel.errors import ConfigError
from qernel.lattice import Supercell
from qernel.sampling.devices import SPLIT, WALKERS, over_walkers, walker_mesh
from qernel.sampling.exchange import exchange
from qernel.sampling.metropolis import LogModulus, Walkers, sweep
from qernel.sampling.moves import Gaussian

CELL = Supercell(((3, 0), (0, 3)))
WAVE = jnp.asarray(CELL.reciprocal[0])
STRENGTHS = jnp.asarray([0.2, 0.5, 0.9, 1.6, 2.5])


def angle(positions: Array) -> Array:
    return positions @ WAVE


def log_modulus(positions: Array) -> Array:
    """|ψ_g|² ∝ Π_i exp(2 b_g cos B_1·r_i): the angles B_1·r_i are von Mises distributed with κ = 2 b_g."""
    return STRENGTHS[: len(positions), None] * jnp.cos(angle(positions)).sum(-1)


def exact_walkers(seed: int, groups: int, count: int, electrons: int = 2) -> Walkers:
    """Independent draws from every |ψ_g|²."""
    rng = np.random.default_rng(seed)
    angles = np.stack([rng.vonmises(0.0, 2 * float(b), (count, electrons)) for b in STRENGTHS[:groups]])
    fractions = np.stack([angles / (2 * np.pi), rng.uniform(size=angles.shape)], axis=-1)
    positions = jnp.asarray(fractions @ CELL.vectors)
    return Walkers(positions, log_modulus(positions), jnp.full(groups, 0.7))


def swapped(seed: int, walkers: Walkers, log_modulus: LogModulus = log_modulus) -> tuple[Walkers, Array]:
    keys = jax.random.split(jax.random.key(seed), walkers.log_modulus.shape)
    return jax.jit(lambda w: exchange(keys, w, log_modulus))(walkers)


def test_a_swap_is_accepted_with_the_metropolis_probability_and_moves_whole_configurations() -> None:
    start = exact_walkers(1, 2, 6)
    repeated = jax.tree.map(lambda x: jnp.repeat(x, 5000, axis=1) if x.ndim > 1 else x, start)
    after, accepted = swapped(2, repeated)
    cosines = np.cos(angle(start.positions)).sum(-1)
    b = np.asarray(STRENGTHS[:2])
    expected = np.minimum(1.0, np.exp(2 * (b[1] - b[0]) * (cosines[0] - cosines[1])))
    assert expected.min() < 0.6, "a case in which everything is accepted would show nothing"
    found = np.asarray(accepted[0]).reshape(6, 5000).mean(1)
    assert np.all(np.abs(found - expected) <= 4 * np.sqrt(expected * (1 - expected) / 5000))
    moved = np.asarray(accepted[0] == 1)[:, None, None]
    for group in (0, 1):
        there = np.where(moved, repeated.positions[1 - group], repeated.positions[group])
        np.testing.assert_array_equal(after.positions[group], there)
    np.testing.assert_allclose(after.log_modulus, log_modulus(after.positions), rtol=1e-12)
    assert np.isnan(accepted[1]).all()


def test_swaps_leave_every_marginal_and_the_independence_of_groups_as_they_are() -> None:
    """Exact draws, five groups, exchange alone; p-values of all groups, and of neighbours' correlation, combined."""
    walkers = exact_walkers(3, 5, 4000)
    before = np.asarray(walkers.positions)
    for attempt in range(4):
        walkers, accepted = swapped(10 + attempt, walkers)
        assert np.all((np.asarray(accepted[:4]).mean(1) > 0.2) & (np.asarray(accepted[:4]).mean(1) < 0.95))
    assert np.all((np.asarray(walkers.positions) != before).any((-1, -2)).mean(1) > 0.5)
    angles = (np.asarray(angle(walkers.positions)) + np.pi) % (2 * np.pi) - np.pi
    laws = [stats.vonmises(2 * float(b)) for b in STRENGTHS]
    fits = [stats.kstest(sample[:, 0], law.cdf).pvalue for sample, law in zip(angles, laws, strict=True)]
    energy = np.cos(angles).sum(-1)
    fits += [stats.pearsonr(energy[g], energy[g + 1]).pvalue for g in range(4)]
    assert min(fits) > 1e-3 / len(fits) and stats.combine_pvalues(fits).pvalue > 1e-3


BARRIERS = jnp.asarray([0.2, 0.7, 1.5, 2.8, 4.5])
WIDTHS = jnp.asarray([0.6, 0.5, 0.3, 0.15, 0.1])


def two_wells(positions: Array) -> Array:
    """Wells at B_1·r = 0 and π, the first one a little deeper, with barriers of |ψ|² up to e^{-18}."""
    theta = angle(positions)[..., 0]
    return BARRIERS[: len(positions), None] * jnp.cos(2 * theta) + 0.1 * jnp.cos(theta)


def occupation(steps: int, *, exchanging: bool) -> np.ndarray:
    """Walkers of every group that are in the second well at the end; all start in the first one."""
    keys = jax.random.split(jax.random.key(5), (5, 500))
    positions = jnp.zeros((5, 500, 1, 2))
    start = Walkers(positions, two_wells(positions), WIDTHS)

    def advance(walkers: Walkers, index: Array) -> tuple[Walkers, None]:
        now = jax.vmap(jax.vmap(lambda key: jax.random.fold_in(key, index)))(keys)
        walkers, _ = sweep(now, walkers, two_wells, (Gaussian(CELL, (1, 0)),), moves=4)
        return exchange(now, walkers, two_wells)[0] if exchanging else walkers, None

    end = jax.jit(lambda w: jax.lax.scan(advance, w, jnp.arange(steps))[0])(start)
    return np.asarray(jnp.cos(angle(end.positions))[..., 0] < 0)


def test_wells_that_do_not_mix_alone_are_both_visited_with_exchange() -> None:
    assert occupation(600, exchanging=False)[4].mean() == 0.0
    grid = jnp.linspace(0, 2 * jnp.pi, 4001)[:-1]
    density = np.exp(2 * np.asarray(BARRIERS[:, None] * jnp.cos(2 * grid) + 0.1 * jnp.cos(grid)))
    exact = density[:, np.cos(grid) < 0].sum(1) / density.sum(1)
    found = occupation(600, exchanging=True).mean(1)
    error = np.sqrt(exact * (1 - exact) / 500)
    assert np.all(np.abs(found - exact) < 3.5 * error), (found, exact)


def test_swaps_do_not_depend_on_the_number_of_devices() -> None:
    assert jax.device_count() == 2
    start = exact_walkers(7, 3, 8)
    keys = jax.random.split(jax.random.key(2), (3, 8))

    def measure(_: Array, walkers: Walkers, points: Array, keys: Array) -> tuple[Walkers, Array]:
        return exchange(keys, walkers, log_modulus)

    results = [
        jax.jit(over_walkers(measure, mesh, (WALKERS, SPLIT)))(jnp.zeros(1), start, jnp.zeros((3, 1)), keys)
        for mesh in (walker_mesh(8), walker_mesh(1))
    ]
    assert len(results[0][0].positions.sharding.device_set) == 2
    for two, one in zip(jax.tree.leaves(results[0]), jax.tree.leaves(results[1]), strict=True):
        np.testing.assert_array_equal(two, one)


@pytest.mark.parametrize("value", [jnp.nan, jnp.inf])
def test_a_configuration_without_finite_density_is_not_swapped(value: float) -> None:
    start = exact_walkers(8, 2, 8)

    def broken(positions: Array) -> Array:
        return log_modulus(positions).at[1].set(value)

    after, accepted = swapped(3, start, broken)
    np.testing.assert_array_equal(after.positions, start.positions)
    assert float(accepted[0].max()) == 0.0


def test_one_group_has_nobody_to_swap_with() -> None:
    with pytest.raises(ConfigError, match=r"train\.exchange = 2 .* train\.groups = 1"):
        load_config("n3", ["train.exchange=2", "train.groups=1"])


def test_the_fingerprint_of_older_runs_stays() -> None:
    assert load_config("n3", ["train.exchange=0"]).fingerprint() == load_config("n3").fingerprint()
    assert load_config("n3", ["train.exchange=1"]).fingerprint() != load_config("n3").fingerprint()
