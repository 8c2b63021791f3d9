"""Hartree–Fock against exact cases, direct sums, real-space quadrature, finite differences and the reference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import pytest

from ansatz_cases import FAMILY, MATERIAL, SQRT3, THREE
from families import changed, moire_bands
from families import kernel as kernel_of
from qernel.hamiltonian.family import Hamiltonian
from qernel.hamiltonian.terms.moire import moire_potential
from qernel.hartree_fock import MeanField, PlaneWaves, Solution, carried, lowest, mean_field, search, solve, transition
from qernel.hartree_fock.functional import orthonormal
from qernel.hartree_fock.starts import momentum_masks, starts
from qernel.lattice import Supercell

SIX = replace(FAMILY, electrons=(6, 0))
TWO = replace(FAMILY, electrons=(2, 0), supercell=SQRT3)
SCREENED = [("coulomb", None), ("dual_gate", 0.7), ("single_gate", 0.4)]


def from_start(field: MeanField, name: str, tolerance: float = 1e-6) -> Solution:
    start = next(start for start in starts(field) if start.name == name)
    return solve(field, start.amplitudes, name, start.momenta, tolerance=tolerance)


def random_orbitals(field: MeanField, seed: int) -> list[npt.NDArray[np.complex128]]:
    """Orthonormal orbitals of random amplitudes that fall off with the kinetic energy."""
    rng = np.random.default_rng(seed)
    decay = np.exp(-field.basis.kinetic / 15.0)
    shapes = [(count, len(decay)) for count in field.counts]
    return orthonormal([field.symmetrised((rng.normal(size=s) + 1j * rng.normal(size=s)) * decay) for s in shapes])[0]


@pytest.mark.parametrize("twist", [(0.0, 0.0), (0.2, -0.35)])
def test_one_electron_has_the_band_energy(twist: tuple[float, float]) -> None:
    """Exchange cancels the electron's own Hartree potential; ½Uξ is left."""
    family = replace(FAMILY, electrons=(1, 0), twist=twist)
    found = from_start(mean_field(family, 0.8, 300.0), "random 0")
    band = moire_bands(THREE, 0.8 * MATERIAL.V0, np.pi / 4, 1, cutoff=400.0, twist=twist).energies[0]
    assert found.energy == pytest.approx(
        band + 0.5 * family.constants["U"] * float(kernel_of(family.supercell).self_image()), abs=2e-6
    )
    assert found.parts.interaction == pytest.approx(
        0.5 * family.constants["U"] * float(kernel_of(family.supercell).self_image()), abs=1e-10
    )


def test_without_interaction_the_bands_are_filled(reference: dict[str, Any]) -> None:
    row = reference["one_body_fermi_sea_U0"][0]
    family = changed(SIX, U=0.0, V0=row["V"])
    for start in ("Fermi sea 0", "random 1"):
        assert from_start(mean_field(family, 1.0), start).parts.energy == pytest.approx(row["E_total"], abs=1e-5)


@pytest.mark.parametrize(("interaction", "gate"), SCREENED)
@pytest.mark.parametrize("electrons", [(6, 0), (3, 2)])
def test_plane_waves_without_potential_against_a_double_sum(
    interaction: str, gate: float | None, electrons: tuple[int, int]
) -> None:
    """E = Σ ½k² − (U/2A) Σ_{i≠j, like spins} 2π f(q)/q + ½NUξ with q = |k_i − k_j|."""
    family = changed(FAMILY, V0=0.0, electrons=electrons, interaction=interaction, gate_distance=gate, twist=(0.1, 0.3))
    field = mean_field(family, 1.0, 40.0)
    form = {
        "coulomb": lambda q: 1.0,
        "dual_gate": lambda q: np.tanh(0.7 * q),
        "single_gate": lambda q: 1 - np.exp(-0.8 * q),
    }
    xi = float(kernel_of(family.supercell, interaction, gate).self_image(gate or 1.0))
    expected = 0.5 * family.count * family.constants["U"] * xi
    orbitals = []
    for count, first in zip(electrons, (0, 2), strict=True):
        chosen = np.arange(first, first + 2 * count, 2)
        orbitals.append(np.eye(len(field.basis.turns), dtype=complex)[chosen])
        waves = field.basis.momenta[chosen]
        expected += 0.5 * float((waves**2).sum())
        for i in range(count):
            for j in range(count):
                if i != j:
                    q = float(np.linalg.norm(waves[i] - waves[j]))
                    expected -= family.constants["U"] / (2 * THREE.area) * 2 * np.pi / q * form[interaction](q)
    parts, _ = field.apply([block for block in orbitals if len(block)])
    assert parts.energy == pytest.approx(expected, rel=1e-12)
    assert parts.moire == 0.0


