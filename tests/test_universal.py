"""Ansätze whose weights belong to no size: symmetries, and the same numbers in other cells."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from ansatz_cases import FAMILY, SMALL, derivatives, energies, evaluate, perturbed, random_points, random_positions
from qernel.config import Config
from qernel.hamiltonian.bands import one_body_bands
from qernel.hamiltonian.family import Hamiltonian
from qernel.laplacian.jet import concatenate, seed
from qernel.laplacian.pairs import PairFunctions, gathered, messages
from qernel.lattice import Supercell
from qernel.wavefunction import Wavefunction, build
from qernel.wavefunction.assemble import relocated
from qernel.wavefunction.orbitals.sea import Sea
from qernel.wavefunction.parts import invariants
from qernel.wavefunction.parts.vicinity import Vicinity
from test_jet import X, constant, exact, quick, smooth

SIX = replace(FAMILY, electrons=(6, 0))
MODEL = SMALL.model_copy(update={"ansatz": "lem", "many_body_range": 2.0})


@cache
def psi(determinants: int = 2, complex: Any = "auto") -> Wavefunction:
    model = MODEL.model_copy(update={"determinants": determinants, "complex": complex})
    module: Wavefunction = perturbed(build(model, SIX, key=jax.random.key(7), dtype=jnp.float64), 8, 0.02)
    return module


def there(hamiltonian: Hamiltonian, determinants: int = 2, complex: Any = "auto") -> Wavefunction:
    model = MODEL.model_copy(update={"determinants": determinants, "complex": complex})
    return relocated(psi(determinants, complex), model, hamiltonian)


def test_the_determinants_of_both_phases_add_up() -> None:
    """ψ = e^(−Nω − κ) ψ_liquid + ψ_crystal: three crystals have their weight e^(Nω + κ), the liquid alone has none."""
    x, points = random_positions(SIX, 4, 3), random_points(SIX, 4, 5)
    alone = {phase: relocated(psi(), MODEL.model_copy(update={"phase": phase}), SIX) for phase in ("liquid", "crystal")}
    sign, log = evaluate(psi(), x, points)
    (s1, l1), (s2, l2) = (evaluate(one, x, points) for one in alone.values())
    conditions = [psi().embedding(SIX.scaled(point)) for point in points]
    tilts = [SIX.count * float(psi().balance(one)) + float(psi().offset(one)) for one in conditions]
    added = s1 * jnp.exp(l1 - jnp.asarray(tilts) - log) + s2 * jnp.exp(l2 - log)
    np.testing.assert_allclose(added, sign, rtol=1e-9)
    for one in alone.values():
        forward, loop = (derivatives(one, x[:1], points[:1], method) for method in ("forward", "loop"))
        for found, expected in zip(forward, loop, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8 * float(jnp.abs(expected).max()))


def functions(x: Array) -> PairFunctions:
    """exp(−d²/2) and d_x exp(−d²) of three electrons, differentiated by JAX."""

    def of(d: Array) -> Array:
        return jnp.stack([jnp.exp(-0.5 * d @ d), d[0] * jnp.exp(-d @ d)])

    d = x[:, None] - x[None, :]
    apart = 1.0 - jnp.eye(len(x))
    values = jnp.moveaxis(jax.vmap(jax.vmap(of))(d), -1, 0)
    slopes = jnp.transpose(jax.vmap(jax.vmap(jax.jacfwd(of)))(d), (3, 2, 0, 1))
    curvatures = jnp.transpose(jax.vmap(jax.vmap(jax.hessian(of)))(d).trace(axis1=-2, axis2=-1), (2, 0, 1))
    return PairFunctions(values * apart, slopes * apart, curvatures * apart)


def test_what_is_gathered_has_its_derivatives() -> None:
    got, expected = quick(
        lambda: (gathered(functions(X), carried=True), exact(lambda x: gathered(functions(x), carried=False)))
    )
    np.testing.assert_allclose(got.data, expected.data, rtol=1e-9, atol=1e-10)


def test_messages_have_their_derivatives() -> None:
    """Of features that depend on all electrons."""
    features = smooth(3, 4)
    got, expected = quick(
        lambda: (messages(functions(X), exact(features)), exact(lambda x: messages(functions(x), features(x))))
    )
    np.testing.assert_allclose(got.data, expected.data, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(("electrons", "depth"), [((2, 1), 1.5), ((3, 0), 0.0)])
@pytest.mark.parametrize("many", [0, 99])
def test_what_is_read_of_invariants_has_its_derivatives(
    monkeypatch: pytest.MonkeyPatch, many: int, electrons: tuple[int, int], depth: float
) -> None:
    """By an electron's own numbers and by all coordinates, in a potential or none; the neighbours are images too."""
    monkeypatch.setattr(invariants, "_MANY", many)
    family = replace(FAMILY, electrons=electrons, constants={**FAMILY.constants, "V0": depth})
    found = invariants.Invariants(family, 2.0)
    weights, amounts, features = constant(found.count, 2), constant(4, found.vectors), smooth(3, 4)

    def read(x: Any, h: Any) -> Any:
        seen = found(x)
        return concatenate([seen.read(weights), seen.along(h, amounts, constant(found.vectors))])

    got, expected = quick(lambda: (read(seed(X), exact(features)), exact(lambda x: read(x, features(x)))))
    scale = float(jnp.abs(expected.data).max())
    np.testing.assert_allclose(got.data, expected.data, rtol=1e-9, atol=1e-11 * scale)


