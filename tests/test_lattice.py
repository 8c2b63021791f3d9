"""Supercells, lattice sums' point sets, and folding of positions, against brute force."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from qernel.lattice import FloatArray, Supercell, displacement, fractional, holds_root_three, lattice_points, wrap
from qernel.primitive import LATTICES, Lattice, lattice_vectors

Matrix = tuple[tuple[int, int], tuple[int, int]]

SQRT3: Matrix = ((1, 1), (-1, 2))
STRAINED = ((1.0, 0.0), (0.53, 0.84))
OBLIQUE = ((1.2, 0.0), (1.2, 0.8))
"""The rectangular lattice of 1.2 and 0.8 by vectors that are not the shortest."""
CELLS: list[tuple[Matrix, Lattice]] = [
    (((1, 0), (0, 1)), "triangular"),
    (SQRT3, "triangular"),
    (((3, 0), (0, 3)), "triangular"),
    (((2, 1), (-1, 3)), "triangular"),
    (((1, 0), (0, 7)), "triangular"),
    (((1, 0), (0, 1)), "square"),
    (((1, 1), (-1, 1)), "square"),
    (((1, 0), (3, 5)), "square"),
    (((2, 1), (-1, 3)), STRAINED),
    (((2, 0), (1, 3)), OBLIQUE),
]
UNIMODULAR = [((1, 3), (0, 1)), ((0, 1), (-1, 0)), ((0, 1), (1, 0)), ((1, 0), (-1_000_003, 1)), ((89, 144), (55, 89))]


def equivalent(matrix: Matrix, transform: Matrix) -> Matrix:
    """The matrix ``transform @ matrix`` in exact integers: another basis of the same superlattice."""
    rows = [[sum(transform[i][k] * matrix[k][j] for k in range(2)) for j in range(2)] for i in range(2)]
    return ((rows[0][0], rows[0][1]), (rows[1][0], rows[1][1]))


def is_lattice_vector(points: FloatArray, basis: FloatArray, tolerance: float = 1e-9) -> bool:
    """Whether every point is an integer combination of the rows of ``basis``."""
    integers = np.linalg.solve(basis.T, np.asarray(points, float).reshape(-1, 2).T)
    return bool(np.all(np.abs(integers - np.round(integers)) < tolerance))


def brute_force_points(basis: FloatArray, radius: float, reach: int = 60) -> FloatArray:
    """Lattice points within a radius, from a grid that is much too large."""
    grid = np.array([[i, j] for i in range(-reach, reach + 1) for j in range(-reach, reach + 1)])
    points: FloatArray = grid @ basis
    return points[np.linalg.norm(points, axis=1) <= radius + 1e-9]


@pytest.mark.parametrize(("matrix", "lattice"), CELLS)
def test_vectors_are_the_shortest_basis_of_the_superlattice(matrix: Matrix, lattice: Lattice) -> None:
    cell = Supercell(matrix, lattice)
    raw = np.array(matrix, float) @ lattice_vectors(lattice)
    a, b = cell.vectors
    assert is_lattice_vector(cell.vectors, raw)
    assert is_lattice_vector(raw, cell.vectors)
    assert np.linalg.det(cell.vectors) > 0
    lengths = np.linalg.norm(brute_force_points(raw, np.linalg.norm(b) + 1e-6), axis=1)
    assert np.linalg.norm(a) == pytest.approx(np.sort(lengths)[1], rel=1e-14)
    assert a @ a <= b @ b + 1e-12
    assert 2 * abs(a @ b) <= a @ a + 1e-12


@pytest.mark.parametrize(("matrix", "lattice"), CELLS)
def test_area_and_reciprocal_vectors(matrix: Matrix, lattice: Lattice) -> None:
    cell = Supercell(matrix, lattice)
    moire_area = {"triangular": np.sqrt(3) / 2, "square": 1.0, STRAINED: 0.84, OBLIQUE: 0.96}[lattice]
    assert cell.cells == round(abs(np.linalg.det(np.array(matrix))))
    assert cell.area == pytest.approx(cell.cells * moire_area, rel=1e-14)
    np.testing.assert_allclose(cell.vectors @ cell.reciprocal.T, 2 * np.pi * np.eye(2), atol=1e-13)
    np.testing.assert_allclose(cell.primitive @ cell.moire_reciprocal.T, 2 * np.pi * np.eye(2), atol=1e-13)


@pytest.mark.parametrize("transform", UNIMODULAR)
@pytest.mark.parametrize(("matrix", "lattice"), CELLS)
def test_equivalent_supercells_are_identical(matrix: Matrix, lattice: Lattice, transform: Matrix) -> None:
    """Bit by bit, even from a basis a million times longer than the cell."""
    cell, other = Supercell(matrix, lattice), Supercell(equivalent(matrix, transform), lattice)
    assert other.cells == cell.cells
    for name in ("vectors", "reciprocal", "translations", "area", "inscribed_radius"):
        np.testing.assert_array_equal(getattr(other, name), getattr(cell, name))
    np.testing.assert_array_equal(other.shells(3), cell.shells(3))


@pytest.mark.parametrize("lattice", ["triangular", "square"])
def test_equally_long_vectors_are_not_swapped(lattice: str) -> None:
    """What the wave vectors of a stored wavefunction are called must not depend on rounding.

    Whether |n a1|² < |n a2|² in floating point depends on n and on the machine.
    """
    for n in range(1, 60):
        np.testing.assert_array_equal(Supercell(((n, 0), (0, n)), lattice).vectors, n * LATTICES[lattice])


@pytest.mark.parametrize(("matrix", "lattice"), CELLS)
def test_the_order_of_lattice_points_does_not_depend_on_rounding(matrix: Matrix, lattice: Lattice) -> None:
    basis = Supercell(matrix, lattice).reciprocal
    rng = np.random.default_rng(1)

    def coordinates(vectors: FloatArray) -> FloatArray:
        return np.rint(lattice_points(vectors, 20.05) @ np.linalg.inv(vectors))

    for _ in range(5):
        noise = 1.0 + 4e-16 * rng.normal(size=(2, 2))
        np.testing.assert_array_equal(coordinates(basis * noise + 4e-16 * rng.normal(size=(2, 2))), coordinates(basis))


def test_left_handed_supercell_has_positive_area() -> None:
    cell = Supercell(((0, 3), (3, 0)))
    assert cell.cells == 9
    assert cell.area == pytest.approx(9 * np.sqrt(3) / 2, rel=1e-14)


@pytest.mark.parametrize(
    ("matrix", "lattice", "radius"),
    [
        (((4, 0), (0, 4)), "triangular", 2.0),
        (SQRT3, "triangular", np.sqrt(3) / 2),
        (((5, 0), (0, 5)), "square", 2.5),
        (((1, 1), (-1, 1)), "square", np.sqrt(2) / 2),
        (((1, 0), (0, 9)), "square", 0.5),
    ],
)
def test_inscribed_radius_is_half_the_shortest_superlattice_vector(
    matrix: Matrix, lattice: Lattice, radius: float
) -> None:
    assert Supercell(matrix, lattice).inscribed_radius == pytest.approx(radius, rel=1e-14)


@pytest.mark.parametrize(("matrix", "lattice"), CELLS)
def test_translations_are_one_moire_vector_for_each_cell(matrix: Matrix, lattice: Lattice) -> None:
    cell = Supercell(matrix, lattice)
    t = cell.translations
    assert t.shape == (cell.cells, 2)
    np.testing.assert_array_equal(t[0], 0.0)
    assert is_lattice_vector(t, cell.primitive)
    coordinates = t @ np.linalg.inv(cell.vectors)
    assert np.all((coordinates > -1e-9) & (coordinates < 1 - 1e-9))
    for i in range(1, len(t)):
        assert not any(is_lattice_vector(t[i] - t[j], cell.vectors) for j in range(i))


def test_lattice_points_are_all_points_within_the_radius() -> None:
    basis = np.array([[1.0, 0.0], [7.3, 0.9]])
    points = lattice_points(basis, 4.0)
    expected = brute_force_points(basis, 4.0)
    assert len(points) == len(expected)
    assert len(np.unique(np.round(points, 8), axis=0)) == len(points)
    assert is_lattice_vector(points, basis)
    lengths = np.linalg.norm(points, axis=1)
    np.testing.assert_array_equal(points[0], 0.0)
    assert lengths.max() <= 4.0
    assert np.all(np.diff(lengths) > -1e-9)


def test_lattice_points_include_the_ones_exactly_on_the_circle() -> None:
    """1 + 6 + 6 + 6 + 12 + 6 points of the triangular lattice within three periods."""
    assert len(lattice_points(LATTICES["triangular"], 3.0)) == 37
    assert len(lattice_points(LATTICES["square"], 5.0)) == 81


@pytest.mark.parametrize(("lattice", "sizes"), [("triangular", [3, 3, 3, 6, 3, 3, 6]), ("square", [2, 2, 2, 4, 2])])
def test_shells_have_the_sizes_of_the_lattice(lattice: str, sizes: list[int]) -> None:
    """Halves of 6, 6, 6, 12, … (triangular) and of 4, 4, 4, 8, 4, … (square)."""
    cell = Supercell(((2, 0), (0, 2)), lattice)
    for count in range(len(sizes) + 1):
        assert cell.shells(count).shape == (sum(sizes[:count]), 2)
        assert cell.moire_shells(count).shape == (sum(sizes[:count]), 2)
    np.testing.assert_allclose(cell.moire_shells(4), 2 * cell.shells(4), rtol=1e-14, atol=1e-13)


@pytest.mark.parametrize("count", [1, 40, 200])
@pytest.mark.parametrize(("matrix", "lattice"), [CELLS[0], CELLS[4], CELLS[5]])
def test_shells_and_their_negatives_are_every_short_reciprocal_vector(
    matrix: Matrix, lattice: Lattice, count: int
) -> None:
    cell = Supercell(matrix, lattice)
    shells = cell.shells(count)
    lengths = np.linalg.norm(shells, axis=1)
    assert np.all(np.diff(lengths) > -1e-8)
    assert len(np.unique(np.round(lengths, 7))) == count
    both = np.concatenate([shells, -shells])
    assert len(np.unique(np.round(both, 7), axis=0)) == 2 * len(shells)
    assert len(both) + 1 == len(brute_force_points(cell.reciprocal, lengths[-1], reach=150))


def test_wrap_moves_by_lattice_vectors_into_the_cell() -> None:
    cell = Supercell(((2, 1), (-1, 3)))
    positions = np.random.default_rng(1).uniform(-30, 30, (400, 2))
    wrapped = np.asarray(wrap(jnp.asarray(positions), cell.vectors))
    coordinates = fractional(wrapped, cell.vectors)
    assert np.all((coordinates > -1e-12) & (coordinates < 1 + 1e-12))
    assert is_lattice_vector(wrapped - positions, cell.vectors)
    np.testing.assert_allclose(coordinates @ cell.vectors, wrapped, atol=1e-14)
    np.testing.assert_allclose(wrap(jnp.asarray(wrapped), cell.vectors), wrapped, atol=1e-14)


@pytest.mark.parametrize(("matrix", "lattice"), CELLS)
def test_displacement_is_the_nearest_image_everywhere(matrix: Matrix, lattice: Lattice) -> None:
    cell = Supercell(matrix, lattice)
    reach = 3 * np.linalg.norm(cell.vectors[1])
    difference = np.random.default_rng(2).uniform(-reach, reach, (500, 2))
    result = np.asarray(displacement(jnp.asarray(difference), cell.vectors))
    images = brute_force_points(cell.vectors, 8 * np.linalg.norm(cell.vectors[1]))
    nearest = np.linalg.norm(difference[:, None, :] + images, axis=-1).min(axis=1)
    np.testing.assert_allclose(np.linalg.norm(result, axis=1), nearest, rtol=0, atol=1e-12)
    assert is_lattice_vector(result - difference, cell.vectors)


def test_folding_keeps_single_precision_and_any_batch_shape() -> None:
    cell = Supercell(SQRT3)
    positions = jnp.asarray(np.random.default_rng(3).normal(size=(2, 3, 4, 2)), jnp.float32)
    for fold in (wrap, displacement):
        result = fold(positions, cell.vectors)
        assert result.dtype == jnp.float32
        assert result.shape == positions.shape
        np.testing.assert_array_equal(fold(positions[1, 2], cell.vectors), result[1, 2])


def test_impossible_supercells_are_refused() -> None:
    with pytest.raises(ValueError, match="singular"):
        Supercell(((1, 2), (2, 4)))
    with pytest.raises(ValueError, match=r"kagome.*triangular"):
        Supercell(((1, 0), (0, 1)), "kagome")
    with pytest.raises(ValueError, match="second vector has to be to the left"):
        Supercell(((1, 0), (0, 1)), ((0.0, 1.0), (1.0, 0.0)))


def test_the_orbit_of_a_step_closes() -> None:
    cell = Supercell(((3, 0), (0, 3)))
    np.testing.assert_allclose(cell.orbit((1, 0)), [[0, 0], [1, 0], [2, 0]], atol=1e-12)
    np.testing.assert_allclose(cell.orbit((3, 0)), [[0, 0]], atol=1e-12)
    assert len(Supercell(((1, 1), (-1, 2))).orbit((1, 0))) == 3
    assert len(Supercell(((2, 1), (0, 3))).orbit((0, 1))) == 3
    assert len(Supercell(((2, 1), (0, 3))).orbit((1, 0))) == 6


# Lattices by their vectors


@pytest.mark.parametrize("name", LATTICES)
@pytest.mark.parametrize("matrix", [SQRT3, ((5, 0), (0, 5)), ((2, 1), (-1, 3))])
def test_vectors_of_a_named_lattice_give_the_same_supercells(name: str, matrix: Matrix) -> None:
    """Ties of equally long vectors fall the same way."""
    (a, b), (c, d) = LATTICES[name].tolist()
    cell, given = Supercell(matrix, name), Supercell(matrix, ((a, b), (c, d)))
    for quantity in ("reduced", "vectors", "reciprocal", "translations", "area", "shortest"):
        np.testing.assert_array_equal(getattr(given, quantity), getattr(cell, quantity))


def test_the_shortest_basis_of_the_moire_lattice() -> None:
    np.testing.assert_allclose(Supercell(SQRT3, OBLIQUE).shortest, [[0.0, 0.8], [-1.2, 0.0]], atol=1e-15)
    for name in LATTICES:
        np.testing.assert_array_equal(Supercell(SQRT3, name).shortest, LATTICES[name])


@pytest.mark.parametrize("lattice", [STRAINED, OBLIQUE, ((1.0, 0.0), (-0.45, 0.87)), ((0.5, 0.0), (0.0, 2.0))])
def test_shells_of_a_strained_lattice_are_hexagons(lattice: Lattice) -> None:
    """As many waves as without strain, in every direction, with the shortest two that span the plane and their sum."""
    cell = Supercell(((2, 0), (0, 2)), lattice)
    for count in range(5):
        shells = cell.shells(count)
        assert len(shells) == 3 * count * (count + 1) // 2
        np.testing.assert_allclose(cell.moire_shells(count), 2 * shells, atol=1e-12)
        both = np.concatenate([shells, -shells])
        assert len(np.unique(np.round(both, 7), axis=0)) == 2 * len(shells)
        assert is_lattice_vector(shells, cell.reciprocal)
    first = cell.shells(1)
    assert is_lattice_vector(cell.reciprocal, first[:2]), "they are a basis"
    third = np.abs(first[2] @ np.linalg.inv(first[:2]))
    np.testing.assert_allclose(third, 1.0, atol=1e-12)
    assert np.linalg.norm(first[2]) <= min(np.linalg.norm(first[0] + s * first[1]) for s in (1, -1)) + 1e-12


def test_only_the_triangular_lattice_has_the_root_three_crystal() -> None:
    assert not holds_root_three(Supercell(SQRT3, STRAINED)) and holds_root_three(Supercell(SQRT3))
    for lattice in ("square", STRAINED):
        with pytest.raises(ValueError, match="one of the triangular lattice"):
            _ = Supercell(SQRT3, lattice).sublattices
