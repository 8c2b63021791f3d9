"""Every term of the Hamiltonian holds what terms promise: one list of checks, whatever is registered (`term_cases.py`).

The oracles are sums that share nothing with Ewald's: regulated Fourier sums, sums over the cells of a larger supercell,
Fourier analysis on a grid, finite differences.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lattice_sums import basis_of, fourier_sum
from qernel.hamiltonian.family import Hamiltonian
from qernel.hamiltonian.wells import minima
from qernel.lattice import FloatArray, Supercell
from qernel.wavefunction.parts.jastrow import PairJastrow
from term_cases import (
    PAIRS,
    PLACES,
    POTENTIALS,
    PRIMITIVE,
    SQRT3,
    STRAINED,
    conditioned,
    interaction,
    kernel,
    moire_grid,
    quick,
    self_image,
    values_of,
)

PARTS = (0.1, 0.8)
"""Where in its intervals a term is looked at."""


def slope(function: Any, values: dict[str, float], name: str, step: float) -> Any:
    """∂/∂values[name] by the five-point formula."""

    def at(multiple: int) -> Any:
        return np.asarray(function(values | {name: values[name] + multiple * step}))

    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step)


# Interactions -------------------------------------------------------------------------------------------------------

OBLONG = ((2, 1), (0, 2))


@pytest.mark.parametrize(
    ("matrix", "lattice", "part"), [(SQRT3, "triangular", 0.1), (OBLONG, "square", 0.8), (SQRT3, STRAINED, 0.4)]
)
@pytest.mark.parametrize("name", PAIRS)
def test_real_space_equals_the_regulated_fourier_sum(name: str, matrix: Any, lattice: Any, part: float) -> None:
    v, basis, values = kernel(name, matrix, lattice), basis_of(matrix, lattice), values_of(PAIRS[name], part)
    expected = [fourier_sum(r, basis, lambda q: v.fourier(q, values)) for r in PLACES]
    np.testing.assert_allclose(interaction(v, PLACES, values), expected, rtol=0, atol=2e-10)


@pytest.mark.parametrize("name", PAIRS)
def test_cells_of_a_supercell_add_up_to_the_small_one(name: str) -> None:
    """v of one cell is the sum of v of the supercell over its translations; ξ likewise, r = 0 left out."""
    large, small = kernel(name, SQRT3, "triangular"), kernel(name, PRIMITIVE, "triangular")
    moves = Supercell(SQRT3).translations
    values = values_of(PAIRS[name], 0.4)
    total = interaction(large, PLACES[:, None] + moves, values).reshape(len(PLACES), -1).sum(1)
    np.testing.assert_allclose(interaction(small, PLACES, values), total, rtol=0, atol=1e-12)
    images = interaction(large, moves[1:], values).sum()
    assert self_image(small, values) == pytest.approx(self_image(large, values) + images, abs=1e-12)


@pytest.mark.parametrize("name", PAIRS)
def test_supercell_vectors_and_signs_change_nothing(name: str) -> None:
    v, values, basis = kernel(name, SQRT3, "triangular"), values_of(PAIRS[name], 0.4), basis_of(SQRT3, "triangular")
    here = interaction(v, PLACES, values)
    for other in (PLACES + basis[0], PLACES + [-3, 5] @ basis, -PLACES):
        np.testing.assert_allclose(interaction(v, other, values), here, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", PAIRS)
def test_neither_the_splitting_nor_the_basis_matters(name: str) -> None:
    """Another splitting parameter, in the same supercell by other vectors."""
    v, other = kernel(name, SQRT3, "triangular"), kernel(name, ((1, 1), (-3, 0)), "triangular")
    values = values_of(PAIRS[name], 0.4)
    if "splitting" in [field.name for field in fields(other)]:  # type: ignore[arg-type]
        eta = 1.9 * float(np.sqrt(np.pi / v.supercell.area))
        other = replace(other, splitting=eta)  # type: ignore[type-var]
    np.testing.assert_allclose(interaction(other, PLACES, values), interaction(v, PLACES, values), rtol=0, atol=1e-12)
    assert self_image(other, values) == pytest.approx(self_image(v, values), abs=1e-12)


@pytest.mark.parametrize("name", PAIRS)
def test_energies_are_sums_over_pairs_and_above_the_bound(name: str) -> None:
    """Electrons anywhere, also outside the cell, and a crystal; in single precision too."""
    v, term = kernel(name, SQRT3, "triangular"), PAIRS[name]
    x = np.random.default_rng(3).uniform(-1, 2, (32, 3, 2)) @ v.supercell.vectors
    x[0] = v.supercell.translations
    i, j = np.triu_indices(3, 1)
    energy = quick(jax.vmap(v.energy, (0, None)))
    for part in PARTS:
        values = values_of(term, part)
        found = np.asarray(energy(jnp.asarray(x), values))
        pairs = interaction(v, x[:4, i] - x[:4, j], values).reshape(4, -1).sum(1)
        np.testing.assert_allclose(found[:4], pairs, rtol=1e-11, atol=1e-11)
        per_electron = term.strength(values) * (found / 3 + 0.5 * self_image(v, values))
        bound = term.lower(values, 3 / v.supercell.area)
        assert (per_electron > bound).all()
        assert per_electron.min() < 0.6 * bound or bound == -np.inf, "far below everything, it would find nothing"
    with jax.numpy_dtype_promotion("strict"):
        scalars = {name: jax.ShapeDtypeStruct((), jnp.float32) for name in values}
        shape = jax.eval_shape(v.energy, jax.ShapeDtypeStruct((3, 2), jnp.float32), scalars)
    assert shape.dtype == jnp.float32
    single = energy(jnp.asarray(x, jnp.float32), values)
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, found, rtol=1e-5, atol=2e-5 * np.abs(found).mean())


@pytest.mark.parametrize("name", PAIRS)
def test_derivatives_by_every_parameter_of_an_interaction(name: str) -> None:
    v, values = kernel(name, SQRT3, "triangular"), values_of(PAIRS[name], 0.4)
    term, place = PAIRS[name], jnp.asarray(PLACES[:1])

    def both(at: dict[str, Any]) -> Any:
        return term.strength(at) * jnp.append(v(place, at), v.self_image(at))

    exact, value = quick(jax.jacfwd(both))(values), quick(both)
    for one in conditioned(term):
        np.testing.assert_allclose(exact[one], slope(value, values, one, 2e-3), rtol=1e-7, atol=1e-8)


def local_energies(name: str, like: bool, distances: FloatArray) -> tuple[FloatArray, FloatArray]:
    """−∇²ψ/ψ in the relative coordinate of two electrons plus their interaction; and the interaction alone.

    ψ is x e^{u(r)} for like and e^{u(r)} for unlike electrons, with the pair Jastrow factor u as it starts.
    """
    values = values_of(PAIRS[name], 0.4)
    pair = Hamiltonian(Supercell(((3, 0), (0, 3))), (2, 0) if like else (1, 1), (PAIRS[name],), values)
    jastrow = PairJastrow(pair, 2, 3, 2.5, dtype=jnp.float64)
    direction, middle = jnp.asarray([0.6, 0.8]), jnp.asarray([0.3, 0.1])

    def placed(r: Any) -> Any:
        return jnp.stack([middle + 0.5 * r, middle - 0.5 * r])

    def log(r: Any) -> Any:
        factor = jastrow(placed(r), jnp.ones(1), jnp.zeros(2))
        return factor + jnp.log(jnp.abs(r[0])) if like else factor

    def local(distance: Any) -> Any:
        r = distance * direction
        gradient = jax.grad(log)
        kinetic = -jnp.trace(jax.jacfwd(gradient)(r)) - (gradient(r) ** 2).sum()
        interaction = pair.potential(placed(r), jnp.ones(1)).interaction
        return kinetic + interaction, interaction

    total, interaction = quick(jax.vmap(local))(jnp.asarray(distances))
    return np.asarray(total), np.asarray(interaction)


@pytest.mark.parametrize("like", [True, False])
@pytest.mark.parametrize("name", PAIRS)
def test_the_local_energy_stays_finite_where_electrons_meet(name: str, like: bool) -> None:
    """It settles as they come closer, while the interaction goes on to rise."""
    total, interaction = local_energies(name, like, np.array([1e-2, 1e-3, 1e-4, 1e-5]))
    steps, rises = np.abs(np.diff(total)), np.diff(interaction)
    assert (steps[1:] < 0.25 * steps[:-1]).all() and steps[-1] < 0.15
    assert (rises > 20 * steps[-1]).all()


# Potentials ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", POTENTIALS)
def test_components_are_those_of_the_potential_on_a_grid(name: str) -> None:
    """And the potential is real, and has the period of the moiré lattice."""
    case, size = POTENTIALS[name], 64
    for part in PARTS:
        values = values_of(case.term, part)
        grid = moire_grid(case.lattice, size)
        potential = case.at(grid, values)
        found = np.fft.fft2(potential.reshape(size, size), norm="forward")
        waves, amplitudes = case.term.components(values)
        expected = np.zeros((size, size), complex)
        np.add.at(expected, tuple(np.asarray(waves).T), amplitudes)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)
        shifted = case.at(grid + case.cell.primitive[0] - 2 * case.cell.primitive[1], values)
        np.testing.assert_allclose(shifted, potential, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", POTENTIALS)
def test_minima_are_found_and_nothing_is_below_the_bound(name: str) -> None:
    case, size = POTENTIALS[name], 120
    for part in PARTS:
        values = values_of(case.term, part)
        grid = case.at(moire_grid(case.lattice, size), values)
        span = np.ptp(grid)
        depths = case.at(np.concatenate(minima(*case.term.components(values), case.cell)), values)
        assert (np.diff(depths) > -1e-8 * max(span, 1.0)).all(), "deepest first"
        assert depths[0] <= grid.min() + 1e-9 and depths[0] > grid.min() - 0.01 * max(span, 1e-9)
        own = case.at(case.term.minima(values, case.cell)[0], values)
        np.testing.assert_allclose(own, depths[0], atol=1e-8)
        lower = case.term.lower(values)
        assert lower <= depths[0] + 1e-9 and lower > depths[0] - 0.35 * max(span, 1e-9)


@pytest.mark.parametrize("name", POTENTIALS)
def test_derivatives_by_every_parameter_of_a_potential(name: str) -> None:
    case, place = POTENTIALS[name], jnp.asarray(PLACES[0])
    values = values_of(case.term, 0.4)

    def value(at: dict[str, Any]) -> Any:
        return case.term.value(place, at, case.cell)

    exact = quick(jax.grad(value))(values)
    for one in conditioned(case.term):
        assert float(exact[one]) == pytest.approx(float(slope(value, values, one, 1e-2)), rel=1e-7, abs=1e-9)