@pytest.mark.parametrize("twist", [(0.0, 0.0), (0.5, 0.0), (1 / 3, -1 / 3)])
def test_a_determinant_of_bloch_functions_has_a_crystal_momentum(twist: tuple[float, float]) -> None:
    """At every point of the family: ψ(r + a) = e^{iK·a} ψ(r), |ψ| with network, backflow and Jastrow factor in it."""
    family = replace(SIX, twist=twist)
    wavefunction = there(family, 1, True)
    x, p = random_positions(family, 4, 1), random_points(family, 4, 2)
    for vector in family.supercell.primitive:
        before, after = evaluate(wavefunction, x, p), evaluate(wavefunction, x + vector, p)
        ratio = np.exp(np.asarray(after[1]) - np.asarray(before[1]))
        np.testing.assert_allclose(np.abs(ratio), 1.0, rtol=1e-9)
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-8)


def test_a_half_twist_has_a_real_wavefunction() -> None:
    """Antiperiodic along the first vector, and the modulus that of the complex one, whose shell is closed too."""
    family = replace(FAMILY, electrons=(4, 0), supercell=Supercell(((4, 0), (0, 2))), twist=(0.5, 0.0))
    real = there(family, 1)
    x, p = random_positions(family, 4, 1), random_points(family, 4, 2)
    sign, log = evaluate(real, x, p)
    assert not np.iscomplexobj(log) and set(np.unique(sign)) <= {-1.0, 1.0}
    moved = x.at[:, 1].add(family.supercell.rows[0])
    np.testing.assert_allclose(evaluate(real, moved, p)[0], -np.asarray(sign))
    np.testing.assert_allclose(evaluate(real, moved, p)[1], log, rtol=1e-9)


def test_other_bases_of_a_cell_have_the_same_wavefunction() -> None:
    family = replace(SIX, supercell=Supercell(((3, 3), (0, 3))))
    x, p = random_positions(SIX, 4, 1), random_points(SIX, 4, 2)
    (_, one), (_, other) = evaluate(psi(), x, p), evaluate(there(family), x, p)
    np.testing.assert_allclose(one, other, rtol=1e-9)


def test_turned_cells_have_the_same_energy() -> None:
    """A long cell at a twist and the same one turned by 120°, electrons with it: every local energy, kinetic and all.

    Turned, a_1 is a_2 − a_1 and a_2 is −a_1; the potential is as it was.
    """
    family = replace(FAMILY, electrons=(4, 0), supercell=Supercell(((4, 0), (0, 2))), twist=(0.5, 0.0))
    turned = replace(family, supercell=Supercell(((-4, 4), (-2, 0))))
    x, p = random_positions(family, 3, 1), random_points(family, 3, 2)
    c, s = np.cos(2 * np.pi / 3), np.sin(2 * np.pi / 3)
    one = energies(there(family, 1), x, p)
    other = energies(there(turned, 1), x @ np.array([[c, -s], [s, c]]).T, p)
    np.testing.assert_allclose(other.kinetic, one.kinetic, rtol=1e-9)
    np.testing.assert_allclose(other.total, one.total, rtol=1e-9)


def test_rotations_of_the_potential_leave_the_wavefunction() -> None:
    """By 120°, and the reflection that exchanges its waves: |ψ| of one closed shell, energies of electrons."""
    family = replace(FAMILY, electrons=(3, 0), supercell=Supercell(((1, 1), (-1, 2))))
    wavefunction = there(family, 1)
    x, p = random_positions(family, 4, 1), random_points(family, 4, 2)
    c, s = np.cos(2 * np.pi / 3), np.sin(2 * np.pi / 3)
    for turn in (np.array([[c, -s], [s, c]]), np.array([[-1.0, 0.0], [0.0, 1.0]])):
        np.testing.assert_allclose(evaluate(wavefunction, x @ turn.T, p)[1], evaluate(wavefunction, x, p)[1], rtol=1e-8)


