"""Orbitals and determinants: fitted bands against exact ones, sums of determinants, crystal orbitals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ansatz_cases import FAMILY, SMALL, SQRT3, THREE, evaluate, random_points, random_positions
from families import changed, moire_bands
from qernel.hamiltonian.family import Hamiltonian
from qernel.hamiltonian.parameters import Parameter
from qernel.hamiltonian.terms.base import Components, OneBody, Values
from qernel.hamiltonian.terms.coulomb import Coulomb
from qernel.hamiltonian.terms.moire import WAVE_VECTORS, Moire
from qernel.laplacian.determinant import log_det
from qernel.wavefunction import build
from qernel.wavefunction.orbitals.bloch import BlochOrbitals
from qernel.wavefunction.orbitals.chebyshev import Series
from qernel.wavefunction.orbitals.crystal import CrystalOrbitals
from qernel.wavefunction.orbitals.determinants import DeterminantSum
from qernel.wavefunction.orbitals.network import NetworkOrbitals

SIX = replace(FAMILY, electrons=(6, 0))
TWISTED = replace(SIX, twist=(0.2, -0.35))
SPINFUL = replace(FAMILY, electrons=(3, 2))
IDS = ["open shell", "twisted", "sqrt3"]
POINT = jnp.asarray([1.0])


def bloch(family: Hamiltonian, order: int, cutoff: float = 150.0, *, complex: bool | None = None) -> BlochOrbitals:
    """Fitted orbitals, complex where there is a twist."""
    is_complex = any(family.twist) if complex is None else complex
    series = Series(family, ("lam",), (order,))
    return BlochOrbitals(series, cutoff=cutoff, complex=is_complex, dtype=jnp.float64).started()


def plane_waves(orbitals: BlochOrbitals, lam: float) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Wave vectors ``[n, 2]`` and orthonormal amplitudes ``[n, states]`` of e^{iG·r}, first spin species."""
    scaled = float(orbitals.hamiltonian.scaled(jnp.asarray([lam]))[0])
    even, odd = np.polynomial.chebyshev.chebval(scaled, np.asarray(orbitals.amplitudes[0]))
    waves = orbitals._waves
    if orbitals.complex:
        table = even + 1j * odd
    else:
        minus = np.argmin(np.linalg.norm(waves[:, None] + waves[None], axis=-1), axis=1)
        table = 0.5 * (even - 1j * odd) + 0.5 * (even + 1j * odd)[minus]
    return waves + orbitals.hamiltonian.twist_momentum, np.linalg.qr(table)[0]


def band_energy(orbitals: BlochOrbitals, lam: float) -> float:
    """⟨T + λ V0 w⟩ of the filled orbitals by sums over plane waves."""
    family = orbitals.hamiltonian
    waves, table = plane_waves(orbitals, lam)
    matrix = np.diag(0.5 * (waves**2).sum(1)).astype(complex)
    difference = waves[:, None] - waves[None]
    for wave in WAVE_VECTORS:
        for sign in (1, -1):
            near = np.linalg.norm(difference - sign * wave, axis=-1) < 1e-6
            matrix -= (
                lam * family.constants["V0"] * np.exp(sign * 1j * np.deg2rad(family.constants["phase_deg"])) * near
            )
    return float(np.trace(table.conj().T @ matrix @ table).real)


@pytest.mark.parametrize("family", [SIX, TWISTED, replace(FAMILY, electrons=(2, 0), supercell=SQRT3)], ids=IDS)
def test_filled_orbitals_have_the_energy_of_the_bands_all_along_lambda(family: Hamiltonian) -> None:
    """Variational: above the exact value, and by less than the truncation at the cut-off costs.

    Without a twist the sixth electron sits in a six-fold level: a jumping choice there cannot be fitted.
    """
    orbitals = bloch(family, 12)
    for lam in (0.3, 0.613, 1.0, 1.337, 1.6):
        bands = moire_bands(
            family.supercell, lam * family.constants["V0"], np.pi / 4, family.count, cutoff=600.0, twist=family.twist
        )
        excess = band_energy(orbitals, lam) - bands.energies.sum()
        assert -1e-8 < excess < 0.05
    fine = bloch(family, 12, 400.0)
    exact = moire_bands(
        family.supercell, family.constants["V0"], np.pi / 4, family.count, cutoff=600.0, twist=family.twist
    )
    assert band_energy(fine, 1.0) == pytest.approx(exact.energies.sum(), abs=1e-4)


def test_filled_orbitals_have_the_reference_energy(reference: dict[str, Any]) -> None:
    row = reference["one_body_fermi_sea_U0"][0]
    assert row["N"] == 6 and row["n"] == 3
    family = changed(SIX, V0=row["V"], phase_deg=float(row["phi_deg"]))
    assert band_energy(bloch(family, 12, 400.0), 1.0) == pytest.approx(row["E_total"], abs=1e-4)


