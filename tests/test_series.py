"""Polynomials in the parameters of a family, and the way through a grid of its points."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import jax.numpy as jnp
import numpy as np
import pytest

from ansatz_cases import FAMILY
from qernel.hamiltonian.grid import steps
from qernel.wavefunction.orbitals.chebyshev import Series

THREE = replace(
    FAMILY,
    parameters=("lam", "U", "phase_deg"),
    ranges=((0.3, 1.6), (8.0, 12.0), (10.0, 50.0)),
    constants=FAMILY.constants,
)


def polynomial(point: np.ndarray) -> np.ndarray:
    """Of degree 3, 1 and 2 in the three parameters; two numbers."""
    lam, u, phase = point
    return np.array([lam**3 * u * phase**2 - 2.0 * lam, u * phase - lam**2])


def test_polynomials_of_three_parameters_are_found_everywhere() -> None:
    series = Series.following(THREE, {"lam": 4, "U": 2, "phase_deg": 3})
    assert series.terms == 24
    coefficients = series.fit(np.array([polynomial(point) for point in series.nodes]))
    np.testing.assert_allclose(series.at_nodes(coefficients), [polynomial(point) for point in series.nodes], rtol=1e-9)
    for point in ([0.37, 8.9, 44.0], [1.6, 12.0, 50.0], [1.9, 7.0, 0.0]):
        found = series.at(jnp.asarray(point), jnp.asarray(coefficients))
        np.testing.assert_allclose(found, polynomial(np.array(point)), rtol=1e-9)


def test_what_is_not_followed_is_in_the_middle() -> None:
    series = Series.following(THREE, {"lam": 3, "U": 1, "phase_deg": 2})
    assert series.names == ("lam", "phase_deg") and series.orders == (3, 2)
    assert (series.nodes[:, 1] == 10.0).all()
    fixed = replace(THREE, ranges=((0.3, 1.6), (9.0, 9.0), (10.0, 50.0)))
    assert Series.following(fixed, {"lam": 1, "U": 5, "phase_deg": 2}).names == ("lam", "phase_deg")


@pytest.mark.parametrize(("shape", "start"), [((5,), 2), ((1, 3), 0), ((3, 4), 5), ((3, 2, 3), 17)])
def test_the_way_through_a_grid_reaches_every_point_from_a_neighbour(shape: tuple[int, ...], start: int) -> None:
    """A neighbour that is closer to the start and has been reached; on every line of λ the way stays on the line."""
    places = list(product(*(range(size) for size in shape)))
    reached = {start}
    for point, before in steps(shape, start):
        assert before in reached and point not in reached
        reached.add(point)
        difference = np.subtract(places[point], places[before])
        assert np.abs(difference).sum() == 1
        toward = np.abs(np.subtract(places[point], places[start])) - np.abs(np.subtract(places[before], places[start]))
        assert toward.sum() == 1
        if places[point][0] != places[start][0]:
            assert difference[0] != 0
    assert reached == set(range(len(places)))