def test_repeated_surroundings_give_the_same_invariants() -> None:
    """Four electrons of a 3×3 cell beside a copy of themselves see what they see alone: images are neighbours."""
    one = replace(FAMILY, electrons=(4, 0))
    two = replace(FAMILY, electrons=(8, 0), supercell=Supercell(((6, 0), (0, 3))))
    x = random_positions(one, 1, 3)[0]
    doubled = jnp.concatenate([x, x + one.supercell.rows[0]])
    small, large = there(one)._invariants(x), there(two)._invariants(doubled)  # type: ignore[attr-defined]
    np.testing.assert_allclose(large.scalars[:4], small.scalars, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(large.vectors[4:], small.vectors, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("twist", [(0.0, 0.0), (0.5, 0.0), (0.2, -0.35)])
def test_free_electrons_have_their_energy_without_variance(twist: tuple[float, float]) -> None:
    """U = 0 and nothing learned: a closed or open Fermi sea of exact bands."""
    family = replace(
        FAMILY, electrons=(6, 0), twist=twist, constants={**FAMILY.constants, "U": 0.0}, ranges=((0.6, 0.6),)
    )
    model = MODEL.model_copy(update={"determinants": 1, "bloch_order": 1, "bloch_cutoff": 1500.0})
    free = build(model, family, key=jax.random.key(1), dtype=jnp.float64)
    flat = jax.tree_util.tree_map_with_path(
        lambda path, leaf: jnp.zeros_like(leaf) if ".pair" in jax.tree_util.keystr(path) else leaf, free
    )
    found = np.asarray(energies(flat, random_positions(family, 6, 3), random_points(family, 6, 4)).total)
    expected = one_body_bands(family, [0.6], 6, cutoff=1500.0).energies.sum()
    np.testing.assert_allclose(found, expected, rtol=1e-7)


def test_orbitals_are_orthonormal_and_in_order() -> None:
    """Bloch functions of a closed shell on a grid of the cell, unit mean square each."""
    family = replace(FAMILY, electrons=(24, 0), supercell=Supercell(((6, 0), (0, 6))), twist=(0.5, 0.0))
    for real in (True, False):
        sea = Sea(family, 24, (8, 4), 250.0, real)
        size = 48
        turns = np.stack(np.meshgrid(np.arange(size), np.arange(size)), axis=-1).reshape(-1, 2) / size
        values = np.asarray(sea.expanded(jnp.asarray(turns @ family.supercell.vectors), jnp.asarray([0.9])).value)
        np.testing.assert_allclose(values.conj().T @ values / size**2, np.eye(24), atol=1e-5)
        assert sea.labels.min() >= 0.0


def test_derivatives_at_the_edge_of_the_range_are_continuous() -> None:
    """An electron crosses the range of another, and the boundary of the Wigner–Seitz cell."""
    x = random_positions(SIX, 1, 5)[0]
    steps = jnp.asarray([-1e-6, 1e-6])
    away = {"range": 2.0, "boundary": 1.5}
    for distance in away.values():
        near = jnp.stack([x.at[1].set(x[0] + jnp.asarray([distance + step, 0.0])) for step in steps])
        gradient, laplacian = derivatives(psi(), near, jnp.repeat(random_points(SIX, 1, 6), 2, 0), "forward")
        np.testing.assert_allclose(gradient[0], gradient[1], rtol=1e-3, atol=1e-2)
        np.testing.assert_allclose(laplacian[0], laplacian[1], rtol=1e-3, atol=1e-1)


def test_weights_of_polarised_electrons_do_not_serve_two_species() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        there(replace(FAMILY, electrons=(2, 2)))


def test_functions_of_a_neighbour_are_in_units_of_their_spread() -> None:
    """Averages over all places of one neighbour, like or unlike, times their number: n∫b is the mean, n∫b² is 1."""
    family = replace(FAMILY, electrons=(2, 2))
    vicinity = Vicinity(family, 1.2)
    cell, size = family.supercell, 30
    turns = np.stack(np.meshgrid(np.arange(size), np.arange(size)), axis=-1).reshape(-1, 2) / size
    for kind, other in enumerate((1, 2)):

        def values(place: Array, other: int = other) -> Array:
            return vicinity(jnp.zeros((4, 2)).at[other].set(place)).values[:, 0, other]

        found = np.asarray(jax.lax.map(values, jnp.asarray(turns @ cell.vectors)))
        number = family.electrons[kind]
        here = slice(4 * kind, 4 * kind + 4)
        np.testing.assert_allclose(number * found.mean(0)[: vicinity.scalars][here], vicinity.mean[here], rtol=1e-3)
        squares = number * (found**2).mean(0).reshape(5, 2, 4)[:, kind]
        np.testing.assert_allclose(squares, 1.0, rtol=1e-2)


@pytest.mark.parametrize("cells", [2, 4])
def test_orbitals_at_the_border_of_the_zone_are_independent(cells: int) -> None:
    """Without a potential e^{iGr/2} and e^{−iGr/2} are degenerate, and their real parts the same function."""
    config = Config(
        system={"electrons": 5, "supercell": [[cells, 0], [0, cells]], "lattice": "square", "V0": 0.0, "U": 1.0},
        model={"ansatz": "lem", "width": 8, "determinants": 1},
    )
    family = config.hamiltonian()
    count = {2: 5, 4: 13}[cells]
    sea = Sea(family, count, (1, 1), 250.0, True)
    places = np.stack(np.meshgrid(*[np.arange(12) / 12 * cells] * 2), axis=-1).reshape(-1, 2)
    found = np.asarray(sea.expanded(jnp.asarray(places), jnp.asarray([1.0])).value)
    np.testing.assert_allclose(found.T @ found / len(places), np.eye(count), atol=1e-6)
