"""Projection against exactly solvable cases: the engine alone, guides written here."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array
from numpy.polynomial import HermiteE
from numpy.polynomial.legendre import leggauss

from ansatz_cases import FAMILY, MATERIAL, Case, quick_jit, random_positions, wavefunction
from families import changed, family, moire_bands
from qernel.config import ModelConfig
from qernel.estimators.statistics import summarise
from qernel.hamiltonian.terms.moire import moire_potential
from qernel.lattice import Supercell, displacement, lattice_points, wrap
from qernel.projection import engine
from qernel.projection.diffusion import step
from qernel.projection.engine import Progress, Projector
from qernel.projection.guide import Guide, Guided, guide_of, guided
from qernel.projection.series import Series, memory, settled, weighted_mean
from qernel.sampling.devices import walker_mesh
from qernel.wavefunction import build, log_psi, parameter_layout

NOTHING = jnp.zeros(1)


def oscillator(steepness: float) -> Guide:
    """ψ = exp(−½ a Σx²) for electrons in ½x² each, which do not interact; a = 0 is no guidance at all."""

    def guide(_: Array, x: Array, __: Array) -> Guided:
        squared = jnp.square(x).sum((-1, -2))
        energy = 0.5 * steepness * x.shape[-2] * 2 + 0.5 * (1 - steepness**2) * squared
        one = jnp.ones_like(squared)
        return Guided(one, -0.5 * steepness * squared, -steepness * x, energy, 0.5 * squared, 0.0 * squared)

    return guide


def projected(
    projector: Projector, start: np.ndarray, tau: float, blocks: int, *, reference: float, seed: int = 1
) -> Series:
    progress = projector.begun(start)
    for _ in range(blocks):
        progress = projector.advanced(progress, np.ones(1), tau, reference=reference, seed=seed)
    return progress.series


def energy_of(series: Series, generations: int | None = None) -> tuple[float, float]:
    """Mixed estimate and its error, from where the series has settled."""
    later = series.since(settled(series))
    found = weighted_mean(later, later.energy, memory(later) if generations is None else generations)
    return found.value, found.error


@pytest.mark.parametrize("tau", [0.2, 0.6])
def test_without_guidance_the_time_step_error_of_an_oscillator_is_the_exact_one(tau: float) -> None:
    """e^{−τV/2} e^{−τT} e^{−τV/2} has the ground state exp(−½cx²) with c = √(1 + τ²/4): ⟨V⟩ = 1/(2c) a direction, and
    the growth is that of an oscillator of frequency (2/τ) asinh(τ/2)."""
    projector = Projector(oscillator(0.0), NOTHING, 512, 1, bound=lambda *_: np.inf)
    start = np.random.default_rng(0).normal(size=(512, 1, 2))
    series = projected(projector, start, tau, 60, reference=1.0)
    value, error = energy_of(series)
    assert error < 0.008
    assert value == pytest.approx(1 / np.sqrt(1 + tau**2 / 4), abs=3.5 * error)
    later = series.since(settled(series))
    growth = summarise((-later.growth / later.span)[None])
    assert growth.mean == pytest.approx(2 / tau * np.arcsinh(tau / 2), abs=4 * growth.error)
    assert growth.error < 0.01


def test_without_weights_any_time_step_samples_the_guide() -> None:
    """exp(−½aΣx²) has ⟨E_L⟩ = (a + 1/a)/2 an electron; the drift is limited, the step long, the acceptance low."""
    projector = Projector(oscillator(0.6), NOTHING, 256, 3, bound=lambda *_: np.inf)
    progress = projector.begun(np.random.default_rng(1).normal(size=(256, 3, 2)))
    for _ in range(50):
        progress = projector.advanced(progress, np.ones(1), 0.7, reference=3.0, seed=2, branching=False)
    assert progress.series.acceptance.mean() < 0.8
    np.testing.assert_array_equal(progress.series.effective_walkers, 1.0)
    value, error = energy_of(progress.series)
    assert error < 0.02
    assert value == pytest.approx(3 * 0.5 * (0.6 + 1 / 0.6), abs=3.5 * error)


def test_the_bias_of_few_walkers_is_seen_and_removed() -> None:
    """Four walkers without guidance: the plain mean is too high, products of growths give the exact step's energy."""
    projector = Projector(oscillator(0.0), NOTHING, 4, 1, bound=lambda *_: np.inf)
    series = projected(projector, np.random.default_rng(0).normal(size=(4, 1, 2)), 0.2, 800, reference=1.0)
    exact = 1 / np.sqrt(1.01)
    plain, plain_error = energy_of(series, 0)
    value, error = energy_of(series, 12)
    assert plain - exact > 6 * plain_error
    assert error < 0.4 * (plain - exact) and value == pytest.approx(exact, abs=3 * error)


