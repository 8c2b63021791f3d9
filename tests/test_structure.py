"""The word for a state: from the density alone, however its supercell is counted."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from qernel.lattice import FloatArray, Supercell, lattice_points
from qernel.structure import Order, explained, largest


def order(positions: FloatArray, cell: Supercell, *, uniform: bool, smear: float = 0.1) -> Order:
    """Of Gaussians at the positions."""
    waves = lattice_points(cell.reciprocal, 20.0)
    strengths = np.abs(np.exp(1j * waves @ positions.T).mean(1)) ** 2 * np.exp(-((waves**2).sum(1)) * smear**2)
    return largest(strengths, waves, cell, uniform=uniform)


def square_of(size: int) -> Supercell:
    return Supercell(((size, 0), (0, size)))


@pytest.mark.parametrize("size", [4, 6])
def test_a_crystal_is_one_in_every_supercell_that_holds_it(size: int) -> None:
    cell = square_of(size)
    double = np.rint(cell.translations @ np.linalg.inv(cell.primitive)).astype(int) % 2 == 0
    square, rows = cell.translations[double.all(1)], cell.translations[double[:, 0]]
    assert order(square, cell, uniform=False).label == "crystal, q = (1/2, 0)"
    assert order(rows, cell, uniform=False).label == "crystal, q = (1/2, 0)"
    full = order(cell.translations, cell, uniform=False)
    assert full.label == "liquid" and full.q == "" and full.strength < 1e-20
    assert order(cell.translations, cell, uniform=True).label == "crystal, q = (1, 0)"


def test_the_same_electrons_on_other_cells() -> None:
    """Four on a triangular lattice: without a potential the reference lattice is a matter of taste."""
    found = []
    for size in (2, 3, 4):
        cell = square_of(size)
        positions = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) / 2 @ cell.vectors
        found.append(order(positions, cell, uniform=True, smear=0.05 * size))
    assert [one.word for one in found] == ["crystal"] * 3
    np.testing.assert_allclose([one.strength for one in found], found[0].strength)
    assert [one.q for one in found] == ["(1, 0)", "(2/3, 0)", "(1/2, 0)"]


def test_honeycomb_is_named_after_k() -> None:
    cell = square_of(6)
    for registry in range(3):
        found = order(cell.translations[cell.crystal(registry, 24)], cell, uniform=False)
        assert found.wave == (Fraction(2, 3), Fraction(1, 3))
        np.testing.assert_allclose(np.array([2 / 3, 1 / 3]) @ cell.moire_reciprocal, cell.k_point, atol=1e-12)


def test_words_by_strength() -> None:
    wave = (Fraction(1, 2), Fraction(0))
    assert [Order(wave, strength).word for strength in (0.0, 0.009, 0.03, 0.06, 1.0)] == [
        *("liquid", "liquid"),
        *("density wave", "crystal", "crystal"),
    ]
    assert Order(wave, 0.03).label == "density wave, q = (1/2, 0)"


def test_what_the_hamiltonian_explains() -> None:
    cell = square_of(3)
    waves = np.array([[0.0, 0.0], *cell.moire_reciprocal, *cell.reciprocal, cell.k_point])
    assert explained(waves, cell, uniform=False).tolist() == [True, True, True, False, False, False]
    assert explained(waves, cell, uniform=True).tolist() == [True] + 5 * [False]
