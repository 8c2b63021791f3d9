"""Where in the family groups of walkers are: strata of λ, low discrepancy with more parameters, starts of each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import qmc

from ansatz_cases import FAMILY
from qernel.config import TrainConfig, load_config
from qernel.hamiltonian.family import Hamiltonian
from qernel.lattice import FloatArray
from qernel.sampling.starts import registry_positions
from qernel.training.checkpoint import Checkpoints
from qernel.training.filling import drift_fractions, family_points, folded
from qernel.training.run import initial_state, initial_wavefunction
from runs import TINY

PLAIN = TrainConfig()
points_of = jax.jit(family_points, static_argnums=(0, 2))
TWO = replace(FAMILY, parameters=("lam", "U"), ranges=((0.3, 1.6), (8.0, 12.0)))


def test_fractions_drift_inside_their_interval_and_leave_it_evenly_covered() -> None:
    """A reflected walk keeps the uniform distribution; the step is as wide as asked where no wall is near."""
    key = jax.random.key(4)
    fractions = jax.random.uniform(key, (20000, 1))
    moved = drift_fractions(jax.random.key(5), fractions, 0.3)
    assert float(moved.min()) >= 0.0 and float(moved.max()) <= 1.0
    histogram, _ = np.histogram(np.asarray(moved), bins=10, range=(0.0, 1.0))
    assert np.sum((histogram - 2000.0) ** 2 / 2000.0) < 27.9, "χ² with 9 degrees of freedom, p = 0.001"
    small = drift_fractions(jax.random.key(6), jnp.full((20000, 1), 0.5), 0.02)
    assert float(small.std()) == pytest.approx(0.02, rel=0.03)


def test_places_of_their_own_stay_their_own() -> None:
    """As in checkpoints from before groups had one shift: strata of λ, and each group roams over U by itself."""
    fractions = jnp.asarray(np.random.default_rng(8).uniform(size=(13, 2)))
    points = np.asarray(points_of(TWO, fractions, PLAIN))
    edges = np.linspace(0.3, 1.6, 14)
    assert np.all(points[:, 0] >= edges[:-1]) and np.all(points[:, 0] <= edges[1:])
    np.testing.assert_allclose(points[:, 1], 8.0 + 4.0 * np.asarray(fractions[:, 1]), rtol=1e-12)
    wider = np.asarray(points_of(TWO, fractions, TrainConfig(margin=0.1)))
    np.testing.assert_allclose(wider[:, 0], 0.3 - 0.13 + 1.2 * (points[:, 0] - 0.3), rtol=1e-12)
    np.testing.assert_array_equal(wider[:, 1], points[:, 1])
    key = jax.random.key(3)
    moved = fractions + 0.3 * jax.random.normal(key, (13, 2), fractions.dtype)
    np.testing.assert_allclose(drift_fractions(key, fractions, 0.3), 1 - abs(1 - abs(moved) % 2), rtol=1e-14)


def test_strata_leave_gaps_out_and_none_crosses_one() -> None:
    family = replace(FAMILY, parameters=("lam",), ranges=((0.4, 1.4),), gaps=((0.7, 0.9), (1.05, 1.3)))
    assert family.parts == [(0.4, 0.7), (0.9, 1.05), (1.3, 1.4)]
    # Eleven groups on 0.55 of λ: six, three and two strata of 0.05.
    ends = np.array([points_of(family, jnp.full((11, 1), place), PLAIN)[:, 0] for place in (0.0, 1.0)])
    expected = [0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.9, 0.95, 1.0, 1.3, 1.35]
    np.testing.assert_allclose(ends, [expected, np.add(expected, 0.05)], rtol=1e-12)
    # However few groups there are, every part has one.
    few = points_of(family, jnp.full((3, 1), 0.5), PLAIN)
    np.testing.assert_allclose(few[:, 0], [0.55, 0.975, 1.35], rtol=1e-12)
    # Where training is focused strata are four times as narrow: 0.3 + 4 · 0.1 + 0.6 of λ for thirteen groups.
    plain, focused = replace(family, gaps=()), TrainConfig(focus=(0.7, 0.8))
    ends = np.array([points_of(plain, jnp.full((13, 1), x), focused)[:, 0] for x in (0.0, 1.0)])
    np.testing.assert_allclose(ends[0], [0.4, 0.5, 0.6, *np.arange(0.7, 0.79, 0.025), *np.arange(0.8, 1.35, 0.1)][:13])
    np.testing.assert_allclose(ends[1][:-1], ends[0][1:], rtol=1e-12)
    # A margin lengthens the outer parts alone.
    wider = points_of(family, jnp.full((3, 1), 0.5), TrainConfig(margin=0.1))
    np.testing.assert_allclose(wider[:, 0], [0.5, 0.975, 1.4], rtol=1e-12)


def star_discrepancy(places: FloatArray) -> float:
    """sup |share of the set in [0, x) × [0, y) − x y| of places ``[G, 2]``, over every corner that counts."""
    corners = [np.append(np.unique(column), 1.0) for column in places.T]
    area = np.outer(*corners)
    found = []
    for inside in (np.less, np.less_equal):
        x, y = (inside(column, edge[:, None]).astype(float) for column, edge in zip(places.T, corners, strict=True))
        found.append(np.abs(x @ y.T / len(places) - area).max())
    return float(max(found))


def test_the_star_discrepancy_of_a_centred_grid_is_known() -> None:
    """2×2 cells: the closed box up to the upper places holds all four on 9/16 of the area."""
    grid = np.array([[x, y] for x in (0.25, 0.75) for y in (0.25, 0.75)])
    assert star_discrepancy(grid) == pytest.approx(1 - 9 / 16)


@pytest.mark.parametrize("groups", [8, 16, 32])
def test_groups_are_spread_over_two_parameters_whatever_the_shift(groups: int) -> None:
    """Below log(G)/G for every shift; places by chance have on average about twice that."""
    rng = np.random.default_rng(4)
    lam = (np.arange(groups) + 0.5) / groups

    def spread(others: FloatArray) -> float:
        return star_discrepancy(np.column_stack([lam, others]))

    even = [spread(np.asarray(folded(jnp.asarray([shift]), groups))) for shift in rng.uniform(size=40)]
    chance = [spread(rng.uniform(size=groups)) for _ in range(40)]
    assert max(even) < np.log(groups) / groups
    assert max(even) < 0.8 * np.mean(chance)


@pytest.mark.parametrize("others", [2, 3])
def test_groups_are_spread_over_more_parameters(others: int) -> None:
    """The L2 discrepancy of SciPy: on average lower than that of independent places by a quarter."""
    rng = np.random.default_rng(4)
    lam = (np.arange(32) + 0.5) / 32

    def spread(places: FloatArray) -> float:
        return float(qmc.discrepancy(np.column_stack([lam, places]), method="L2-star"))

    even = [spread(np.asarray(folded(jnp.asarray(shift), 32))) for shift in rng.uniform(size=(20, others))]
    chance = [spread(rng.uniform(size=(32, others))) for _ in range(20)]
    assert np.mean(even) < 0.78 * np.mean(chance)


def test_the_middle_comes_first_and_a_single_group_roams() -> None:
    three = replace(TWO, parameters=("lam", "U", "phase_deg"), ranges=((0.3, 1.6), (8.0, 12.0), (0.0, 60.0)))
    begin = points_of(three, jnp.full((6, 3), 0.5), PLAIN)
    np.testing.assert_allclose(begin[0, 1:], [10.0, 30.0], rtol=1e-12)
    # One further parameter: the golden mean; two: the plastic number ρ, ρ³ = ρ + 1.
    golden, plastic = 0.5 * (1 + 5**0.5), np.roots([1, 0, -1, -1]).real.max()
    np.testing.assert_allclose(folded(jnp.asarray([0.5]), 4)[:, 0], fold(np.arange(4) / golden), rtol=1e-12)
    expected = fold(np.arange(6)[:, None] / plastic ** np.array([1.0, 2.0]))
    np.testing.assert_allclose(begin[:, 1:], [8.0, 0.0] + np.array([4.0, 60.0]) * expected, rtol=1e-12)
    alone = points_of(TWO, jnp.asarray([[0.5, 0.2]]), PLAIN)
    np.testing.assert_allclose(alone[0], [0.95, 8.8], rtol=1e-12)


def fold(turns: FloatArray) -> FloatArray:
    """Places at the start of a run from g α, by reflections alone."""
    around = (np.asarray(turns) + 0.75) % 1.0
    return np.where(around < 0.5, 1 - 2 * around, 2 * around - 1)


def test_groups_drift_together_and_each_comes_everywhere() -> None:
    """4000 iterations in single precision: λ stays in its stratum, U covers its interval, evenly at every instant."""

    @jax.jit
    def walk(fractions: jax.Array) -> tuple[jax.Array, jax.Array]:
        def advance(fractions: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
            fractions = drift_fractions(key, fractions, 0.1)
            return fractions, points_of(TWO, fractions, TrainConfig(margin=0.1, focus=(0.8, 1.0)))

        return jax.lax.scan(advance, fractions, jax.random.split(jax.random.key(0), 4000))

    start = jnp.full((12, 2), 0.5, jnp.float32)
    end, points = (np.asarray(array) for array in walk(start))
    assert end.dtype == np.float32 and np.ptp(end[:, 1]) == 0.0 and np.ptp(end[:, 0]) > 0.1
    low, high = points.min(0), points.max(0)
    assert low[0, 0] == pytest.approx(0.3 - 0.13, abs=0.02) and high[-1, 0] == pytest.approx(1.6 + 0.13, abs=0.02)
    assert np.all(high[:-1, 0] <= low[1:, 0] + 1e-6), "no group leaves its stratum of λ"
    assert low[:, 1].min() >= 8.0 and high[:, 1].max() <= 12.0
    assert low[:, 1].max() < 8.1 and high[:, 1].min() > 11.9, "every group comes everywhere"
    assert points[..., 1].mean() == pytest.approx(10.0, abs=0.05)
    # As long as the drift says, where no end is near: the fold doubles the step of the shift.
    many = jax.random.split(jax.random.key(1), 4000)
    steps = jax.jit(jax.vmap(lambda key: drift_fractions(key, start, 0.02)[0, 1] - 0.5))(many)
    assert float(steps.std()) == pytest.approx(0.01, rel=0.05)
    slopes = np.asarray(folded(jnp.asarray([0.51]), 4) - folded(jnp.asarray([0.5]), 4)) / 0.01
    np.testing.assert_allclose(np.abs(slopes), 2.0, rtol=1e-9)
    lam = (np.arange(12) + 0.5) / 12
    spread = [star_discrepancy(np.column_stack([lam, (U - 8.0) / 4.0])) for U in points[::100, :, 1]]
    assert max(spread) < np.log(12) / 12


def test_a_checkpoint_of_groups_that_roam_is_read_and_goes_on_so(tmp_path: Path) -> None:
    """Two parameters: groups of a run that begins share one shift; other fractions are kept as they are."""
    table = {**TINY, "model": {"ansatz": "slater"}, "family": {"lam": [0.5, 1.0], "U": [8.0, 12.0]}}
    config = load_config(table)
    state = initial_state(config, initial_wavefunction(config))
    assert state.fractions.shape == (2, 2) and np.ptp(np.asarray(state.fractions)) == 0.0
    older = state._replace(fractions=jnp.asarray([[0.5, 0.2], [0.5, 0.7]], state.fractions.dtype))
    checkpoints = Checkpoints(tmp_path, config.fingerprint(), 2)
    checkpoints.save(older, finished=False)
    read = checkpoints.load(state).state.fractions
    moved = drift_fractions(jax.random.key(1), jnp.asarray(read), 0.0)
    points = points_of(config.hamiltonian(), moved, config.train)
    np.testing.assert_allclose(points[:, 1], [8.8, 10.8], rtol=1e-6)


# Starts


def phased(low: float, high: float) -> Hamiltonian:
    return replace(FAMILY, parameters=("lam", "phase_deg"), ranges=((0.3, 1.6), (low, high)))


def well(family: Hamiltonian, point: FloatArray) -> FloatArray:
    """The well that crystals start in at a point: their shift from φ = 0, where it is at the origin."""
    here, other = registry_positions(family, np.array([point, [1.0, 0.0]]), 1, seed=3)
    return np.asarray((here - other)[0, 0])


@pytest.mark.parametrize("phase", [0.0, 50.0, 70.0, 130.0, 170.0, 200.0])
def test_crystals_sit_in_the_wells_of_their_own_point(phase: float) -> None:
    """Against the minimum of w on a grid of 120 × 120 places in the moiré cell."""
    family = phased(0.0, 240.0)
    point = np.array([1.0, phase])
    steps = np.arange(120) / 120
    grid = np.stack(np.meshgrid(steps, steps, indexing="ij"), -1).reshape(-1, 2) @ family.supercell.primitive
    angles = np.deg2rad([90, 210, 330])
    waves = 4 * np.pi / np.sqrt(3) * np.stack([np.cos(angles), np.sin(angles)], -1)
    depth = -2 * np.cos(grid @ waves.T + np.deg2rad(phase)).sum(-1)
    cells = (well(family, point) - grid[depth.argmin()]) @ np.linalg.inv(family.supercell.primitive)
    np.testing.assert_allclose(cells, np.rint(cells), atol=1e-9)


def test_every_group_starts_as_a_crystal_of_its_point() -> None:
    """φ = 30° and 90°: other wells. The registries, the order of electrons and their displacements are the same."""
    family = phased(0.0, 120.0)
    points = np.array([[1.0, 30.0], [1.2, 90.0], [1.4, 31.0]])
    positions = registry_positions(family, points, 6, seed=3)
    assert positions.shape == (3, 6, 3, 2)
    np.testing.assert_array_equal(positions[0], positions[2])
    shift = well(family, points[1]) - well(family, points[0])
    assert np.linalg.norm(shift) > 0.5
    np.testing.assert_allclose(positions[1] - positions[0], np.broadcast_to(shift, positions[0].shape), atol=1e-12)