def pair_density(field: MeanField, orbitals: Any, size: int) -> tuple[npt.NDArray[np.float64], Any]:
    """Grid points ``[size², 2]`` and |Ψ(r_1, r_1 − d)|² dr_1 dd over (d, r_1) for two electrons, ``[size², size²]``."""
    fractions = np.stack(np.meshgrid(*[np.arange(size) / size] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    r = fractions @ SQRT3.vectors
    a, b = np.concatenate(orbitals) @ np.exp(1j * field.basis.momenta @ r.T) / np.sqrt(SQRT3.area)
    other = (np.arange(size)[None, :] - np.arange(size)[:, None]) % size
    second = (other[:, None, :, None] * size + other[None, :, None, :]).reshape(size**2, size**2)
    psi = a * b[second]
    if field.counts == (2,):
        psi = (psi - b * a[second]) / np.sqrt(2)
    return r, (np.abs(psi) ** 2 * (SQRT3.area / size**2) ** 2, second)


@pytest.mark.parametrize("electrons", [(2, 0), (1, 1)])
def test_energies_by_quadrature_in_real_space(electrons: tuple[int, int]) -> None:
    """Two electrons on a grid: |Ψ|² with the Ewald sum, w(r) and |ρ_K|²; nothing here is done in plane waves."""
    family = replace(TWO, electrons=electrons)
    # Orbitals as rough as these need the grid on which every product is exact.
    field = replace(mean_field(family, 0.9), basis=PlaneWaves(SQRT3, 40.0, oversampling=2.0))
    orbitals = random_orbitals(field, 3)
    parts, _ = field.apply(orbitals)
    xi = float(kernel_of(family.supercell).self_image())
    sums = []
    for size in (20, 40):
        r, (weight, second) = pair_density(field, orbitals, size)
        # What the point at zero distance stands for, of 1/r on a lattice of points: minus the lattice's own ξ.
        v = np.concatenate([[xi - size * xi], np.asarray(kernel_of(family.supercell)(jnp.asarray(r[1:])))])
        sums.append(float(weight.sum(1) @ v))
    # What is left falls with the cube of the grid spacing.
    pairs = sums[1] + (sums[1] - sums[0]) / 7
    assert abs(sums[1] - sums[0]) > 1e-6
    assert parts.interaction == pytest.approx(family.constants["U"] * (pairs + xi), abs=5e-5)
    assert weight.sum() == pytest.approx(1.0, abs=1e-10)
    w = np.asarray(moire_potential(jnp.asarray(r), np.pi / 4))
    assert parts.moire == pytest.approx(
        0.9 * family.constants["V0"] * float((weight * (w + w[second])).sum()), rel=1e-10
    )
    turn = np.exp(1j * r @ SQRT3.k_point)
    both = turn + turn[second]
    expected = abs((weight * both).sum() / 2) ** 2, float((weight * np.abs(both) ** 2).sum()) / 4
    assert field.structure(orbitals, SQRT3.k_point) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("family", [SIX, replace(FAMILY, electrons=(3, 2), twist=(0.2, 0.1))], ids=["real", "spinful"])
def test_fock_matrix_is_the_derivative_of_the_energy(family: Hamiltonian) -> None:
    """dE/dε of orthonormalised φ + ε η is 2 Re Σ ⟨η|(1 − P) F|φ⟩, by central differences."""
    field = mean_field(family, 0.7, 40.0)
    orbitals, change = random_orbitals(field, 1), random_orbitals(field, 2)
    _, fock = field.apply(orbitals)
    slope = 0.0
    for block, acted, moved in zip(orbitals, fock, change, strict=True):
        rest = acted - (block.conj() @ acted.T).T @ block
        slope += 2 * float(np.vdot(moved, rest).real)

    def energy(step: float) -> float:
        shifted = [block + step * moved for block, moved in zip(orbitals, change, strict=True)]
        return field.apply(orthonormal(shifted)[0])[0].energy

    assert (energy(1e-4) - energy(-1e-4)) / 2e-4 == pytest.approx(slope, rel=1e-6)


def test_reference_energies_and_components(reference: dict[str, Any]) -> None:
    """The reference is itself a minimisation, with components converged to a few 10⁻⁴."""
    free, crystal = reference["HF_N6_3x3_cell"]
    wave = from_start(mean_field(changed(SIX, V0=0.0), 1.0, 100.0), "random 0", 1e-4)
    assert wave.energy == pytest.approx(free["E_per_e"], abs=1e-6)
    # No order at K, where the crystal of this filling has it: rows, as the cell allows without a potential.
    assert wave.field.structure(wave.orbitals, THREE.k_point)[0] < 1e-6 and wave.branch == "crystal"
    found = from_start(mean_field(changed(SIX, V0=crystal["V"], U=crystal["U"]), 1.0, 400.0), "honeycomb crystal")
    assert found.energy == pytest.approx(crystal["E_per_e"], abs=1e-6)
    assert found.parts.kinetic / 6 == pytest.approx(crystal["T_per_e"], abs=5e-4)
    assert found.parts.moire / 6 == pytest.approx(crystal["V"] * crystal["w_per_e"], abs=5e-4)
    assert found.parts.interaction / 6 == pytest.approx(crystal["Uint_per_e"], abs=5e-4)
    assert np.sqrt(found.broken_symmetry) == pytest.approx(crystal["rhoK_per_e"], abs=5e-5)
    assert found.branch == "crystal" and found.converged


def test_twenty_four_electrons() -> None:
    family = replace(FAMILY, electrons=(24, 0), supercell=Supercell(((6, 0), (0, 6))))
    found = from_start(mean_field(family, 1.0, 200.0), "honeycomb crystal", 1e-4)
    assert found.energy == pytest.approx(-17.371, abs=5e-4)
    assert found.parts.energy == pytest.approx(sum(found.parts), rel=1e-15)


def test_hellmann_feynman() -> None:
    """dE/dλ = V0 ⟨Σw⟩ at a stationary point."""
    here = from_start(mean_field(SIX, 1.0, 60.0), "honeycomb crystal")
    up, down = (carried(here, mean_field(SIX, 1.0 + step, 60.0), "", tolerance=1e-6) for step in (1e-2, -1e-2))
    assert (up.energy - down.energy) / 2e-2 == pytest.approx(here.parts.moire / 6, rel=1e-4)


def test_the_basis_converges_and_knows_its_error() -> None:
    found = from_start(mean_field(SIX, 1.0, 75.0), "honeycomb crystal")
    energies, errors = [found.energy], [found.basis_error]
    for cutoff in (150.0, 300.0, 600.0):
        found = carried(found, mean_field(SIX, 1.0, cutoff), "", tolerance=1e-6)
        energies.append(found.energy)
        errors.append(found.basis_error)
    # The lowest is converged to 10⁻⁹: the others lie above it, each by about what it says.
    excess = np.array(energies[:-1]) - energies[-1]
    assert np.all(excess > 0)
    np.testing.assert_allclose(errors[:-1], excess, rtol=0.35)
    assert excess[-1] < 1e-5


def test_the_grid_is_fine_enough() -> None:
    """1.5 against 2 (every product exact): the same functional to 10⁻⁷."""
    found = from_start(mean_field(SIX, 1.4, 100.0), "honeycomb crystal", 1e-5)
    exact = replace(found.field, basis=PlaneWaves(THREE, 100.0, oversampling=2.0)).apply(found.orbitals)[0]
    assert found.parts.energy == pytest.approx(exact.energy, abs=6e-5)
    fine = carried(found, mean_field(SIX, 1.4, 300.0), "", tolerance=1e-5)
    exact = replace(fine.field, basis=PlaneWaves(THREE, 300.0, oversampling=2.0)).apply(fine.orbitals)[0]
    assert fine.parts.energy == pytest.approx(exact.energy, abs=1e-7)


def test_twists() -> None:
    """A twist of a whole turn is none; opposite twists have the same energy (time reversal)."""
    start = "honeycomb crystal"
    energies = [
        from_start(mean_field(replace(SIX, twist=twist), 1.0, 150.0), start, 1e-5).energy
        for twist in ((0.0, 0.0), (1.0, 0.0), (0.2, -0.35), (-0.2, 0.35))
    ]
    assert energies[1] == pytest.approx(energies[0], abs=1e-8)
    assert energies[3] == pytest.approx(energies[2], abs=1e-8)
    assert abs(energies[2] - energies[0]) > 1e-5


def test_masked_orbitals_keep_the_symmetry_of_the_lattice() -> None:
    found = from_start(mean_field(SIX, 1.2, 60.0), "Fermi sea 0")
    density = found.field.density(found.orbitals)
    harmonics = np.abs(np.fft.fft2(density)) / density.sum()
    turns = found.field.basis.grid_waves() @ THREE.primitive.T / (2 * np.pi)
    assert harmonics[np.abs(turns - np.rint(turns)).max(-1) > 1e-6].max() < 1e-12
    assert found.momenta is not None
    assert momentum_masks(found.field.basis, found.momenta)[0].sum() == pytest.approx(
        6 * len(density) ** 2 / 9, rel=0.9
    )
    # A stationary point of the unrestricted energy too.
    _, (fock,) = found.field.apply(found.orbitals)
    (block,) = found.orbitals
    assert np.abs(fock - (block.conj() @ fock.T).T @ block).max() < 1e-5


def test_density_integrates_to_the_number_of_electrons() -> None:
    found = from_start(mean_field(replace(FAMILY, electrons=(3, 2)), 1.0, 60.0), "pattern 0", 1e-3)
    assert found.field.density(found.orbitals).mean() * THREE.area == pytest.approx(5.0, rel=1e-12)


def test_canonical_orbitals_span_the_same_space() -> None:
    found = from_start(mean_field(SIX, 1.0, 60.0), "honeycomb crystal")
    (block,), (acted,) = found.orbitals, found.field.apply(found.orbitals)[1]
    energies, vectors = np.linalg.eigh((block.conj() @ acted.T).real)
    orbitals = [vectors.T @ block]
    parts, fock = found.field.apply(orbitals)
    assert parts.energy == pytest.approx(found.parts.energy, rel=1e-12)
    np.testing.assert_allclose(fock[0], energies[:, None] * orbitals[0], atol=1e-5)


def test_search_finds_both_branches_and_where_they_cross() -> None:
    results = search(SIX, [0.6, 1.0], cutoff=60.0)
    assert [lowest(branches).kind for branches in results] == ["other", "crystal"]
    assert {"other", "crystal", "symmetric"} == set(results[0])
    assert [lowest(branches).order.label for branches in results] == [
        "crystal, q = (2/3, 0)",
        "crystal, q = (2/3, 1/3)",
    ]
    states = [lowest(branches) for branches in results]
    assert states[0].agreed > 5 and states[1].agreed >= 1 and all(state.starts == 12 for state in states)
    crossing = transition(results)
    assert crossing is not None and 0.6 < crossing < 1.0
    # The lowest of 30 independent random starts is not lower.
    best = min(from_start(mean_field(SIX, 0.6, 60.0), f"random {seed}", 1e-4).energy for seed in range(4))
    assert lowest(results[0]).energy <= best + 1e-6


@pytest.mark.slow
def test_complex_orbitals_are_not_lower() -> None:
    """Without a twist the search keeps to real orbitals: complex random starts find nothing better."""
    for family, lam in ((SIX, 0.6), (SIX, 1.2), (replace(FAMILY, electrons=(4, 0)), 0.8)):
        best = lowest(search(family, [lam], cutoff=60.0)[0]).energy
        field = replace(mean_field(family, lam, 60.0), real=False)
        rough = [solve(field, random_orbitals(field, seed), "", tolerance=1e-4).energy for seed in range(20)]
        assert min(rough) >= best - 1e-6


def test_quarter_filling_is_the_two_by_two_crystal() -> None:
    """Nine electrons on 6×6 cells: the classical crystal leads there, where random starts end 0.07 higher."""
    family = replace(FAMILY, electrons=(9, 0), supercell=Supercell(((6, 0), (0, 6))))
    found = from_start(mean_field(family, 2.0, 150.0), "pattern 0", 1e-4)
    assert found.kind == "crystal" and found.order.label == "crystal, q = (1/2, 0)"
    found = carried(found, mean_field(family, 2.0), "", tolerance=1e-4)
    assert found.energy == pytest.approx(-21.69474, abs=1e-5)


def test_half_filling_is_striped() -> None:
    family = replace(FAMILY, electrons=(8, 0), supercell=Supercell(((4, 0), (0, 4))))
    found = from_start(mean_field(family, 2.0, 60.0), "pattern 0", 1e-3)
    assert found.branch == found.kind == "crystal" and 0.5 in np.array(found.order.wave, float)
    assert found.broken_symmetry > 0.3


def test_how_cells_are_counted_does_not_matter() -> None:
    """Four electrons without a potential at one density, on 3×3 and on 4×4 cells: lengths and U scale."""
    states = []
    for size in (3, 4):
        cell = Supercell(((size, 0), (0, size)))
        family = changed(FAMILY, electrons=(4, 0), supercell=cell, V0=0.0, U=60.0 / size)
        states.append(from_start(mean_field(family, 1.0, 400.0 / size**2), "random 0", 1e-4))
    assert [state.branch for state in states] == ["crystal"] * 2
    assert states[0].energy * 9 == pytest.approx(states[1].energy * 16, rel=1e-6)
    assert states[0].broken_symmetry == pytest.approx(states[1].broken_symmetry, rel=1e-2)


def test_a_wigner_crystal_of_many_electrons_is_called_one() -> None:
    family = changed(FAMILY, electrons=(57, 0), supercell=Supercell(((8, 0), (0, 8)), "square"), V0=0.0, U=20.0)
    found = from_start(mean_field(family, 1.0, 25.0), "floating crystal 0", 1e-2)
    assert found.branch == found.kind == "crystal" and found.order.q
