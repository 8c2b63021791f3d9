"""The training step: centring per group, the energy gradient by quadrature, devices, compilation, λ strata."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array
from jax.sharding import Mesh

from ansatz_cases import FAMILY, SMALL, SQRT3, Case, energies, evaluate, perturbed, random_points, wavefunction
from families import changed
from qernel.config import TrainConfig, load_config
from qernel.estimators.batched import walker_functions
from qernel.estimators.local_energy import local_energy
from qernel.hamiltonian.family import Hamiltonian
from qernel.laplacian.jet import Jet, linear, pointwise
from qernel.lattice import FloatArray
from qernel.optimise import build_optimiser
from qernel.sampling.devices import walker_mesh
from qernel.sampling.spread import spread_walkers
from qernel.training.run import initial_state, initial_wavefunction
from qernel.training.state import TrainState, as_configured, layout
from qernel.training.step import StepInfo, make_step
from qernel.training.system import centred_system
from qernel.wavefunction import Wavefunction, build, log_psi, parameter_layout

RNG = np.random.default_rng(11)
ENERGIES = jnp.asarray(RNG.normal(size=(3, 16)) * np.array([[1.0], [2.0], [5.0]]) - np.array([[1.0], [20.0], [300.0]]))
SCORES = jnp.asarray(RNG.normal(size=(3, 16, 1, 5)) + 3.0)
NO_CLIP = 1e9


def test_energies_and_scores_are_centred_in_every_group() -> None:
    """Shifting the energies, or the scores, of one group by a constant changes nothing."""
    rows, residuals, deviation, bad = centred_system(ENERGIES, SCORES, clip=NO_CLIP, balance=0.5)
    np.testing.assert_allclose(rows.reshape(3, 16, 5).mean(1), 0.0, atol=1e-14)
    np.testing.assert_allclose(residuals.reshape(3, 16).mean(1), 0.0, atol=1e-13)
    np.testing.assert_array_equal(bad, 0)
    np.testing.assert_allclose(deviation, np.asarray(ENERGIES).std(1), rtol=1e-12)
    shifted = centred_system(ENERGIES.at[1].add(700.0), SCORES.at[2].add(-4.0), clip=NO_CLIP, balance=0.5)
    for got, expected in zip(shifted, (rows, residuals, deviation, bad), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


def test_rows_and_residuals_make_the_gradient_and_the_metric_averaged_over_groups() -> None:
    rows, residuals, _, _ = (np.asarray(a) for a in centred_system(ENERGIES, SCORES, clip=NO_CLIP, balance=0.0))
    rows, residuals = rows.reshape(-1, 5), residuals.reshape(-1)
    energies, scores = np.asarray(ENERGIES), np.asarray(SCORES)[:, :, 0]
    centred = scores - scores.mean(1, keepdims=True)
    gradient = (2.0 * centred * (energies - energies.mean(1, keepdims=True))[..., None]).mean((0, 1))
    metric = np.einsum("gwp,gwq->pq", centred, centred) / 48
    np.testing.assert_allclose(2.0 * residuals @ rows, gradient, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(rows.T @ rows, metric, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_balance_weighs_a_group_with_its_spread_to_the_power_of_minus_two_b(balance: float) -> None:
    rows, _, deviation, _ = centred_system(ENERGIES, SCORES, clip=NO_CLIP, balance=balance)
    plain, *_ = centred_system(ENERGIES, SCORES, clip=NO_CLIP, balance=0.0)
    weight = (np.asarray(rows).reshape(3, -1)[:, 0] / np.asarray(plain).reshape(3, -1)[:, 0]) ** 2
    np.testing.assert_allclose(weight / weight[0], (deviation / deviation[0]) ** (-2.0 * balance), rtol=1e-10)
    assert weight.mean() == pytest.approx(1.0)


def test_outliers_are_pulled_to_the_clipping_distance() -> None:
    """Only the outlier moves, to 5 mean absolute deviations from the median of its own group."""
    wild = ENERGIES.at[1, 3].set(1e6)
    _, residuals, _, bad = centred_system(wild, SCORES, clip=5.0, balance=0.0)
    median = np.median(np.asarray(wild[1]))
    spread = np.abs(np.asarray(wild[1]) - median).mean()
    expected = np.asarray(wild[1]).copy()
    expected[3] = median + 5.0 * spread
    expected = (expected - expected.mean()) / 48**0.5
    np.testing.assert_allclose(np.asarray(residuals).reshape(3, 16)[1], expected, rtol=1e-10)
    np.testing.assert_array_equal(bad, 0)


@pytest.mark.parametrize("where", ["energy", "score"])
def test_a_walker_that_is_not_finite_is_dropped_and_counted(where: str) -> None:
    """The others of its group are centred among themselves; other groups do not notice."""
    energies, scores = ENERGIES, SCORES
    if where == "energy":
        energies = energies.at[1, 3].set(jnp.nan)
    else:
        scores = scores.at[1, 3, 0, 2].set(jnp.inf)
    rows, residuals, deviation, bad = centred_system(energies, scores, clip=NO_CLIP, balance=0.0)
    np.testing.assert_array_equal(bad, [0, 1, 0])
    rows, residuals = np.asarray(rows).reshape(3, 16, 5), np.asarray(residuals).reshape(3, 16)
    np.testing.assert_array_equal(rows[1, 3], 0.0)
    assert residuals[1, 3] == 0.0
    rest = np.delete(np.asarray(ENERGIES[1]), 3)
    np.testing.assert_allclose(np.delete(residuals[1], 3), (rest - rest.mean()) / 48**0.5, rtol=1e-10)
    assert float(deviation[1]) == pytest.approx(rest.std())
    clean = centred_system(ENERGIES, SCORES, clip=NO_CLIP, balance=0.0)
    np.testing.assert_allclose(rows[[0, 2]], np.asarray(clean[0]).reshape(3, 16, 5)[[0, 2]], rtol=1e-12)


@pytest.mark.parametrize("balance", [0.0, 0.5])
def test_a_group_without_one_finite_walker_leaves_the_others_alone(balance: float) -> None:
    """The others get what they would get alone, up to the fixed share 1/(G W) of each walker."""
    energies = ENERGIES.at[1].set(jnp.nan)
    rows, residuals, deviation, bad = centred_system(energies, SCORES, clip=NO_CLIP, balance=balance)
    np.testing.assert_array_equal(bad, [0, 16, 0])
    rows, residuals = np.asarray(rows).reshape(3, -1), np.asarray(residuals).reshape(3, -1)
    assert not rows[1].any() and not residuals[1].any() and float(deviation[1]) == 0.0
    keep = jnp.asarray([0, 2])
    alone = centred_system(ENERGIES[keep], SCORES[keep], clip=NO_CLIP, balance=balance)
    np.testing.assert_allclose(rows[[0, 2]], np.asarray(alone[0]).reshape(2, -1) * (2 / 3) ** 0.5, rtol=1e-12)
    np.testing.assert_allclose(residuals[[0, 2]], np.asarray(alone[1]).reshape(2, -1) * (2 / 3) ** 0.5, rtol=1e-12)


def test_complex_energies_are_stacked_with_the_real_and_imaginary_scores() -> None:
    """2Ōᵀε = 2 Re⟨(O − ⟨O⟩)* (E − ⟨E⟩)⟩ and ŌᵀŌ = Re⟨(O − ⟨O⟩)* (O − ⟨O⟩)⟩ for O = ∂ log ψ."""
    energies = ENERGIES + 1j * jnp.asarray(RNG.normal(size=(3, 16)))
    scores = jnp.asarray(RNG.normal(size=(3, 16, 2, 5)))
    rows, residuals, _, _ = centred_system(energies, scores, clip=NO_CLIP, balance=0.0)
    rows, residuals = np.asarray(rows).reshape(-1, 5), np.asarray(residuals).reshape(-1)
    log = np.asarray(scores[:, :, 0] + 1j * scores[:, :, 1])
    centred, local = log - log.mean(1, keepdims=True), np.asarray(energies)
    local = local - local.mean(1, keepdims=True)
    gradient = 2.0 * (centred.conj() * local[..., None]).real.mean((0, 1))
    np.testing.assert_allclose(2.0 * residuals @ rows, gradient, rtol=1e-9, atol=1e-12)
    metric = np.einsum("gwp,gwq->pq", centred.conj(), centred).real / 48
    np.testing.assert_allclose(rows.T @ rows, metric, rtol=1e-9, atol=1e-12)


class Phase(Wavefunction):
    """ψ = exp(i a sin(G·r)): |ψ| = 1, so ⟨T⟩ = a²G²/4 and all of its gradient a G²/2 is in Im E_loc."""

    strength: Array
    hamiltonian: Hamiltonian = eqx.field(static=True)

    def amplitude(self, positions: Array | Jet, point: Array) -> tuple[Array, Any]:
        wave = jnp.asarray(self.hamiltonian.supercell.reciprocal[0])
        angle = linear(lambda x: (x @ wave).sum(-1), positions)
        return jnp.ones(()), pointwise(jnp.sin, angle) * (1j * self.strength)


def test_the_gradient_of_a_pure_phase_lives_in_the_imaginary_part() -> None:
    family = changed(FAMILY, supercell=SQRT3, electrons=(1, 0), V0=0.0, U=0.0)
    square = float(np.sum(SQRT3.reciprocal[0] ** 2))
    psi = Phase(strength=jnp.asarray(0.7), hamiltonian=family)
    parameters = parameter_layout(psi).parameters
    grid = cell_grid(family, 24).reshape(1, -1, 1, 2)
    functions = walker_functions(psi, laplacian="forward")
    local = functions.local_energy(parameters, grid, jnp.ones((1, 1)))
    scores = functions.scores(parameters, grid, jnp.ones((1, 1)))
    assert float(local.kinetic.real.mean()) == pytest.approx(0.7**2 * square / 4, rel=1e-10)
    assert float(local.gradient_kinetic.mean()) == pytest.approx(0.7**2 * square / 4, rel=1e-10)
    rows, residuals, _, _ = centred_system(local.total, scores, clip=NO_CLIP, balance=0.0)
    rows, residuals = rows.reshape(-1, 2, parameters.size), residuals.reshape(-1, 2)
    real, imaginary = (2.0 * residuals[:, part] @ rows[:, part, 0] for part in (0, 1))
    assert float(imaginary) == pytest.approx(0.7 * square / 2, rel=1e-10)
    assert float(real) == pytest.approx(0.0, abs=1e-10), "dropping Im E_loc would lose the whole gradient"


def cell_grid(family: Hamiltonian, points: int) -> Array:
    """A uniform grid over the supercell, ``[points², 2]``."""
    index = (np.arange(points) + 0.5) / points
    return jnp.asarray(np.stack(np.meshgrid(index, index, indexing="ij"), -1).reshape(-1, 2) @ family.supercell.vectors)


def equal_weight_points(density: Callable[[FloatArray], FloatArray], points: int) -> FloatArray:
    """Fractional coordinates ``[points², 2]`` that represent a smooth periodic density with equal weights.

    The Knothe–Rosenblatt map sends the uniform grid to quantiles of the first coordinate and then of the second
    given the first. It is smooth and periodic, so that the plain mean over these points is the integral over the
    density with spectral accuracy: walkers without statistical noise.
    """
    fine = 64
    grid = np.arange(fine) / fine
    uniform = (np.arange(points) + 0.5) / points

    def quantiles(values: FloatArray) -> FloatArray:
        harmonics = np.fft.rfft(values) / fine
        orders = np.arange(1, len(harmonics) - 1)
        coefficients = harmonics[1:-1] / harmonics[0].real

        def cumulative(s: FloatArray) -> FloatArray:
            waves = (np.exp(2j * np.pi * np.outer(s, orders)) - 1.0) / (2j * np.pi * orders)
            return np.asarray(s + 2.0 * (waves @ coefficients).real)

        low, high = np.full(points, -0.5), np.full(points, 1.5)
        for _ in range(60):
            middle = 0.5 * (low + high)
            below = cumulative(middle) < uniform
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.asarray(0.5 * (low + high))

    mesh = np.stack(np.meshgrid(grid, grid, indexing="ij"), -1)
    first = quantiles(density(mesh).mean(1))
    columns = np.stack(np.broadcast_arrays(first[:, None], grid[None, :]), -1)
    second = np.stack([quantiles(column) for column in density(columns)])
    return np.stack([np.repeat(first, points), second.reshape(-1)], -1)


GRADIENTS: dict[str, tuple[tuple[float, float], bool | str]] = {
    "real": ((0.0, 0.0), "auto"),
    "complex": ((0.0, 0.0), True),
    "twisted": ((0.2, -0.35), "auto"),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_the_gradient_is_that_of_the_integrated_energy(name: str) -> None:
    """One electron, |ψ|² integrated by quadrature: 2Ōᵀε against finite differences of E(θ) along random directions.

    PsiFormer, because it is analytic: across a gate of QERNEL the second derivative jumps and quadrature is poor.
    """
    twist, is_complex = GRADIENTS[name]
    family = replace(FAMILY, supercell=SQRT3, electrons=(1, 0), twist=twist)
    changes = {"ansatz": "psiformer", "complex": is_complex, "determinants": 1, "width": 4, "heads": 2}
    psi = build(SMALL.model_copy(update=changes), family, key=jax.random.key(3), dtype=jnp.float64)
    psi = perturbed(psi, 4)
    # Gentle variations round a constant: without nodes and steep slopes the quadrature converges.
    head, envelope = psi.head.network, psi.correlation.envelope.coefficients
    psi = eqx.tree_at(lambda m: m.head.network.bias, psi, [2.0 + b for b in head.bias])
    psi = eqx.tree_at(lambda m: m.head.network.weights, psi, [0.15 * w for w in head.weights])
    psi = eqx.tree_at(lambda m: m.correlation.envelope.coefficients.base, psi, 0.2 * envelope.base)
    psi = eqx.tree_at(lambda m: m.correlation.envelope.coefficients.slope, psi, 0.2 * envelope.slope)
    point = random_points(family, 1, 5)[0]
    parameters, rebuild, _ = parameter_layout(psi)
    vectors = jnp.asarray(family.supercell.vectors)
    fine = cell_grid(family, 64)[:, None, :]

    @jax.jit
    def density(s: Array) -> Array:
        return jnp.exp(2.0 * jax.vmap(lambda x: jnp.real(log_psi(psi, x[None] @ vectors, point)[1]))(s))

    @jax.jit
    def energy(theta: Array) -> Array:
        """⟨E_L⟩ by the uniform grid, weighted with |ψ|²."""
        module = rebuild(theta)
        local = jax.vmap(lambda x: local_energy(module, x, point).total)(fine)
        weights = jnp.exp(2.0 * jax.vmap(lambda x: jnp.real(log_psi(module, x, point)[1]))(fine))
        return (weights * local.real).sum() / weights.sum()

    def plain_density(s: FloatArray) -> FloatArray:
        return np.asarray(density(jnp.asarray(s.reshape(-1, 2)))).reshape(s.shape[:-1])

    walkers = jnp.asarray(equal_weight_points(plain_density, 48)) @ vectors
    functions = walker_functions(psi, laplacian="forward")
    batch = walkers.reshape(1, -1, 1, 2)
    local = jax.jit(functions.local_energy)(parameters, batch, point[None])
    scores = jax.jit(functions.scores)(parameters, batch, point[None])
    assert scores.shape[2] == (1 if name == "real" else 2)
    value = float(energy(parameters))
    assert float(local.total.real.mean()) == pytest.approx(value, rel=1e-7)
    rows, residuals, _, _ = centred_system(local.total, scores, clip=NO_CLIP, balance=0.0)
    gradient = 2.0 * residuals.reshape(-1) @ rows.reshape(-1, parameters.size)
    step = 1e-3
    for seed in range(3):
        direction = np.random.default_rng(seed).normal(size=parameters.size)
        direction /= np.linalg.norm(direction)
        values = [float(energy(parameters + n * step * direction)) for n in (-2, -1, 1, 2)]
        slope = (8.0 * (values[2] - values[1]) - (values[3] - values[0])) / (12.0 * step)
        scale = float(jnp.linalg.norm(gradient)) / parameters.size**0.5
        assert float(gradient @ direction) == pytest.approx(slope, rel=1e-5, abs=1e-5 * scale)


CASE = Case("psiformer", "twisted")
TRAIN = TrainConfig(learning_rate=0.05, norm_constraint=1e-2, moves=3, drift=0.3, average=10.0, exchange=3, burn_in=1)


def start(mesh: Mesh, groups: int = 2, walkers: int = 8) -> tuple[Wavefunction, TrainState]:
    """An ansatz and a state with walkers spread over the cell, placed as the training loop places it."""
    psi = wavefunction(CASE)
    parameters = parameter_layout(psi).parameters
    positions = spread_walkers(
        jax.random.key(1), psi.hamiltonian.supercell, (groups, walkers, 3), width=0.2, dtype=jnp.float64
    )
    state = TrainState(
        parameters=parameters,
        average=parameters,
        optimiser=build_optimiser(TRAIN).init(parameters),
        walkers=positions,
        fractions=jnp.full((groups, 1), 0.5, jnp.float64),
        key=jax.random.key_data(jax.random.key(2)),
        iteration=jnp.zeros((), jnp.int32),
        tuning=as_configured(),
    )
    return psi, jax.device_put(state, layout(state, mesh))


@pytest.fixture(scope="module")
def run() -> list[tuple[TrainState, StepInfo]]:
    """Four iterations on two devices, the first of which only samples."""
    psi, state = start(walker_mesh(8))
    step = make_step(psi, TRAIN)
    results = [(state, None)]
    for _ in range(4):
        results.append(step(results[-1][0]))
    assert step._cache_size() == 1, "every iteration uses the same compiled step"
    assert len(results[-1][0].walkers.positions.sharding.device_set) == 2
    return results


@pytest.mark.parametrize("ansatz", ["qernel", "psiformer", "slater"])
def test_single_precision_stays_single(ansatz: str) -> None:
    """One NumPy double among the constants would turn the whole wavefunction into doubles, at half the speed."""
    table = {"model": {"ansatz": ansatz, "orbitals": "bloch", "bloch_cutoff": 30.0}, "train": {"groups": 2}}
    config = load_config({"preset": "n3", **table})
    template = initial_wavefunction(config)
    state = initial_state(config, template)
    step = make_step(template, config.train)
    after, info = jax.eval_shape(step, state)
    assert jax.tree.map(lambda x: x.dtype, after) == jax.tree.map(lambda x: x.dtype, state)
    assert info.kinetic.dtype == info.interaction.dtype == info.moire.dtype == jnp.float32


def test_one_device_equals_two(run: Any) -> None:
    psi, state = start(walker_mesh(1))
    step = make_step(psi, TRAIN, devices=1)
    for iteration in range(1, 5):
        state, info = step(state)
        assert len(state.walkers.positions.sharding.device_set) == 1
        for got, expected in zip(jax.tree.leaves((state, info)), jax.tree.leaves(run[iteration]), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-9)


def test_burn_in_samples_without_learning(run: Any) -> None:
    (before, _), (burnt, _), (learnt, _) = run[:3]
    np.testing.assert_array_equal(burnt.parameters, before.parameters)
    moved = np.asarray(burnt.walkers.positions != before.walkers.positions)
    assert moved.any((-1, -2)).all(), "walkers start at log|ψ| = −∞, so all of them move"
    assert float(jnp.abs(learnt.parameters - burnt.parameters).max()) > 1e-5
    assert float(jnp.linalg.norm(learnt.parameters - burnt.parameters)) <= 0.1 * (1 + 1e-9)


def test_groups_swap_walkers_in_every_third_iteration(run: Any) -> None:
    acceptance = np.array([info.exchange_acceptance for _, info in run[1:]])
    assert np.isnan(acceptance[:, 1]).all(), "the last group has no neighbour above"
    assert np.isnan(acceptance[[0, 1, 3], 0]).all() and 0.0 < acceptance[2, 0] <= 1.0


def test_the_family_point_drifts_inside_its_stratum(run: Any) -> None:
    points = np.array([np.asarray(info.point)[:, 0] for _, info in run[1:]])
    assert len(np.unique(points[:, 0])) == 4
    assert points[:, 0].min() >= 0.3 and points[:, 0].max() <= 0.95 <= points[:, 1].min() and points[:, 1].max() <= 1.6


def test_what_is_reported_belongs_to_the_walkers(run: Any) -> None:
    (before, _), (after, info) = run[2], run[3]
    psi = parameter_layout(wavefunction(CASE)).rebuild(before.parameters)
    positions, points = jnp.asarray(np.asarray(after.walkers.positions[1])), jnp.tile(info.point[1], (8, 1))
    total = np.asarray(energies(psi, positions, points).total)
    np.testing.assert_allclose(info.energy[1], total.real.mean() / 3, rtol=1e-9)
    np.testing.assert_allclose(info.error[1], np.std(total.real, ddof=1) / 8**0.5 / 3, rtol=1e-9)
    np.testing.assert_allclose(info.kinetic[1] + info.moire[1] + info.interaction[1], info.energy[1], rtol=1e-9)
    log = evaluate(psi, positions, points)[1].real
    np.testing.assert_allclose(after.walkers.log_modulus[1], log, rtol=1e-9)
