"""Conditioning on the Hamiltonian: identity at the start, smooth in λ, and no parameter without influence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ansatz_cases import (
    CASES,
    FAMILY,
    SMALL,
    Case,
    evaluate,
    perturbed,
    quick_jit,
    random_points,
    random_positions,
    wavefunction,
)
from qernel.wavefunction import ANSATZE, build, log_psi
from qernel.wavefunction.ansatz.frame import NetworkAnsatz
from qernel.wavefunction.parts.conditioning import Conditioned, Embedding, Film, read, read_mean
from qernel.wavefunction.parts.experts import Router
from qernel.wavefunction.registry import ansatz_named

FIXED_U = replace(FAMILY, ranges=((0.4, 1.4),))
NETWORKS = [name for name in ANSATZE if issubclass(ansatz_named(name), NetworkAnsatz)]


def silenced(module: Any) -> Any:
    """The module with every coefficient that multiplies the condition set to zero."""

    def silence(node: Any) -> Any:
        if isinstance(node, Film):
            return jax.tree.map(jnp.zeros_like, node)
        if isinstance(node, Conditioned) and node.slope is not None:
            return eqx.tree_at(lambda c: c.slope, node, jnp.zeros_like(node.slope))
        if isinstance(node, Router):
            return eqx.tree_at(lambda r: r.condition, node, jnp.zeros_like(node.condition))
        return node

    return jax.tree.map(silence, module, is_leaf=lambda n: isinstance(n, Film | Conditioned | Router))


@pytest.mark.parametrize("ansatz", NETWORKS)
def test_with_identity_film_the_network_does_not_know_lambda(ansatz: str) -> None:
    psi = perturbed(build(SMALL.model_copy(update={"ansatz": ansatz}), FIXED_U, dtype=jnp.float64), 1)
    x = jnp.tile(random_positions(FIXED_U, 1, 2), (5, 1, 1))
    points = jnp.linspace(0.4, 1.4, 5)[:, None]
    assert float(jnp.ptp(evaluate(psi, x, points)[1])) > 1e-3
    sign, log = evaluate(silenced(psi), x, points)
    np.testing.assert_array_equal(sign, sign[0])
    np.testing.assert_allclose(log, log[0], rtol=1e-13)


@pytest.mark.parametrize("ansatz", NETWORKS)
def test_film_starts_as_the_identity(ansatz: str) -> None:
    """With and without FiLM, the untrained wavefunctions of one key are the same."""
    x, p = random_positions(FIXED_U, 4, 3), random_points(FIXED_U, 4, 4)
    values = [
        evaluate(build(SMALL.model_copy(update={"ansatz": ansatz, "film": film}), FIXED_U, dtype=jnp.float64), x, p)
        for film in (True, False)
    ]
    np.testing.assert_array_equal(values[0][0], values[1][0])
    np.testing.assert_allclose(values[0][1], values[1][1], rtol=1e-12)


def test_the_embedding_begins_with_the_scaled_point_and_is_bounded() -> None:
    embedding = perturbed(Embedding(2, 5, rng=np.random.default_rng(1), dtype=jnp.float64), 2)
    for scaled in ([-1.0, 1.0], [0.3, -0.2], [0.0, 0.0]):
        condition = embedding(jnp.asarray(scaled))
        assert condition.shape == (7,)
        np.testing.assert_array_equal(condition[:2], scaled)
        assert float(jnp.abs(condition[2:]).max()) < 1.0


def test_film_and_conditioned_coefficients_are_linear_in_the_condition() -> None:
    rng = np.random.default_rng(3)
    film = perturbed(Film(3, 4, dtype=jnp.float64), 4)
    condition, features = jnp.asarray(rng.normal(size=3)), jnp.asarray(rng.normal(size=(5, 4)))
    expected = features * (1 + condition @ film.scale) + condition @ film.shift
    modulated, weights = film(features, condition), jnp.asarray(rng.normal(size=(4, 6)))
    np.testing.assert_allclose(read(modulated, jnp.eye(4)), expected, rtol=1e-13)
    product = expected @ weights + 0.7
    np.testing.assert_allclose(read(modulated, weights, jnp.full(6, 0.7)), product, rtol=1e-13)
    np.testing.assert_allclose(read_mean(modulated, weights) + 0.7, product.mean(0), rtol=1e-13)
    np.testing.assert_allclose(read_mean(expected, weights) + 0.7, product.mean(0), rtol=1e-13)
    scaled, shift = modulated.readers(weights.reshape(4, 2, 3))
    read_out = np.einsum("nc,cde->nde", features, scaled) + shift
    np.testing.assert_allclose(read_out, (product - 0.7).reshape(5, 2, 3), rtol=1e-12)
    table = perturbed(Conditioned(jnp.asarray(rng.normal(size=(2, 3))), 3), 5)
    first, second = table(condition), table(-condition)
    np.testing.assert_allclose((first + second) / 2, table.base, rtol=1e-12)
    np.testing.assert_allclose(first - table.base, np.einsum("c,cij->ij", condition, table.slope), rtol=1e-12)
    assert Conditioned(jnp.ones(2), 0).slope is None


CRYSTALS = (".balance", ".offset", ".sites")
"""What a universal ansatz keeps for crystals, in systems that hold none."""


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.system in ("spinful", "twisted") or str(c) == "lem-dressed"], ids=str
)
def test_every_parameter_has_an_influence(case: Case) -> None:
    """Over a few configurations and points no trainable array is without gradient; none of it is infinite."""
    x, p = random_positions(case.hamiltonian, 16, 5), random_points(case.hamiltonian, 16, 6)

    @quick_jit
    def spread(module: Any) -> Any:
        def scores(positions: Any, point: Any) -> Any:
            return eqx.filter_grad(lambda m: jnp.real(log_psi(m, positions, point)[1]))(module)

        # A shift of log ψ common to all configurations of one λ has no influence on the physics: look at differences.
        return jax.tree.map(lambda g: jnp.abs(g - g.mean(0)).max(), jax.vmap(scores, in_axes=(0, None))(x, p[0]))

    sizes, _ = jax.tree.flatten_with_path(spread(wavefunction(case)))
    assert len(sizes) == len(jax.tree.leaves(eqx.filter(wavefunction(case), eqx.is_inexact_array)))
    for path, size in sizes:
        assert np.isfinite(size), jax.tree_util.keystr(path)
        if case.system != "dressed" and jax.tree_util.keystr(path).startswith(CRYSTALS):
            continue
        assert float(size) > 1e-9, jax.tree_util.keystr(path)


@pytest.mark.parametrize("ansatz", ANSATZE)
def test_initial_parameters_depend_on_the_key_and_nothing_else(ansatz: str) -> None:
    model = SMALL.model_copy(update={"ansatz": ansatz})
    first, again, other = (
        jax.tree.leaves(eqx.filter(build(model, FAMILY, key=jax.random.key(k), dtype=jnp.float64), eqx.is_array))
        for k in (1, 1, 2)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert all(leaf.dtype == jnp.float64 for leaf in first)
    if ansatz in NETWORKS:
        assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))
