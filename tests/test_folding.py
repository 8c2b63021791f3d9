"""Hartree–Fock on a part of the supercell against the same on all of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import unitary_group

from ansatz_cases import FAMILY
from qernel.hamiltonian.family import Hamiltonian
from qernel.hartree_fock import MeanField, PlaneWaves, carried, mean_field, solve
from qernel.hartree_fock.folding import folded, most_parts, unfolded
from qernel.hartree_fock.functional import orthonormal
from qernel.hartree_fock.solution import refined
from qernel.hartree_fock.starts import starts
from qernel.lattice import Supercell

EIGHT = replace(FAMILY, electrons=(8, 0), supercell=Supercell(((2, 2), (-2, 4))))
TWISTED = replace(EIGHT, twist=(0.5, 0.0))
FAMILIES = pytest.mark.parametrize(
    "family", [EIGHT, TWISTED, replace(TWISTED, electrons=(5, 3))], ids=["Γ", "twisted", "spinful"]
)


def exact(family: Hamiltonian, folds: tuple[int, int]) -> MeanField:
    """On a grid that carries every product, so that its size does not matter."""
    shift = family.twist_momentum
    basis = PlaneWaves(family.supercell, 40.0, (float(shift[0]), float(shift[1])), oversampling=2.0, folds=folds)
    return replace(mean_field(family, 0.9), basis=basis, real=False)


@FAMILIES
def test_exchange_of_a_part_is_that_of_the_whole(family: Hamiltonian) -> None:
    part, whole = exact(family, (2, 2)), exact(family, (1, 1))
    assert all(size % 2 == 0 for size in part.basis.grid)
    rng = np.random.default_rng(4)
    blocks = []
    for count in family.electrons:
        if count:
            kind = rng.integers(0, 2, (count, 2))
            own = (part.basis.kinds[None] == kind[:, None]).all(-1)
            rough = rng.normal(size=own.shape) + 1j * rng.normal(size=own.shape)
            blocks.append(np.where(own, rough * np.exp(-part.basis.kinetic / 15.0), 0.0))
    orbitals = orthonormal(blocks)[0]
    (parts, fock), (expected, acted) = part.apply(orbitals), whole.apply(orbitals)
    np.testing.assert_allclose(parts, expected, rtol=1e-12)
    for found, wanted in zip(fock, acted, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-11)


@FAMILIES
def test_the_same_determinant_by_functions_with_a_momentum(family: Hamiltonian) -> None:
    """Bands fill whole momenta; rotated among themselves they have none, and are found again."""
    field = mean_field(family, 0.9, 40.0)
    sea = next(start for start in starts(field) if start.name == "Fermi sea 0")
    mixed = [unitary_group.rvs(len(block), random_state=3) @ block for block in orthonormal(sea.amplitudes)[0]]
    own, functions = folded(field, mixed)
    assert own.basis.folds == (2, 2) == most_parts(field) and not own.real
    for before, after in zip(mixed, functions, strict=True):
        assert abs(np.linalg.det(before.conj() @ after.T)) == pytest.approx(1.0, abs=1e-9)
        kinds = own.basis.kinds
        assert all(len(np.unique(kinds[np.abs(row) > 1e-9], axis=0)) == 1 for row in after)
    other = orthonormal([block + 0.2 * np.roll(block, 1, 1) for block in mixed])[0]
    assert folded(field, other) == (field, other)


@pytest.mark.parametrize("family", [EIGHT, TWISTED], ids=["Γ", "twisted"])
def test_crystals_refined_on_a_part_are_those_refined_on_the_whole(family: Hamiltonian) -> None:
    coarse, fine = mean_field(family, 1.2, 30.0), mean_field(family, 1.2, 60.0)
    start = next(start for start in starts(coarse) if "honeycomb" in start.name)
    crystal = solve(coarse, start.amplitudes, start.name, tolerance=1e-5)
    assert folded(coarse, crystal.orbitals)[0].basis.folds == (2, 2)
    found = refined(crystal, fine, tolerance=1e-6)
    expected = carried(crystal, fine, "", tolerance=1e-6)
    assert found.converged and found.kind == "crystal" and found.origin == crystal.origin
    assert found.energy == pytest.approx(expected.energy, abs=2e-7)
    assert found.field == fine and found.basis_error == pytest.approx(expected.basis_error, rel=1e-3)
    overlap = found.orbitals[0].conj() @ expected.orbitals[0].T
    assert abs(np.linalg.det(overlap)) == pytest.approx(1.0, abs=1e-5)
    if fine.real:
        np.testing.assert_allclose(found.orbitals[0], fine.symmetrised(found.orbitals[0]), atol=1e-9)


def test_functions_whose_conjugates_are_missing_are_not_made_real() -> None:
    """Of the first shell without a potential one momentum without its opposite is no determinant of real functions."""
    field = mean_field(replace(EIGHT, electrons=(2, 0)), 0.9, 40.0)
    wave = int(field.basis.kinetic.argsort()[1])
    rows = np.eye(len(field.basis.turns), dtype=complex)
    zero = int(field.basis.kinetic.argmin())
    assert unfolded(field, [rows[[zero, wave]]]) is None
    pair = unfolded(field, [rows[[wave, int(field.basis.partners[wave])]]])
    assert pair is not None
    np.testing.assert_allclose(pair[0], field.symmetrised(pair[0]), atol=1e-12)
