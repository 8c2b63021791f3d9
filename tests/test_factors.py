"""Determinants and inverses of many matrices, against NumPy, in the batches that XLA leaves whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qernel.estimators.memory import inner_traces
from qernel.laplacian import factors
from qernel.laplacian.factors import inverted, slogdet, undivided

FACTORISATIONS = ("lu", "triangular_solve")


def matrices(*shape: int, complex: bool) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(7)
    real = rng.normal(size=shape)
    return real + 1j * rng.normal(size=shape) if complex else real


def equations(jaxpr: Any) -> Iterator[Any]:
    """All equations of a jaxpr and of those inside it."""
    for equation in jaxpr.eqns:
        yield equation
        for inner in inner_traces(equation.params):
            yield from equations(inner)


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("most", [1, 4, None])
def test_values_of_nested_batches(most: int | None, complex: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factors, "undivided", lambda size, complex: most)
    m = matrices(3, 5, 2, 4, 4, complex=complex)
    sign, log = jax.vmap(jax.vmap(slogdet))(m)
    expected = np.linalg.slogdet(m)
    np.testing.assert_allclose(sign, expected.sign, atol=1e-12)
    np.testing.assert_allclose(log, expected.logabsdet, atol=1e-12)
    sign, log, inverse = jax.jit(jax.vmap(jax.vmap(inverted)))(m)
    np.testing.assert_allclose(sign, expected.sign, atol=1e-12)
    np.testing.assert_allclose(log, expected.logabsdet, atol=1e-12)
    np.testing.assert_allclose(np.asarray(inverse) @ m, np.broadcast_to(np.eye(4), m.shape), atol=1e-9)


@pytest.mark.parametrize("complex", [False, True])
def test_derivatives_are_those_of_the_library(complex: bool) -> None:
    """First and second ones, forward and backward, in a batch."""
    m = jnp.asarray(matrices(3, 4, 4, complex=complex))
    direction = jnp.asarray(matrices(4, 4, complex=complex))

    def along(function: Any) -> Any:
        def value(t: jax.Array, m: jax.Array) -> jax.Array:
            sign, log = function(m + t * direction + t**2 * direction @ direction)
            return log + jnp.sin(3 * jnp.angle(sign))

        def all_of_them(m: jax.Array) -> Any:
            slope = jax.grad(value)
            return value(0.0, m), slope(0.0, m), jax.jvp(lambda t: slope(t, m), (0.0,), (1.0,))[1]

        return jax.vmap(all_of_them)(m)

    for found, expected in zip(along(slogdet), along(jnp.linalg.slogdet), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-9)


def test_batches_stay_below_what_is_divided() -> None:
    """Two devices, as all tests have: 64 walkers with two 24×24 matrices, as value, with gradient and with inverse."""
    assert jax.local_device_count() == 2
    limit = undivided(24, complex=False)
    assert limit == 15 and undivided(24, complex=True) == 5 and undivided(150, complex=True) == 1
    m = jnp.asarray(matrices(64, 2, 24, 24, complex=False))
    cases = (
        jax.vmap(lambda x: slogdet(x)[1].sum()),
        jax.vmap(jax.grad(lambda x: slogdet(x)[1].sum())),
        jax.vmap(lambda x: inverted(x)[2]),
    )
    for case in cases:
        found = [
            int(np.prod(equation.invars[0].aval.shape[:-2]))
            for equation in equations(jax.make_jaxpr(case)(m).jaxpr)
            if equation.primitive.name in FACTORISATIONS
        ]
        assert found and max(found) <= limit


def test_one_device_takes_any_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "local_device_count", lambda: 1)
    assert undivided(54, complex=True) is None


def test_a_singular_matrix_has_a_finite_inverse() -> None:
    m = jnp.asarray([[1.0, 2.0], [2.0, 4.0]], jnp.float32)
    sign, log, inverse = inverted(m)
    assert jnp.isfinite(sign) and jnp.isfinite(log) and jnp.isfinite(inverse).all()
    assert jnp.isfinite(jax.grad(lambda x: slogdet(x)[1])(m)).all()
