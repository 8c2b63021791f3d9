"""Shells of free electrons: the table of sizes and twists, and energies by other means."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
import pytest

from qernel.hamiltonian.bands import potential_bands
from qernel.hamiltonian.shells import HALVES, THIRDS, closed_shells, shells
from qernel.hamiltonian.terms.base import Components
from qernel.hamiltonian.twist import Turns
from qernel.lattice import Supercell


class Size(NamedTuple):
    """n×n triangular cells at filling 2/3: highest shell and error at Γ, closed twists, error averaged over twists."""

    n: int
    highest: tuple[int, int]
    error: float
    closed: dict[Turns, float]
    average: float


T = (1 / 3, -1 / 3)
TABLE = [
    Size(3, (5, 6), 0.0185, {T: 0.0185}, 0.047),
    Size(6, (5, 12), 0.1099, {(0.5, 0.0): -0.0119}, 0.0024),
    Size(9, (11, 12), -0.0055, {T: 0.0005}, 0.0024),
    Size(12, (5, 6), 0.0090, {T: 0.0014, (0.5, 0.0): -0.0024}, 0.0008),
    Size(15, (11, 12), -0.0017, {T: 0.0022}, 0.0005),
]
"""Written down from a calculation that is not part of this project."""


def cell(n: int) -> Supercell:
    return Supercell(((n, 0), (0, n)))


@pytest.mark.parametrize("size", TABLE, ids=lambda size: f"{2 * size.n**2 // 3}")
def test_sizes_at_filling_two_thirds(size: Size) -> None:
    electrons = (2 * size.n**2 // 3, 0)
    at_gamma = shells(cell(size.n), electrons)
    assert at_gamma.highest == (size.highest,) and not at_gamma.closed
    assert at_gamma.error == pytest.approx(size.error, abs=6e-5)
    found = {one.twist: one.error for one in closed_shells(cell(size.n), electrons)}
    for twist, error in size.closed.items():
        assert found[twist] == pytest.approx(error, abs=6e-5)
    errors = np.abs([*found.values()])
    assert np.all(np.diff(errors) > -1e-9)
    assert any(turns in HALVES for turns in found) == any(turns in HALVES for turns in size.closed)
    assert found.keys() <= {*HALVES, *THIRDS}
    turns = (np.arange(12) + 0.5) / 12
    average = np.mean([shells(cell(size.n), electrons, twist).error for twist in product(turns, turns)])
    assert average == pytest.approx(size.average, abs=6e-4, rel=0.04)  # the table has another set of twists


def test_twenty_four_electrons_at_gamma_are_many_determinants() -> None:
    assert shells(cell(6), (24, 0)).degeneracy == 792
    assert shells(cell(6), (24, 0), (0.5, 0.0)).degeneracy == 1


@pytest.mark.parametrize(("electrons", "twist"), [((5, 3), (0.2, 0.4)), ((7, 0), (0.0, 0.0)), ((4, 4), (0.5, 0.5))])
def test_energies_are_those_of_bands_without_a_potential(electrons: tuple[int, int], twist: Turns) -> None:
    """In a cell with long rows, and in an equivalent one with the same twist."""
    flat = Components(np.zeros((0, 2), np.int64), np.zeros(0, complex))
    skewed = Supercell(((3, 1), (1, 4)))
    expected = sum(
        potential_bands(skewed, flat, count, cutoff=300.0, twist=twist).energies.sum() for count in electrons if count
    )
    infinite = sum(np.pi * count**2 for count in electrons) / skewed.area
    found = shells(skewed, electrons, twist)
    assert found.error == pytest.approx((expected - infinite) / sum(electrons), abs=1e-9)
    # A_1 and A_1 + A_2: the twist of a sum is the sum of the twists.
    other = shells(Supercell(((3, 1), (4, 5))), electrons, (twist[0], twist[0] + twist[1]))
    assert other.error == pytest.approx(found.error, abs=1e-12) and other.highest == found.highest


@pytest.mark.parametrize("matrix", [((3, 0), (0, 3)), ((4, 1), (0, 5)), ((2, 1), (-1, 3))])
def test_closed_shells_are_odd_without_a_twist_and_even_at_half_turns(matrix: tuple[tuple[int, int], ...]) -> None:
    for count in range(1, 21):
        for one in closed_shells(Supercell(matrix), (count, 0), HALVES):  # type: ignore[arg-type]
            assert count % 2 == (not any(one.twist))


def test_twists_that_are_tried_differ() -> None:
    assert len({tuple(np.round(np.asarray(turns) % 1.0, 6)) for turns in (*HALVES, *THIRDS)}) == 12