@pytest.mark.parametrize("family", [SIX, TWISTED], ids=["open shell", "twisted"])
def test_the_chebyshev_series_converges_geometrically(family: Hamiltonian) -> None:
    """Each orbital is smooth in λ, so that four more terms win orders of magnitude."""
    sizes = np.abs(np.asarray(bloch(family, 12).amplitudes[0])).max((1, 2, 3))
    assert sizes[3] < 0.1 * sizes[0]
    assert sizes[7] < 0.02 * sizes[3]
    assert sizes[11] < 0.02 * sizes[7]


def test_the_fit_is_exact_at_its_nodes_for_every_order() -> None:
    """At the nodes the span is that of the exact bands, whatever rotation made it smooth."""
    family = replace(FAMILY, electrons=(2, 0), supercell=SQRT3)
    for order in (1, 2, 5):
        orbitals = bloch(family, order, 200.0)
        nodes = np.cos(np.pi * (np.arange(order) + 0.5) / order) if order > 1 else np.zeros(1)
        for node in nodes:
            lam = 0.95 + 0.65 * node
            exact = moire_bands(SQRT3, lam * family.constants["V0"], np.pi / 4, 2, cutoff=600.0).energies.sum()
            assert band_energy(orbitals, lam) == pytest.approx(exact, abs=0.02)


def test_orbital_matrices_are_the_plane_wave_sums() -> None:
    for family in (SIX, TWISTED):
        orbitals = bloch(family, 4, 60.0)
        x = random_positions(family, 1, 2)[0]
        (matrix,) = orbitals(x, jnp.asarray([0.8]))
        even, odd = np.polynomial.chebyshev.chebval(
            float(family.scaled(jnp.asarray([0.8]))[0]), np.asarray(orbitals.amplitudes[0])
        )
        angles = np.asarray(x) @ orbitals._waves.T
        if orbitals.complex:
            expected = np.exp(1j * angles) @ (even + 1j * odd)
        else:
            expected = np.cos(angles) @ even + np.sin(angles) @ odd
        np.testing.assert_allclose(matrix[:, 0], expected, rtol=1e-10, atol=1e-12)


def test_spin_species_have_their_own_orbitals() -> None:
    orbitals = bloch(SPINFUL, 4, 60.0)
    up, down = orbitals(random_positions(SPINFUL, 1, 3)[0], jnp.asarray([1.0]))
    assert up.shape == (3, 1, 3) and down.shape == (2, 1, 2)


def test_real_and_complex_orbitals_fill_the_same_shell() -> None:
    """One determinant either way where the shell is closed: √3 × √3, N = 3, up to a constant factor."""
    family = replace(FAMILY, supercell=SQRT3)
    x, p = random_positions(family, 6, 4), random_points(family, 6, 5)[:1].repeat(6, 0)
    logs = []
    for is_complex in (False, True):
        model = SMALL.model_copy(update={"ansatz": "slater", "complex": is_complex, "bloch_order": 10})
        logs.append(np.asarray(evaluate(build(model, family, dtype=jnp.float64), x, p)[1]).real)
    np.testing.assert_allclose(logs[0] - logs[0][0], logs[1] - logs[1][0], atol=1e-4)


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("shift", [0.0, 400.0, -400.0])
def test_sum_of_determinants(complex: bool, shift: float) -> None:
    """log Σ_d w_d(c) Π_σ det M_dσ, also where the determinants themselves over- or underflow."""
    rng = np.random.default_rng(6)
    matrices = [rng.normal(size=(3, n, n)) + (1j * rng.normal(size=(3, n, n)) if complex else 0.0) for n in (4, 2)]
    layer = DeterminantSum(3, 2, tilted=False, dtype=jnp.float64)
    layer = jax.tree.map(lambda a: a + jnp.asarray(rng.normal(size=a.shape)), layer)
    condition = jnp.asarray([0.3, -0.8])
    weights = np.asarray(layer.weights.base) + np.asarray(condition) @ np.asarray(layer.weights.slope)
    expected = (weights * np.linalg.det(matrices[0]) * np.linalg.det(matrices[1])).sum()
    scaled = [jnp.asarray(matrices[0] * np.exp(shift / 4)), jnp.asarray(matrices[1] * np.exp(shift / 2))]
    sign, log = layer([log_det(jnp.moveaxis(matrix, 1, 0)) for matrix in scaled], condition)
    np.testing.assert_allclose(sign * np.exp(log - 2 * shift), expected, rtol=1e-10)


