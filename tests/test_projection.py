"""Projection against exactly solvable cases: the engine alone, guides written here."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from families import moire_bands
from qernel.hamiltonian.terms.moire import moire_potential
from qernel.lattice import Supercell, wrap
from qernel.projection.engine import STEPS, Projector
from qernel.projection.guide import Guide, Guided
from qernel.projection.series import Series, memory, settled, weighted_mean

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
    walkers = 1024
    projector = Projector(oscillator(0.0), NOTHING, walkers, 1, bound=lambda *_: np.inf)
    start = np.random.default_rng(0).normal(size=(walkers, 1, 2))
    series = projected(projector, start, tau, 60, reference=1.0)
    value, error = energy_of(series)
    assert error < 0.006
    assert value == pytest.approx(1 / np.sqrt(1 + tau**2 / 4), abs=3.5 * error)
    later = series.since(settled(series))
    growth = -later.growth / later.span
    scatter = growth.std() / np.sqrt(len(growth))
    assert growth.mean() == pytest.approx(2 / tau * np.arcsinh(tau / 2), abs=4 * scatter)
    assert scatter < 0.01


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
    assert error < 0.1 * (plain - exact) * 4 and value == pytest.approx(exact, abs=3 * error)


def test_limited_energies_are_consistent_in_size() -> None:
    """Electrons that do not interact: the bias of a bound α√(N/τ) does not grow with N, that of α√(4/τ) does."""

    def found(electrons: int, counted: int) -> tuple[float, float]:
        projector = Projector(oscillator(0.8), NOTHING, 128, electrons, bound=lambda _, tau: 0.2 * np.sqrt(counted / tau))
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
