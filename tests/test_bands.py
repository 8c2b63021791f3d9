"""One-body bands against the reference, free electrons, perturbation theory and the equation itself."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from families import moire_bands
from qernel.hamiltonian.bands import Bands, supercell_momenta
from qernel.hamiltonian.terms.moire import moire_potential
from qernel.lattice import FloatArray, Supercell, lattice_points

PRIMITIVE = Supercell(((1, 0), (0, 1)))
SQRT3 = Supercell(((1, 1), (-1, 2)))
THREE = Supercell(((3, 0), (0, 3)))
DEPTH, PHASE = 4.443709, np.pi / 4
CONVERGED = 800.0
"""Cut-off at which one more shell of plane waves changes the energies below by less than 1e-10."""


def wave(bands: Bands, state: int, positions: FloatArray) -> np.ndarray[Any, np.dtype[np.complex128]]:
    """Σ_G c_G e^{i(k+G)·r} at positions ``[..., 2]``."""
    phases = np.exp(1j * positions @ bands.waves[state].T)
    return np.asarray(phases @ bands.coefficients[state])


def cell_grid(cell: Supercell, points: int) -> FloatArray:
    """A uniform grid over the supercell: exact quadrature of plane waves below its Nyquist momentum."""
    index = np.arange(points) / points
    grid: FloatArray = np.stack(np.meshgrid(index, index, indexing="ij"), axis=-1).reshape(-1, 2) @ cell.vectors
    return grid


@pytest.mark.parametrize("entry", range(4))
def test_fermi_sea_matches_the_reference(reference: dict[str, Any], entry: int) -> None:
    """The reference is converged to 1e-9 in total."""
    row = reference["one_body_fermi_sea_U0"][entry]
    cell = Supercell(((row["n"], 0), (0, row["n"])))
    bands = moire_bands(cell, row["V"], np.deg2rad(row["phi_deg"]), row["N"], cutoff=CONVERGED)
    assert bands.energies.sum() == pytest.approx(row["E_total"], abs=2e-9)
    assert bands.energies[0] == pytest.approx(row["lowest_level"], abs=1e-10)


@pytest.mark.parametrize("twist", [(0.0, 0.0), (0.25, 0.0), (0.1, -0.37)])
@pytest.mark.parametrize("cell", [SQRT3, Supercell(((2, 1), (-1, 3))), Supercell(((1, 0), (0, 4)))])
def test_without_a_potential_electrons_are_free(cell: Supercell, twist: tuple[float, float]) -> None:
    """½|Q + k_t|² over all reciprocal vectors Q of the supercell, on the basis that its rows give."""
    bands = moire_bands(cell, 0.0, 0.3, 40, twist=twist)
    index = np.arange(-40, 41)
    waves = np.stack(np.meshgrid(index, index, indexing="ij"), axis=-1).reshape(-1, 2) + twist
    free = 0.5 * np.sum((waves @ (2 * np.pi * np.linalg.inv(np.array(cell.matrix) @ cell.primitive).T)) ** 2, axis=1)
    np.testing.assert_allclose(bands.energies, np.sort(free)[:40], atol=1e-12)


@pytest.mark.parametrize("cell", [SQRT3, THREE, Supercell(((2, 1), (-1, 3))), Supercell(((1, 0), (0, 6)))])
def test_momenta_are_one_short_representative_of_each_class(cell: Supercell) -> None:
    momenta = supercell_momenta(cell)
    assert momenta.shape == (cell.cells, 2)
    np.testing.assert_array_equal(momenta[0], 0.0)
    np.testing.assert_allclose(np.exp(1j * momenta @ cell.vectors.T), 1, atol=1e-12)
    classes = np.round(momenta @ PRIMITIVE.primitive.T / (2 * np.pi) % 1.0 * cell.cells) % cell.cells
    assert len(np.unique(classes, axis=0)) == cell.cells
    shifted = momenta[:, None, :] + lattice_points(cell.moire_reciprocal, 30.0)
    shortest = np.linalg.norm(shifted, axis=-1).min(axis=1)
    np.testing.assert_allclose(np.linalg.norm(momenta, axis=1), shortest, atol=1e-12)


def test_the_sqrt3_cell_carries_the_corners_of_the_brillouin_zone() -> None:
    """K and K′ = −K up to a moiré reciprocal vector, at distance 4π/3."""
    corners = supercell_momenta(SQRT3)[1:]
    np.testing.assert_allclose(np.linalg.norm(corners, axis=1), 4 * np.pi / 3, rtol=1e-14)
    turns = np.sort(corners @ PRIMITIVE.primitive.T / (2 * np.pi) % 1.0, axis=0)
    np.testing.assert_allclose(turns, [[1 / 3, 1 / 3], [2 / 3, 2 / 3]], atol=1e-12)


def test_states_are_normalised_orthogonal_and_ordered() -> None:
    bands = moire_bands(THREE, DEPTH, PHASE, 12, cutoff=150.0)
    assert bands.energies.shape == bands.momentum.shape == (12,)
    assert np.all(np.diff(bands.energies) > -1e-9)
    offsets = (bands.waves - supercell_momenta(THREE)[bands.momentum][:, None]) @ PRIMITIVE.primitive.T / (2 * np.pi)
    np.testing.assert_allclose(offsets, np.round(offsets), atol=1e-12)
    grid = cell_grid(THREE, 40)
    values = np.array([wave(bands, state, grid) for state in range(12)])
    np.testing.assert_allclose(values.conj() @ values.T / len(grid), np.eye(12), atol=1e-12)


def test_sum_of_all_levels_is_that_of_free_electrons() -> None:
    """w has no diagonal in plane waves, so the trace is kinetic; its square adds 6·½·V² per wave and neighbour."""
    everything = 10**6
    free = moire_bands(SQRT3, 0.0, PHASE, everything, cutoff=60.0)
    bands = moire_bands(SQRT3, DEPTH, PHASE, everything, cutoff=60.0)
    assert len(bands.energies) == len(free.energies) == 3 * free.waves.shape[1]
    assert bands.energies.sum() == pytest.approx(free.energies.sum(), rel=1e-13)
    grid = lattice_points(PRIMITIVE.moire_reciprocal, np.sqrt(120.0))
    bonds = np.isclose(np.linalg.norm(grid[:, None] - grid, axis=-1), 4 * np.pi / np.sqrt(3)).sum()
    second = np.sum(bands.energies**2) - np.sum(free.energies**2)
    assert second == pytest.approx(3 * bonds * DEPTH**2, rel=1e-11)


def test_is_variational_in_the_cutoff_and_bounded_by_the_potential_minimum() -> None:
    levels = [moire_bands(THREE, DEPTH, PHASE, 10, cutoff=c).energies for c in (60.0, 120.0, 250.0, 500.0)]
    for coarse, fine in pairwise(levels):
        assert np.all(fine <= coarse + 1e-12)
    assert levels[-1][0] > -6 * DEPTH * np.cos(PHASE)


def test_second_and_third_order_perturbation_theory() -> None:
    """At Γ, with hopping −V e^{±iφ} to six waves of energy G²/2: E = −12 V²/G² − 48 V³ cos 3φ / G⁴ + O(V⁴).

    Even and odd parts in V separate the two; the next orders are (V/G²)² ~ 1e-7 times a number of order 100.
    """
    v, g2 = 0.02, 16 * np.pi**2 / 3
    for phase in (0.0, 0.25, PHASE):
        plus, minus = (moire_bands(PRIMITIVE, s * v, phase, 1, cutoff=120.0).energies[0] for s in (1, -1))
        assert (plus + minus) / 2 == pytest.approx(-12 * v**2 / g2, rel=3e-5)
        assert (plus - minus) / 2 == pytest.approx(-48 * v**3 * np.cos(3 * phase) / g2**2, rel=3e-5)


@pytest.mark.parametrize("twist", [(0.0, 0.0), (0.2, 0.15)])
def test_states_solve_the_equation_in_real_space(twist: tuple[float, float]) -> None:
    """−½∇²ψ + V w ψ = E ψ pointwise, by eighth-order differences.

    The potential couples to waves beyond 1500 E0 with 4e-10; (kh)⁸ and rounding/h² stay below that.
    """
    bands = moire_bands(SQRT3, DEPTH, PHASE, 4, cutoff=1500.0, twist=twist)
    positions = np.random.default_rng(11).uniform(-2, 2, (60, 2))
    h, weights = 0.007, np.array([-205 / 72, 8 / 5, -1 / 5, 8 / 315, -1 / 560])
    moire = np.asarray(moire_potential(jnp.asarray(positions), PHASE))
    for state in (0, 3):
        centre = wave(bands, state, positions)
        laplacian = 2 * weights[0] * centre
        for step in h * np.eye(2):
            for n in range(1, 5):
                laplacian += weights[n] * sum(wave(bands, state, positions + s * n * step) for s in (1, -1))
        residual = -0.5 * laplacian / h**2 + (DEPTH * moire - bands.energies[state]) * centre
        np.testing.assert_allclose(residual, 0, atol=2e-9)


def test_states_take_the_twist_phase_across_the_cell() -> None:
    twist = (0.2, -0.35)
    bands = moire_bands(THREE, DEPTH, PHASE, 10, cutoff=100.0, twist=twist)
    positions = np.random.default_rng(12).uniform(-2, 2, (20, 2))
    for state in (0, 9):
        for vector, turns in zip(THREE.vectors, twist, strict=True):
            expected = np.exp(2j * np.pi * turns) * wave(bands, state, positions)
            np.testing.assert_allclose(wave(bands, state, positions + vector), expected, atol=1e-12)


def test_twists_of_the_moire_cell_are_the_momenta_of_the_supercell() -> None:
    """The nine twists (i/3, j/3) of one cell give the spectrum of the 3 × 3 cell."""
    large = moire_bands(THREE, DEPTH, PHASE, 18, cutoff=CONVERGED)
    small = [
        moire_bands(PRIMITIVE, DEPTH, PHASE, 6, cutoff=CONVERGED, twist=(i / 3, j / 3)).energies
        for i in (-1, 0, 1)
        for j in (-1, 0, 1)
    ]
    np.testing.assert_allclose(np.sort(np.concatenate(small))[:18], large.energies, atol=1e-9)


def test_equivalent_supercells_have_the_same_bands() -> None:
    other = Supercell(((3, 3_000), (0, 3)))
    first, second = (moire_bands(c, DEPTH, PHASE, 9, cutoff=100.0) for c in (THREE, other))
    np.testing.assert_array_equal(first.energies, second.energies)


def test_energy_does_not_change_when_the_phase_is_reversed_or_turned_by_120_degrees() -> None:
    """φ → −φ is inversion, φ → φ + 120° a translation: the spectra of a supercell agree."""
    base = moire_bands(THREE, DEPTH, PHASE, 12, cutoff=100.0).energies
    for phase in (-PHASE, PHASE + 2 * np.pi / 3):
        np.testing.assert_allclose(moire_bands(THREE, DEPTH, phase, 12, cutoff=100.0).energies, base, atol=1e-11)


def test_hellmann_feynman_with_the_potential_in_real_space() -> None:
    """dE/dV = ⟨w⟩, the latter by quadrature of |ψ|² w: ties the hopping's phase to `moire_potential`."""
    step = 1e-3
    bands = moire_bands(PRIMITIVE, DEPTH, PHASE, 1, cutoff=100.0)
    energies = {n: moire_bands(PRIMITIVE, DEPTH + n * step, PHASE, 1, cutoff=100.0).energies[0] for n in (-2, -1, 1, 2)}
    slope = (8 * (energies[1] - energies[-1]) - (energies[2] - energies[-2])) / (12 * step)
    grid = cell_grid(PRIMITIVE, 24)
    moire = np.asarray(moire_potential(jnp.asarray(grid), PHASE))
    average = np.mean(np.abs(wave(bands, 0, grid)) ** 2 * moire)
    assert slope == pytest.approx(average, rel=1e-10)
    by_phase = [moire_bands(PRIMITIVE, DEPTH, PHASE + n * step, 1, cutoff=100.0).energies[0] for n in (-1, 1)]
    torque = np.mean(np.abs(wave(bands, 0, grid)) ** 2 * written_derivative(grid, PHASE))
    assert (by_phase[1] - by_phase[0]) / (2 * step) == pytest.approx(DEPTH * torque, rel=1e-5)


def written_derivative(positions: FloatArray, phase: float) -> FloatArray:
    """∂w/∂φ = 2 Σ_j sin(g_j·r + φ), written with angles."""
    total = np.zeros(positions.shape[:-1])
    for degrees in (90, 210, 330):
        angle = np.deg2rad(degrees)
        along = positions[..., 0] * np.cos(angle) + positions[..., 1] * np.sin(angle)
        total += 2 * np.sin(4 * np.pi / np.sqrt(3) * along + phase)
    return total