def test_a_network_head_narrower_than_the_electrons_has_no_determinant() -> None:
    """rank ≤ width + 1: six electrons need width 5 or more."""
    sizes = []
    for width in (4, 5):
        head = NetworkOrbitals(
            width, 1, SIX, condition=0, complex=False, rng=np.random.default_rng(1), dtype=jnp.float64
        )
        features = jax.random.normal(jax.random.key(2), (6, width))
        _, log = head(features, jnp.zeros(1), [None], jnp.zeros(1))[0]
        sizes.append(float(jnp.exp(log[0])))
    assert sizes[0] < 1e-12 < 1e-6 < sizes[1]


@pytest.mark.parametrize("ansatz", ["qernel", "psiformer"])
def test_bloch_orbitals_start_as_their_slater_determinant(ansatz: str) -> None:
    """ψ of the untrained network is the determinant of the bands, at any λ."""
    off = {"orbitals": "bloch", "determinants": 1, "jastrow": False, "envelope": False}
    x, p = random_positions(SIX, 4, 7), random_points(SIX, 4, 8)
    values = [
        evaluate(build(SMALL.model_copy(update={"ansatz": name, **off}), SIX, dtype=jnp.float64), x, p)
        for name in (ansatz, "slater")
    ]
    np.testing.assert_array_equal(values[0][0], values[1][0])
    np.testing.assert_allclose(values[0][1], values[1][1], rtol=1e-10)


@pytest.mark.parametrize("family", [SIX, FAMILY], ids=["two thirds", "one third"])
def test_crystal_orbitals_sit_on_the_sites_of_their_registry(family: Hamiltonian) -> None:
    orbitals = CrystalOrbitals(family, 4, dtype=jnp.float64)
    count = family.count
    for registry in range(3):
        sites = orbitals._sites(registry)
        assert sites.shape == (count, 2)
        # |ρ_K|² of the sites: 1/4 with two of three sublattices filled, 1 with one.
        harmonic = abs(np.exp(1j * sites @ THREE.k_point).sum() / count) ** 2
        assert harmonic == pytest.approx(0.25 if count == 6 else 1.0)
        factors = np.asarray(orbitals(jnp.asarray(sites), POINT)[0])
        np.testing.assert_array_equal(factors[:, 0], 1.0)
        assert np.all(np.argmax(factors[:, registry + 1], axis=1) == np.arange(count))
    x = random_positions(family, 1, 9)[0]
    moved = orbitals(x.at[0].add(THREE.vectors[0] - THREE.vectors[1]), POINT)[0]
    np.testing.assert_allclose(moved, orbitals(x, POINT)[0], rtol=1e-10)


@dataclass(frozen=True)
class Sliding(OneBody):
    """The moiré potential at φ = 0, moved by φ/100 periods along a1."""

    name: ClassVar[str] = "sliding"
    summary: ClassVar[str] = "wells that move"
    parameters: ClassVar[tuple[Parameter, ...]] = Moire.parameters

    def components(self, values: Values) -> Components:
        waves, amplitudes = Moire().components({**values, "phase_deg": 0.0})
        return Components(waves, amplitudes * np.exp(-2j * np.pi * waves[:, 0] * float(values["phase_deg"]) / 100))


def test_crystal_orbitals_follow_their_wells() -> None:
    base = replace(SIX, parameters=("lam", "phase_deg"), ranges=((0.3, 1.6), (10.0, 60.0)))
    family = changed(base, terms=(Sliding(), Coulomb()))
    orbitals = CrystalOrbitals(family, 4, dtype=jnp.float64)
    still = CrystalOrbitals(SIX, 4, dtype=jnp.float64)
    x = random_positions(SIX, 1, 9)[0]
    for phase in (10.0, 23.0, 57.0):
        well = phase / 100 * THREE.primitive[0]
        moved = orbitals(x + well, jnp.asarray([0.7, phase]))[0]
        np.testing.assert_allclose(moved, still(x, POINT)[0], rtol=1e-7)


def test_registries_are_translations_of_each_other() -> None:
    """|det| of the next registry, evaluated at electrons translated by a moiré vector, is the same."""
    orbitals = CrystalOrbitals(SIX, 4, dtype=jnp.float64)
    x = random_positions(SIX, 1, 10)[0]
    base = np.sort(np.abs(np.linalg.det(np.asarray(orbitals(x, POINT)[0]).swapaxes(0, 1)[1:])))
    for shift in THREE.translations[1:4]:
        moved = np.sort(np.abs(np.linalg.det(np.asarray(orbitals(x + shift, POINT)[0]).swapaxes(0, 1)[1:])))
        np.testing.assert_allclose(moved, base, rtol=1e-9)
