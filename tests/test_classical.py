"""Classical crystals against enumeration of all occupations, known Wigner crystals and Madelung constants."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from ansatz_cases import FAMILY, SQRT3
from families import changed, family
from qernel.hamiltonian.family import Hamiltonian
from qernel.hamiltonian.terms.moire import moire_potential
from qernel.hartree_fock import mean_field
from qernel.hartree_fock.classical import arrangements, crystal_waves, floating, superlattices, wells
from qernel.lattice import FloatArray, Supercell

Matrix = tuple[tuple[int, int], tuple[int, int]]


def electrons(cell: Supercell, count: int, **numbers: Any) -> Hamiltonian:
    """So many electrons in the moiré potential of φ = 45°."""
    return family(cell, (count, 0), **({"V0": 1.0, "U": 1.0} | numbers))


def pair_energies(system: Hamiltonian, sites: FloatArray) -> FloatArray:
    """v between all sites, each pair by its own Ewald sum."""
    difference = sites[:, None] - sites[None] + np.eye(len(sites))[:, :, None] * system.supercell.vectors[0] / 3.1
    ((_, kernel),) = system.interaction.terms
    table = np.asarray(kernel(jnp.asarray(difference), system.constants))
    return np.where(np.eye(len(sites), dtype=bool), 0.0, table)


def least(pairs: FloatArray, count: int) -> float:
    """The lowest energy of all ways to put so many electrons on the sites."""
    chosen = np.array(list(combinations(range(len(pairs)), count)))
    return float(0.5 * pairs[chosen[:, :, None], chosen[:, None]].sum((1, 2)).min())


def energy_of(positions: FloatArray, sites: FloatArray, pairs: FloatArray) -> float:
    """Energy of electrons that sit on sites."""
    index = np.linalg.norm(positions[:, None] - sites, axis=-1).argmin(1)
    np.testing.assert_allclose(sites[index], positions, atol=1e-9)
    return float(0.5 * pairs[np.ix_(index, index)].sum())


@pytest.mark.parametrize(
    ("matrix", "name", "gate"),
    [
        (((3, 0), (0, 3)), "coulomb", 1.0),
        (((4, 0), (0, 3)), "dual_gate", 0.6),
        (((4, 0), (0, 4)), "coulomb", 1.0),
    ],
)
def test_the_lowest_of_all_occupations_is_found(matrix: Matrix, name: str, gate: float) -> None:
    gated = {} if name == "coulomb" else {"gate_distance": gate}
    base = electrons(Supercell(matrix), 1, interaction=name, **gated)
    cells = base.supercell.cells
    sites = base.supercell.translations
    pairs = pair_energies(base, sites)
    for count in range(2, cells, 1 if cells < 16 else 2):
        system = changed(base, electrons=(count, 0))
        found = [energy_of(x, sites, pairs) for x in arrangements(system, system.constants)]
        assert found[0] == pytest.approx(least(pairs, count), abs=1e-9)
        assert np.all(np.diff(found) > 0)


def test_two_equal_wells_in_a_cell() -> None:
    """At φ = 60° electrons choose among both; on √3×√3 cells all ways can be counted."""
    systems = {count: electrons(SQRT3, count, phase_deg=60.0) for count in (2, 3, 4, 5)}
    sites = wells(systems[3], systems[3].constants).level
    assert len(sites) == 6
    pairs = pair_energies(systems[3], sites)
    for count, system in systems.items():
        energy = energy_of(arrangements(system, system.constants)[0], sites, pairs)
        assert energy == pytest.approx(least(pairs, count), abs=1e-9)


@pytest.mark.parametrize(
    ("size", "count", "waves", "strength", "distance"),
    [
        (6, 12, [(2 / 3, 1 / 3)], 1.0, np.sqrt(3)),  # 1/3: √3×√3
        (6, 9, [(0.5, 0), (0, 0.5), (0.5, 0.5)], 1.0, 2.0),  # 1/4: 2×2
        (7, 7, [(3 / 7, 1 / 7)], 1.0, np.sqrt(7)),  # 1/7: √7×√7, or its mirror image
        (6, 24, [(2 / 3, 1 / 3)], 1 / 4, 1.0),  # 2/3: honeycomb
        (6, 27, [(0.5, 0), (0, 0.5), (0.5, 0.5)], 1 / 9, 1.0),  # 3/4: kagome
    ],
)
def test_known_crystals(
    size: int, count: int, waves: list[tuple[float, float]], strength: float, distance: float
) -> None:
    cell = Supercell(((size, 0), (0, size)))
    system = electrons(cell, count)
    positions = arrangements(system, system.constants)[0]
    apart = (positions[:, None] - positions)[~np.eye(count, dtype=bool)] @ np.linalg.inv(cell.vectors)
    images = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), axis=-1).reshape(-1, 1, 2)
    assert np.linalg.norm((apart - np.rint(apart) + images) @ cell.vectors, axis=-1).min() == pytest.approx(distance)
    mirror = [(y, x) for x, y in waves]
    found = [
        np.abs(np.exp(1j * positions @ (np.array(q) @ cell.moire_reciprocal)).mean()) ** 2 for q in (*waves, *mirror)
    ]
    assert max(found[: len(waves)]) == pytest.approx(strength) or max(found) == pytest.approx(strength)
    if len(waves) > 1:
        np.testing.assert_allclose(found, strength, atol=1e-9)
    # The wave vectors of the crystal are among those that are named for it.
    named = crystal_waves(system, system.constants) @ cell.primitive.T / (2 * np.pi)
    rest = np.array(waves)[:, None] - named
    assert np.all(np.abs(rest - np.rint(rest)).max(-1).min(1) < 1e-6)


def test_stripes_at_half_filling() -> None:
    """Rows of occupied wells beside rows of empty ones: one M point has everything."""
    cell = Supercell(((4, 0), (0, 4)))
    system = electrons(cell, 8)
    positions = arrangements(system, system.constants)[0]
    m_points = np.array([[0.5, 0], [0, 0.5], [0.5, 0.5]]) @ cell.moire_reciprocal
    found = np.abs(np.exp(1j * positions @ m_points.T).mean(0)) ** 2
    np.testing.assert_allclose(np.sort(found), [0, 0, 1], atol=1e-12)


def test_no_two_arrangements_are_images_of_each_other() -> None:
    cell = Supercell(((4, 0), (0, 4)))
    rotation, mirror = np.array([[0, 1], [-1, 1]]), np.array([[0, 1], [1, 0]])
    group = [np.linalg.matrix_power(rotation, k) @ m for k in range(6) for m in (np.eye(2, dtype=int), mirror)]
    seen: set[frozenset[tuple[int, ...]]] = set()
    system = electrons(cell, 6)
    for positions in arrangements(system, system.constants):
        sites = np.rint(positions @ np.linalg.inv(cell.primitive)).astype(int)
        steps = np.rint(cell.translations @ np.linalg.inv(cell.primitive)).astype(int)
        images = {frozenset(map(tuple, (sites @ turn + step) % 4)) for turn in group for step in steps}
        assert not images & seen
        seen |= images


def test_superlattices_are_subgroups() -> None:
    """Of Z_6 × Z_6 there are 30, of Z_4 × Z_3 = Z_12 there are 6, and each holds the supercell."""
    for matrix, number in ((((6, 0), (0, 6)), 30), (((4, 0), (0, 3)), 6), (((1, 1), (-1, 2)), 2)):
        found = [*superlattices(Supercell(matrix))]
        assert len(found) == number
        for rows in found:
            turns = np.array(matrix) @ np.linalg.inv(rows)
            np.testing.assert_allclose(turns, np.rint(turns), atol=1e-9)


@pytest.mark.parametrize(("cell", "count"), [(Supercell(((3, 0), (0, 3))), 4), (Supercell(((4, 0), (0, 4))), 4)])
def test_without_wells_the_crystal_is_triangular(cell: Supercell, count: int) -> None:
    system = electrons(cell, count)
    first = floating(system, system.constants)[0]
    energy = float(system.interaction.energy(jnp.asarray(first), system.constants)) / count
    assert energy == pytest.approx(-1.1061026 * np.sqrt(np.pi * count / cell.area), rel=1e-7)


def test_wells_are_where_the_potential_is_deep() -> None:
    """Also where the deepest site is not the origin, and beyond one electron in a cell."""
    for phase in (45.0, -90.0, 170.0):
        system = changed(FAMILY, electrons=(14, 0), phase_deg=phase)
        places = wells(system, system.constants)
        assert places.full.shape == places.level.shape == (9, 2) and places.electrons == 5
        points = jnp.asarray(mean_field(FAMILY, 1.0).basis.grid_points())
        full, level, everywhere = (
            np.asarray(moire_potential(jnp.asarray(x), np.deg2rad(phase))) for x in (places.full, places.level, points)
        )
        np.testing.assert_allclose(full, everywhere.min(), atol=0.05)
        assert np.all(level >= full[0] - 1e-9)


def test_more_electrons_than_wells() -> None:
    systems = {count: electrons(FAMILY.supercell, count) for count in (3, 9, 12, 27, 30)}
    for count in (9, 12, 27, 30):
        first = arrangements(systems[count], systems[count].constants)[0]
        assert first.shape == (count, 2) and np.isfinite(first).all()
    # Beside full wells the rest has the order that it has alone.
    alone, beside, full = (crystal_waves(systems[count], systems[count].constants) for count in (3, 12, 9))
    np.testing.assert_allclose(alone, beside)
    assert len(full) == 0
