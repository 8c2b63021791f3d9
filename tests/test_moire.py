"""The moiré potential against its definition written without the module's wave vectors."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qernel.hamiltonian.terms.moire import WAVE_VECTORS, moire_potential
from qernel.lattice import FloatArray, Supercell

PHASES = np.deg2rad([0.0, 45.0, 60.0, -100.0])
POSITIONS = np.random.default_rng(7).uniform(-4, 4, (50, 2))
MOIRE = Supercell(((1, 0), (0, 1)))


def written_out(positions: FloatArray, phase: float) -> FloatArray:
    """w in Cartesian coordinates: cos(g_2·r + φ) + cos(g_3·r + φ) combined into one product."""
    x, y = positions[..., 0], positions[..., 1]
    column = 2 * np.pi * y / np.sqrt(3)
    result: FloatArray = -2 * np.cos(2 * column + phase) - 4 * np.cos(2 * np.pi * x) * np.cos(column - phase)
    return result


def evaluate(positions: FloatArray, phase: float) -> FloatArray:
    """The potential under test as a NumPy array."""
    return np.asarray(moire_potential(jnp.asarray(positions), phase))


@pytest.mark.parametrize("phase", PHASES)
def test_equals_the_definition_written_out(phase: float) -> None:
    """Arguments g·r up to 40 are rounded to 1e-14."""
    np.testing.assert_allclose(evaluate(POSITIONS, phase), written_out(POSITIONS, phase), atol=1e-13)


@pytest.mark.parametrize("phase", PHASES)
def test_equals_the_fourier_sum_over_the_first_shell(phase: float) -> None:
    """−e^{±iφ} on the six shortest reciprocal vectors, + at 90°, 210° and 330°."""
    shell = MOIRE.moire_shells(1)
    total = np.zeros(len(POSITIONS), complex)
    for g in np.concatenate([shell, -shell]):
        sign = 1 if np.isclose(np.sin(3 * np.arctan2(g[1], g[0])), -1) else -1
        total -= np.exp(1j * sign * phase) * np.exp(1j * POSITIONS @ g)
    np.testing.assert_allclose(total.imag, 0, atol=1e-13)
    np.testing.assert_allclose(evaluate(POSITIONS, phase), total.real, atol=1e-13)


def test_wave_vectors_are_the_first_shell_at_120_degrees() -> None:
    shell = MOIRE.moire_shells(1)
    both = np.concatenate([shell, -shell])
    for wave in WAVE_VECTORS:
        assert np.linalg.norm(both - wave, axis=1).min() < 1e-13
    np.testing.assert_allclose(WAVE_VECTORS.sum(axis=0), 0, atol=1e-13)
    np.testing.assert_allclose(WAVE_VECTORS[0], [0, 4 * np.pi / np.sqrt(3)], atol=1e-14)


@pytest.mark.parametrize("phase", PHASES)
def test_has_the_symmetries_of_the_moire_lattice(phase: float) -> None:
    """Moiré translations, C3, the mirror x → −x; inversion turns φ into −φ."""
    value = evaluate(POSITIONS, phase)
    turn = np.deg2rad(120)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    first, second = MOIRE.primitive
    for moved in (POSITIONS + first, POSITIONS + 5 * second - 3 * first, POSITIONS @ rotation, POSITIONS * [-1, 1]):
        np.testing.assert_allclose(evaluate(moved, phase), value, atol=2e-13)
    np.testing.assert_allclose(evaluate(-POSITIONS, -phase), value, atol=1e-13)


@pytest.mark.parametrize("phase", PHASES)
def test_values_at_the_three_symmetric_points(phase: float) -> None:
    """g_j·r is 0, 2π/3 and 4π/3 for all j at r = 0, (a1 + a2)/3 and 2(a1 + a2)/3: this fixes the sign of φ."""
    points = np.arange(3)[:, None] * np.array([0.5, np.sqrt(3) / 6])
    np.testing.assert_allclose(evaluate(points, phase), -6 * np.cos(phase + 2 * np.pi * np.arange(3) / 3), atol=1e-13)


def test_is_attractive_at_the_origin_and_bounded() -> None:
    grid = np.stack(np.meshgrid(np.arange(60), np.arange(60), indexing="ij"), -1).reshape(-1, 2) / 60 @ MOIRE.primitive
    at_zero = evaluate(grid, 0.0)
    assert at_zero[0] == pytest.approx(-6, abs=1e-14)
    assert (at_zero.min(), at_zero.max()) == pytest.approx((-6, 3), abs=1e-12)
    at_default = evaluate(grid, np.pi / 4)
    assert at_default.argmin() == 0
    assert at_default.max() == pytest.approx(-6 * np.cos(np.deg2rad(165)), abs=1e-12)
    np.testing.assert_allclose([at_zero.mean(), at_default.mean()], 0, atol=1e-13)


def test_minimum_is_an_isotropic_well_of_known_stiffness() -> None:
    """∇w = 0 and ∂∂w = 16π² cos φ · 1 at r = 0."""
    origin, phase = jnp.zeros(2), np.pi / 4
    np.testing.assert_allclose(jax.grad(moire_potential)(origin, phase), 0, atol=1e-13)
    stiffness = 16 * np.pi**2 * np.cos(phase) * np.eye(2)
    np.testing.assert_allclose(jax.hessian(moire_potential)(origin, phase), stiffness, atol=1e-12)


def test_single_precision_stays_single_and_accurate() -> None:
    """Arguments up to 40 rounded to 2⁻²⁴ relative, three cosines, slope at most 2 each."""
    result = moire_potential(jnp.asarray(POSITIONS, jnp.float32), np.pi / 4)
    assert result.dtype == jnp.float32
    np.testing.assert_allclose(result, evaluate(POSITIONS, np.pi / 4), atol=3e-5)