def test_limited_energies_are_consistent_in_size() -> None:
    """Electrons that do not interact: the bias of a bound α√(N/τ) does not grow with N, that of α√(4/τ) does."""

    def found(electrons: int, counted: int) -> tuple[float, float]:
        projector = Projector(
            oscillator(0.8), NOTHING, 128, electrons, bound=lambda _, tau: 0.2 * np.sqrt(counted / tau)
        )
        start = np.random.default_rng(0).normal(size=(128, electrons, 2)) / 1.3
        value, error = energy_of(projected(projector, start, 0.1, 50, reference=1.0 * electrons), 0)
        return value / electrons, error / electrons

    few, many, fixed = found(4, 4), found(16, 16), found(16, 4)
    assert many[1] < 6e-4 and few[1] < 2e-3
    assert many[0] == pytest.approx(few[0], abs=3 * np.hypot(few[1], many[1]))
    assert abs(many[0] - 1) < 3.5 * many[1] and fixed[0] - 1 > 4 * fixed[1]


def pair(_: Array, x: Array, __: Array) -> Guided:
    """ψ = (x_1 − x_2) exp(−½ a r²), a = 0.8: two polarised electrons in ½r², with the nodes of the ground state."""
    a = 0.8
    squared = jnp.square(x).sum((-1, -2))
    apart = x[..., 0, 0] - x[..., 1, 0]
    towards = jnp.asarray([[1.0, 0.0], [-1.0, 0.0]]) / apart[..., None, None]
    energy = 3 * a + 0.5 * (1 - a**2) * squared
    log = jnp.log(jnp.abs(apart)) - 0.5 * a * squared
    return Guided(jnp.sign(apart), log, towards - a * x, energy, 0.5 * squared, 0.0 * squared)


def test_exact_nodes_give_the_exact_energy_of_polarised_electrons() -> None:
    """3 for two electrons in an oscillator; without nodes it would be 2."""
    projector = Projector(pair, NOTHING, 512, 2, bound=lambda _, tau: 0.5 * np.sqrt(2 / tau))
    series = projected(projector, np.random.default_rng(4).normal(size=(512, 2, 2)), 0.02, 120, reference=3.0)
    value, error = energy_of(series)
    assert 0 < series.crossings.mean() < 0.02
    assert error < 4e-3
    assert value == pytest.approx(3.0, abs=3.5 * error)


BEND = 0.2


def bent(_: Array, x: Array, __: Array) -> Guided:
    """Electrons in ½r² each, with a node that no eigenstate has, Π_i (x_i − b y_i³) exp(−½ r_i²): near it E_L goes as
    one over the distance."""

    def amplitude(r: Array) -> Array:
        return jnp.log(jnp.abs(r[0] - BEND * r[1] ** 3)) - 0.5 * r @ r

    def single(r: Array) -> tuple[Array, Array, Array, Array]:
        drift, curvature = jax.grad(amplitude)(r), jnp.trace(jax.hessian(amplitude)(r))
        return jnp.sign(r[0] - BEND * r[1] ** 3), amplitude(r), drift, 0.5 * (r @ r - curvature - drift @ drift)

    sign, log, drift, energy = jax.vmap(jax.vmap(jax.vmap(single)))(x)
    energy = energy.sum(-1)
    return Guided(sign.prod(-1), log.sum(-1), drift, energy, 0.0 * energy, 0.0 * energy)


