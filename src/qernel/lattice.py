"""Geometry: moiré lattices, supercells, and pure functions on positions.

A supercell is an integer matrix S over the moiré lattice vectors, A_i = Σ_j S_ij a_j.
Every function takes positions of shape ``[..., 2]`` in units of the moiré period.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from qernel.primitive import Lattice, fault, gauss_reduce, gram, hermite, lattice_vectors

FloatArray = npt.NDArray[np.floating[Any]]
ComplexArray = npt.NDArray[np.complex128]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Supercell:
    """A periodic simulation cell made of whole moiré cells.

    Attributes:
        matrix: the integer matrix S as nested tuples.
        lattice: the moiré lattice: a key of `qernel.primitive.LATTICES`, or its two vectors in a_M.

    Raises:
        ValueError: if the matrix is singular, or there is no such lattice.
    """

    matrix: tuple[tuple[int, int], tuple[int, int]]
    lattice: Lattice = "triangular"

    def __post_init__(self) -> None:
        reason = fault(self.lattice)
        if reason:
            raise ValueError(f"{self.lattice!r} cannot be the lattice, because {reason}")
        if self.cells == 0:
            raise ValueError(f"supercell {self.matrix} is singular: its rows must be independent")

    @property
    def cells(self) -> int:
        """Number of moiré cells, |det S|."""
        (a, b), (c, d) = self.matrix
        return abs(a * d - b * c)

    @property
    def primitive(self) -> FloatArray:
        """Moiré lattice vectors a_1, a_2 as rows ``[2, 2]``."""
        return lattice_vectors(self.lattice)

    @cached_property
    def shortest(self) -> FloatArray:
        """The shortest basis of the moiré lattice, rows ``[2, 2]``: `primitive` unless that is given by longer ones."""
        shortest: FloatArray = gauss_reduce(np.eye(2, dtype=np.int64), gram(self.lattice)) @ self.primitive
        return shortest

    @property
    def rows(self) -> FloatArray:
        """Supercell vectors A_i as they were given, rows ``[2, 2]``: `vectors` spans the same lattice."""
        rows: FloatArray = np.array(self.matrix) @ self.primitive
        return rows

    @cached_property
    def reduced(self) -> Integers:
        """The shortest equivalent basis in units of the moiré lattice vectors, rows ``[2, 2]``.

        Equivalent matrices S describe the same crystal: their common Hermite form is reduced in integers, so that
        every quantity is identical, on every machine, not just equal to rounding.
        """
        return gauss_reduce(hermite(self.matrix), gram(self.lattice))

    @cached_property
    def vectors(self) -> FloatArray:
        """Supercell vectors as rows ``[2, 2]``, `reduced` to the shortest equivalent basis."""
        vectors: FloatArray = self.reduced @ self.primitive
        return vectors

    @cached_property
    def reciprocal(self) -> FloatArray:
        """Reciprocal vectors of the supercell as rows ``[2, 2]``: A_i·B_j = 2π δ_ij."""
        return 2.0 * np.pi * np.linalg.inv(self.vectors).T

    @cached_property
    def moire_reciprocal(self) -> FloatArray:
        """Reciprocal vectors of the moiré lattice as rows ``[2, 2]``."""
        return 2.0 * np.pi * np.linalg.inv(self.primitive).T

    @cached_property
    def shortest_reciprocal(self) -> FloatArray:
        """Reciprocal vectors of `shortest` as rows ``[2, 2]``: the shortest basis of those of the moiré lattice."""
        return 2.0 * np.pi * np.linalg.inv(self.shortest).T

    @cached_property
    def area(self) -> float:
        """Area of the supercell in a_M²."""
        return float(abs(np.linalg.det(self.vectors)))

    @cached_property
    def inscribed_radius(self) -> float:
        """Largest r such that a disc of radius r fits the Wigner–Seitz cell."""
        return 0.5 * float(
            np.linalg.norm(lattice_points(self.vectors, 2.0 * float(np.linalg.norm(self.vectors[1])))[1])
        )

    def images(self, radius: float) -> FloatArray:
        """Supercell vectors that may bring a displacement, folded into the cell, to within a distance.

        Args:
            radius: in a_M.

        Returns:
            ``[n, 2]``, zero first; zero alone up to the inscribed radius.
        """
        if radius <= self.inscribed_radius * (1 + 1e-9):
            return np.zeros((1, 2))
        # A displacement folded into the cell is at most half its long diagonal away.
        first, second = self.vectors
        half_diagonal = 0.5 * max(np.linalg.norm(first + second), np.linalg.norm(first - second))
        return lattice_points(self.vectors, radius + float(half_diagonal))

    @cached_property
    def translations(self) -> FloatArray:
        """The moiré lattice vectors inside the supercell, shape ``[cells, 2]``, zero first."""
        points = lattice_points(self.primitive, float(np.linalg.norm(self.vectors, axis=1).sum()))
        coordinates = points @ np.linalg.inv(self.vectors)
        return points[np.all((coordinates > -1e-9) & (coordinates < 1 - 1e-9), axis=1)]

    def orbit(self, step: tuple[int, int]) -> FloatArray:
        """The multiples 0, t, 2t, … of a moiré lattice vector until the supercell closes, ``[n, 2]`` in a_M.

        Args:
            step: t in units of the moiré lattice vectors.
        """
        vector = np.asarray(step) @ self.primitive
        multiples = np.arange(1, self.cells + 1)[:, None] * vector
        turns = multiples @ np.linalg.inv(self.vectors)
        closed = np.all(np.abs(turns - np.rint(turns)) < 1e-9, axis=1)
        order = int(np.flatnonzero(closed)[0]) + 1
        return np.concatenate([np.zeros((1, 2)), multiples[: order - 1]])

    @property
    def k_point(self) -> FloatArray:
        """K, the corner of the moiré Brillouin zone where the √3×√3 order appears, ``[2]`` in 1/a_M.

        The only other inequivalent corner is K' = −K, so one of them is enough for |ρ_K|².
        In other lattices than the triangular one it is the wave vector (2/3, 1/3) without a meaning of its own.
        """
        b1, b2 = self.moire_reciprocal
        corner: FloatArray = (2.0 * b1 + b2) / 3.0
        return corner

    @cached_property
    def sublattices(self) -> npt.NDArray[np.int64]:
        """Which of the three √3×√3 sublattices each of `translations` belongs to, ``[cells]``.

        Well defined where K is a wave vector of the supercell.

        Raises:
            ValueError: for a lattice other than the triangular one, which has no such order.
        """
        if self.lattice != "triangular":
            raise ValueError(f"the √3×√3 order is one of the triangular lattice, not of {self.lattice}")
        turns = 3.0 * self.translations @ self.k_point / (2.0 * np.pi)
        return np.round(turns).astype(np.int64) % 3

    def crystal(self, registry: int, electrons: int) -> npt.NDArray[np.bool_]:
        """Which of `translations` the √3×√3 crystal of so many electrons occupies in a registry, ``[cells]``.

        At filling 1/3 a registry is the sublattice that is occupied, at filling 2/3 the one that stays empty.
        """
        chosen = self.sublattices == registry
        return chosen if 3 * electrons == self.cells else ~chosen

    def shells(self, count: int) -> FloatArray:
        """The first ``count`` complete shells of supercell reciprocal vectors, one of each ±G pair.

        A shell has the vectors of one length. Where the lattice is given by its vectors few lengths are equal, and a
        shell has what belongs to one length without strain: 6n vectors around the hexagon of the (n − 1)-th.

        Returns:
            Array ``[n, 2]`` ordered by length, zero excluded.
        """
        return self._shells(self.reciprocal, count)

    def moire_shells(self, count: int) -> FloatArray:
        """The first ``count`` complete `shells` of moiré reciprocal vectors, one of each ±g pair."""
        return self._shells(self.shortest_reciprocal, count)

    def _shells(self, reciprocal: FloatArray, count: int) -> FloatArray:
        return _half_shells(reciprocal, count) if isinstance(self.lattice, str) else _hexagons(reciprocal, count)


def root_three_vectors(cell: Supercell) -> FloatArray:
    """a_1 + a_2 and 2a_2 − a_1 as rows ``[2, 2]``: the enlarged cell of the honeycomb crystal."""
    vectors: FloatArray = np.array([[1.0, 1.0], [-1.0, 2.0]]) @ cell.primitive
    return vectors


def holds_root_three(cell: Supercell) -> bool:
    """Whether the supercell is made of whole √3×√3 cells of a triangular lattice (K is one of its wave vectors)."""
    turns = cell.vectors @ np.linalg.inv(root_three_vectors(cell))
    return cell.lattice == "triangular" and bool(np.all(np.abs(turns - np.round(turns)) < 1e-9))


def lattice_points(vectors: FloatArray, radius: float) -> FloatArray:
    """All lattice points with |R| ≤ radius, ordered by length, the origin first.

    Args:
        vectors: basis as rows ``[2, 2]``.
        radius: cut-off in the unit of the vectors.

    Returns:
        Array ``[n, 2]``.
    """
    inverse = np.linalg.inv(vectors)
    reach = np.ceil(radius * np.linalg.norm(inverse, axis=0)).astype(int) + 1
    grid = np.stack(
        np.meshgrid(np.arange(-reach[0], reach[0] + 1), np.arange(-reach[1], reach[1] + 1), indexing="ij"),
        axis=-1,
    ).reshape(-1, 2)
    points: FloatArray = grid @ vectors
    length = np.linalg.norm(points, axis=1)
    keep = length <= radius * (1 + 1e-12)
    points, length = points[keep], length[keep]
    # Rounded length first, then angle: an order that does not depend on rounding noise, which would also decide
    # between −π and π.
    height = np.where(np.abs(points[:, 1]) < 1e-9, 0.0, points[:, 1])
    angle = np.round(np.arctan2(height, points[:, 0]), 9)
    return points[np.lexsort((angle, np.round(length, 9)))]


def upper_half(points: FloatArray) -> FloatArray:
    """One of each pair ±v of vectors ``[n, 2]``, the zero vector left out."""
    return points[(points[:, 1] > 1e-9) | ((np.abs(points[:, 1]) <= 1e-9) & (points[:, 0] > 1e-9))]


def _half_shells(reciprocal: FloatArray, count: int) -> FloatArray:
    """One vector of each ±G pair from the first ``count`` shells of a reciprocal lattice."""
    if count == 0:
        return np.zeros((0, 2))
    radius = float(np.linalg.norm(reciprocal[0])) * (2.0 + np.sqrt(count) * 1.5)
    lengths = np.zeros(0)
    while len(lengths) <= count:  # Shells thin out with radius: widen until enough of them are complete.
        points = lattice_points(reciprocal, radius)[1:]
        length = np.round(np.linalg.norm(points, axis=1), 8)
        lengths = np.unique(length)
        radius *= 1.5
    return upper_half(points[length <= lengths[count - 1]])


def _hexagons(reciprocal: FloatArray, count: int) -> FloatArray:
    """One vector of each ±G pair from the first ``count`` hexagons around 0 of a reduced reciprocal lattice."""
    first, second = reciprocal
    sign = 1 if round(float(first @ second), 9) <= 0 else -1  # the shorter diagonal is on the first hexagon
    steps = np.arange(-count, count + 1)
    turns = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
    i, j = turns[:, 0], sign * turns[:, 1]
    inside = (np.abs(i - j) <= count) & ((i > 0) | ((i == 0) & (j > 0)))
    points: FloatArray = turns[inside] @ reciprocal
    return points[np.argsort(np.round(np.linalg.norm(points, axis=1), 8), kind="stable")]


def fractional(positions: Any, vectors: FloatArray) -> Any:
    """Coordinates s with r = s·A, for positions ``[..., 2]``."""
    return positions @ np.linalg.inv(vectors).astype(positions.dtype)


def wrap(positions: Any, vectors: FloatArray) -> Any:
    """Positions ``[..., 2]`` folded back into the supercell spanned by ``vectors``."""
    import jax.numpy as jnp

    cell = vectors.astype(positions.dtype)
    return positions - jnp.floor(fractional(positions, vectors)) @ cell


def displacement(difference: Any, vectors: FloatArray) -> Any:
    """The minimum image of ``difference`` ``[..., 2]``, for a reduced basis ``vectors``.

    Rounding fractional coordinates alone is not enough in a skewed cell: it can miss the nearest image
    even inside the inscribed circle. Projecting out the three Voronoi-relevant vectors afterwards does it.
    """
    import jax.numpy as jnp

    cell = vectors.astype(difference.dtype)
    nearest = difference - jnp.round(fractional(difference, vectors)) @ cell
    diagonal = vectors[0] - vectors[1] if vectors[0] @ vectors[1] > 0 else vectors[0] + vectors[1]
    for vector in (vectors[0], vectors[1], diagonal):
        steps = jnp.round(nearest @ (vector / (vector @ vector)).astype(difference.dtype))
        nearest = nearest - steps[..., None] * vector.astype(difference.dtype)
    return nearest