def pocket_energy(degree: int) -> float:
    """The lowest energy of ½r² in x > b y³, zero on the border: (x − b y³) e^{−½r²} times polynomials; 0: the guide."""
    nodes, weights = leggauss(80)
    y = np.repeat(7.0 * nodes, len(nodes))
    low = np.clip(BEND * y**3, -7.0, 7.0)
    x = 0.5 * (7.0 - low) * np.tile(nodes, len(nodes)) + 0.5 * (7.0 + low)
    root = np.sqrt(0.5 * (7.0 - low) * np.tile(weights, len(nodes)) * 7.0 * np.repeat(weights, len(nodes)))
    border = (x - BEND * y**3) * np.exp(-0.5 * (x * x + y * y)) * root
    slopes = [np.exp(-0.5 * (x * x + y * y)) * root * part for part in (np.ones_like(x), -3 * BEND * y * y)]
    columns: list[list[np.ndarray]] = [[], [], []]
    for i, j in itertools.product(range(degree + 1), repeat=2):
        if i + j > degree:
            continue
        one, other = HermiteE.basis(i), HermiteE.basis(j)
        value = one(x) * other(y)
        columns[0].append(border * value)
        columns[1].append(slopes[0] * value + border * (one.deriv()(x) * other(y) - x * value))
        columns[2].append(slopes[1] * value + border * (one(x) * other.deriv()(y) - y * value))
    values, along_x, along_y = np.array(columns)
    inverse = np.linalg.inv(np.linalg.qr(values.T)[1])
    energy = 0.5 * (along_x @ along_x.T + along_y @ along_y.T + (values * (x * x + y * y)) @ values.T)
    return float(np.linalg.eigvalsh(inverse.T @ energy @ inverse)[0])


@pytest.mark.parametrize("tau", [0.06, 0.02])
def test_a_wrong_node_has_the_energy_of_its_pocket(tau: float) -> None:
    """Above the exact 2, below that of the guide, at an acceptance of 87% as at 97%."""
    exact = pocket_energy(12)
    assert 0 < pocket_energy(9) - exact < 1e-3 and pocket_energy(0) - exact > 0.02
    projector = Projector(bent, NOTHING, 256, 8, bound=lambda *_: np.inf)
    progress = projector.begun(np.random.default_rng(2).normal(size=(256, 8, 2)))
    for _ in range(round(3.2 / tau)):
        progress = projector.advanced(progress, np.ones(1), tau, reference=16.0, seed=3)
    value, error = energy_of(progress.series)
    assert error / 8 < 1e-3
    assert value / 8 == pytest.approx(exact, abs=3.5 * error / 8)


CELL, DEPTH, PHASE = Supercell(((1, 0), (0, 1))), 4.443709, np.pi / 4


def alone(parameters: Array, x: Array, _: Array) -> Guided:
    """One electron in the moiré potential; log ψ = −s w(r) + i k·r, its derivatives by JAX."""
    strength, k = parameters[0], parameters[1:3]

    def amplitude(r: Array) -> Array:
        return -strength * moire_potential(r[None], PHASE)[0]

    def single(x: Array) -> Guided:
        r = x[0]
        drift, curvature = jax.grad(amplitude)(r), jnp.trace(jax.hessian(amplitude)(r))
        moire = DEPTH * moire_potential(r[None], PHASE)[0]
        kinetic = -0.5 * (curvature + drift @ drift) + 0.5 * k @ k
        return Guided(jnp.ones_like(moire), amplitude(r), drift[None], kinetic + moire, moire, 0.0 * moire)

    return jax.vmap(jax.vmap(single))(x)


@pytest.mark.parametrize(("strength", "momentum"), [(0.0, (0.0, 0.0)), (0.05, (0.0, 0.0)), (0.2, (0.9, -0.4))])
def test_one_electron_has_the_energy_of_the_lowest_band(strength: float, momentum: tuple[float, float]) -> None:
    """Whatever guides it: nothing, half of the amplitude it needs, or twice that. With a phase k·r kept: plus ½k²."""
    parameters = jnp.asarray([strength, *momentum])
    projector = Projector(
        alone, parameters, 512, 1, bound=lambda _, tau: 3 / np.sqrt(tau), home=lambda x: wrap(x, CELL.vectors)
    )
    start = np.random.default_rng(0).random((512, 1, 2)) @ CELL.vectors
    series = projected(projector, start, 0.004, 120, reference=-3.0)
    exact = moire_bands(CELL, DEPTH, PHASE, 1, cutoff=300.0).energies[0] + 0.5 * np.square(momentum).sum()
    value, error = energy_of(series)
    assert error < 0.03
    assert value == pytest.approx(exact, abs=3.5 * error)


SQRT3 = Supercell(((1, 1), (-1, 2)))
PAIR = family(SQRT3, (1, 1), V0=0.0, U=MATERIAL.U)


def singlet(_: Array, x: Array, __: Array) -> Guided:
    """log ψ = −U ℓ e^{−d/ℓ}(1 − d²/c²)³, the cusp and little else: two electrons that differ in spin, and no node."""
    reach, cut = 0.25, SQRT3.inscribed_radius

    def amplitude(r: Array) -> Array:
        d = jnp.sqrt(jnp.square(displacement(r, SQRT3.vectors)).sum())
        return -MATERIAL.U * reach * jnp.exp(-d / reach) * jnp.maximum(1 - (d / cut) ** 2, 0.0) ** 3

    def single(x: Array) -> Guided:
        r = x[0] - x[1]
        drift, curvature = jax.grad(amplitude)(r), jnp.trace(jax.hessian(amplitude)(r))
        interaction = PAIR.potential(x, jnp.ones(1)).interaction
        energy = interaction - curvature - drift @ drift
        return Guided(
            jnp.ones_like(energy), amplitude(r), jnp.stack([drift, -drift]), energy, 0.0 * energy, interaction
        )

    return jax.vmap(jax.vmap(single))(x)


def test_two_electrons_in_a_singlet_have_their_exact_energy() -> None:
    """−∇² + U v(r) of the relative position, in plane waves: what is beyond the last cut-off is twice the last step."""
    energies = []
    for cutoff in (1200.0, 2400.0):
        waves = lattice_points(SQRT3.reciprocal, np.sqrt(cutoff))
        q = np.linalg.norm(waves[:, None] - waves, axis=-1)
        repulsion = MATERIAL.U * np.where(q > 1e-9, 2 * np.pi / np.maximum(q, 1e-9), 0.0) / SQRT3.area
        energies.append(np.linalg.eigvalsh(np.diag((waves**2).sum(1)) + repulsion)[0] - MATERIAL.U * 2.4326206931833063)
    exact = 2 * energies[1] - energies[0]
    projector = Projector(singlet, NOTHING, 128, 2, bound=lambda _, tau: 2.0 * np.sqrt(2 / tau), home=in_cell)
    start = np.random.default_rng(0).random((128, 2, 2)) @ SQRT3.vectors
    series = projected(projector, start, 0.006, 70, reference=-30.0)
    value, error = energy_of(series)
    assert error < 0.035  # the guide has -30.36
    assert value == pytest.approx(exact, abs=3.5 * error)


def in_cell(x: Array) -> Array:
    return wrap(x, SQRT3.vectors)


@pytest.mark.parametrize("twist", [(0.0, 0.0), (0.13, -0.27)])
def test_bloch_determinants_have_no_variance_at_any_time_step(twist: tuple[float, float]) -> None:
    free = changed(FAMILY, electrons=(3, 0), U=0.0, twist=twist, ranges=((0.4, 1.4),))
    psi = build(ModelConfig(ansatz="slater", bloch_order=10, bloch_cutoff=700.0), free, dtype=jnp.float64)
    exact = moire_bands(free.supercell, 0.9 * MATERIAL.V0, np.pi / 4, 3, cutoff=900.0, twist=twist).energies.sum()
    projector = Projector.of(psi, 16)
    for tau in (0.003, 0.3):
        progress = projector.begun(random_positions(free, 16, 5))
        progress = projector.advanced(progress, [0.9], tau, reference=0.0, seed=1)
        # What is left is the plane-wave cut-off, amplified near nodes: the median counts.
        energies = progress.series.energy / progress.series.weight
        assert np.median(np.abs(energies - exact)) < 1e-2
        np.testing.assert_allclose(progress.series.effective_walkers, 1.0, atol=1e-2)


def test_the_guide_of_a_complex_wavefunction_is_the_hamiltonian_of_its_modulus() -> None:
    """−½Δ|ψ|/|ψ| + ½|∇θ|² + V, by second derivatives of log|ψ| and first ones of the phase."""
    case = Case("slater", "twisted")
    psi, x, point = wavefunction(case), random_positions(case.hamiltonian, 1, 3)[0], jnp.asarray([0.8])
    found = quick_jit(guided)(psi, x, point)

    def log(flat: Array) -> Array:
        return log_psi(psi, flat.reshape(x.shape), point)[1]

    @quick_jit
    def exact(flat: Array) -> tuple[Array, Array, Array]:
        curvature = jnp.trace(jax.hessian(lambda y: log(y).real)(flat))
        return jax.grad(lambda y: log(y).real)(flat), jax.grad(lambda y: log(y).imag)(flat), curvature

    flat = x.reshape(-1)
    drift, turning, curvature = exact(flat)
    potential = case.hamiltonian.potential(x, point)
    expected = -0.5 * (curvature + drift @ drift) + 0.5 * turning @ turning + potential.moire + potential.interaction
    assert float(turning @ turning) > 0.3
    np.testing.assert_allclose(found.drift, drift.reshape(x.shape), rtol=1e-8)
    np.testing.assert_allclose(found.energy, expected, rtol=1e-8)
    np.testing.assert_allclose(found.log_modulus, log(flat).real, rtol=1e-12)


def test_walking_over_the_border_is_no_crossing_where_psi_is_antiperiodic() -> None:
    """At a twist of half a turn real ψ changes its sign when an electron is wrapped."""
    half = replace(FAMILY, electrons=(1, 0), twist=(0.5, 0.0), supercell=Supercell(((2, 0), (0, 2))))
    small: dict[str, Any] = {"width": 4, "blocks": 1, "heads": 2, "kv_heads": 1, "experts": 1, "active_experts": 1}
    psi: Any = build(ModelConfig(ansatz="lem", determinants=1, **small), half, dtype=jnp.float64)
    guide, parameters = guide_of(psi), parameter_layout(psi).parameters
    rows = half.supercell.vectors
    along = np.linspace(0.05, 0.95, 8)
    # On both sides of the border between the cell and its neighbour along the first vector.
    x = jnp.asarray((along[:, None] * rows[1] + np.tile([[1e-4], [-1e-4]], (4, 1)) * rows[0])[None, :, None])
    point = jnp.ones((1, 1))
    here = guide(parameters, x, point)
    there = guide(parameters, wrap(x, rows), point)
    assert psi.whole and not np.allclose(here.sign, there.sign) and np.allclose(here.energy, there.energy)
    keys = jax.random.split(jax.random.key(1), (1, 8))
    moved, after, done = step(guide, parameters, x, here, point, jnp.asarray(1e-6), keys)
    assert np.any(np.sign(x @ np.linalg.inv(rows))[..., 0] != np.sign(moved @ np.linalg.inv(rows))[..., 0])
    np.testing.assert_array_equal(done.crossed, 0.0)
    np.testing.assert_array_equal(after.sign, here.sign)


def test_results_depend_neither_on_devices_nor_on_where_they_were_taken_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def advanced(progress: Progress | None = None) -> Progress:
        projector = Projector(pair, NOTHING, 6, 2, bound=lambda _, tau: 0.5 * np.sqrt(2 / tau))
        begin = projector.begun(np.random.default_rng(4).normal(size=(6, 2, 2)))
        return projector.advanced(progress or begin, np.ones(1), 0.1, reference=3.0, seed=1)

    once = advanced()
    twice = advanced(once)
    monkeypatch.setattr(engine, "walker_mesh", lambda walkers: walker_mesh(walkers, 1))
    alone = advanced(advanced())
    again = advanced(Progress(once.positions.copy(), Series(*(column.copy() for column in once.series))))
    assert len(jax.devices()) == 2 and len(twice.series.weight) == 2 * engine.GENERATIONS
    for found in (alone, again):
        for one, other in zip((twice.positions, *twice.series), (found.positions, *found.series), strict=True):
            np.testing.assert_array_equal(one, other)
