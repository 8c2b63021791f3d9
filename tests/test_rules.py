"""The rules that exploit structure — attention and determinants — against automatic differentiation."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from qernel.laplacian import attention
from qernel.laplacian.attention import attend
from qernel.laplacian.determinant import log_det, readout_log_det
from qernel.laplacian.expansion import Displaced, Expanded
from qernel.laplacian.jet import Jet
from qernel.laplacian.own import own as own_functions
from qernel.laplacian.short import summed
from qernel.wavefunction.orbitals.determinants import weighted_sum
from test_jet import X, constant, exact, local, own, quick, smooth

HEADS, GROUPS, SIZE = 2, 3, 4


def assert_exact(got: Jet, expected: Jet) -> None:
    assert got.owners is None
    np.testing.assert_allclose(got.data, expected.data, rtol=1e-9, atol=1e-10 * float(jnp.abs(expected.data).max()))


@pytest.mark.parametrize("cached", [1, attention.CACHED])
def test_attention_between_anything(monkeypatch: pytest.MonkeyPatch, cached: int) -> None:
    """All directions at once, and one after the other."""
    monkeypatch.setattr(attention, "CACHED", cached)
    parts = smooth(3, HEADS, GROUPS, SIZE), smooth(3, HEADS, SIZE), smooth(3, HEADS, SIZE, salt=1)
    got, expected = quick(lambda: (attend(*(exact(f) for f in parts)), exact(lambda x: attend(*(f(x) for f in parts)))))
    assert_exact(got, expected)


@pytest.mark.parametrize("heads", [1, HEADS])
def test_attention_between_electrons_that_have_not_met(heads: int) -> None:
    """The closed form of the first attention."""
    parts = own(heads, GROUPS, SIZE), own(heads, SIZE, salt=1), own(heads, SIZE, salt=2)
    got, expected = quick(lambda: (attend(*(local(f) for f in parts)), exact(lambda x: attend(*(f(x) for f in parts)))))
    assert_exact(got, expected)


def test_attention_of_local_queries_to_other_keys() -> None:
    parts = own(1, GROUPS, SIZE), smooth(3, 1, SIZE), smooth(3, 1, SIZE, salt=1)
    got, expected = quick(
        lambda: (
            attend(local(parts[0]), *(exact(f) for f in parts[1:])),
            exact(lambda x: attend(*(f(x) for f in parts))),
        )
    )
    assert_exact(got, expected)


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("basis", ["none", "local", "dense"])
@pytest.mark.parametrize("block", [(0, 3), (1, 3)])
def test_read_out_determinants(basis: str, complex: bool, block: tuple[int, int]) -> None:
    """Folded into one product, dressed with one-electron orbitals, and in full; also for the second spin species."""
    n = block[1] - block[0]
    weights = constant(2, 4, n) + (1j * constant(4, 2, n).swapaxes(0, 1) if complex else 0.0)
    features = smooth(3, 4)
    orbitals = own(2, n, complex=complex) if basis == "local" else smooth(3, 2, n)

    def logarithm(h: Any, b: Any) -> Any:
        rows = slice(*block)
        if isinstance(h, Jet):
            h = Jet(h.data[:, rows])
            owners = None if b.owners is None else (b.owners[0] + block[0], b.owners[1])
            b = Jet(b.data[:, rows], owners)
        else:
            h, b = h[rows], b[rows]
        return readout_log_det(h, weights, constant(2, n), None if basis == "none" else b)[1]

    def plain(x: Array) -> Array:
        log: Array = logarithm(features(x), orbitals(x))
        return log

    lift = local if basis == "local" else exact
    got, expected, value = quick(lambda: (logarithm(exact(features), lift(orbitals)), exact(plain), plain(X)))
    assert_exact(got, expected)
    np.testing.assert_allclose(got.value, value, rtol=1e-12)


@pytest.mark.parametrize("complex", [False, True])
def test_a_determinant_on_its_node_counts_with_its_derivatives(complex: bool) -> None:
    """ψ = det A + 2 det B where A is exactly singular: Δψ/ψ from the polynomial in the entries of A and B."""
    singular = jnp.asarray([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 1.0, 2.0]])
    regular = jnp.asarray([[1.0, 2.0, 0.5], [0.0, 1.0, 3.0], [2.0, 1.0, 1.0]])
    there = jnp.stack([singular, regular], axis=1) * (1.0 + (0.5j if complex else 0.0))
    moving = smooth(3, 2, 3)

    def matrices(x: Array) -> Array:
        return there + moving(x) - moving(X)

    def total(x: Array) -> Array:
        (a, d), (b, e), (c, f) = matrices(x)
        dets = jnp.stack([jnp.dot(u, jnp.cross(v, w)) for u, v, w in ((a, b, c), (d, e, f))])
        return jnp.log(dets @ jnp.asarray([1.0, 2.0]))

    def by_rule() -> Any:
        sign, log = log_det(exact(matrices))
        return weighted_sum(sign * jnp.asarray([1.0, 2.0]), log)[1]

    got, expected = quick(lambda: (by_rule(), exact(total)))
    np.testing.assert_allclose(got.data.real, expected.data.real, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(got.data[1:].imag, expected.data[1:].imag, rtol=1e-5, atol=1e-6)


def orbitals(x: Array) -> Array:
    """Two determinants of three functions of each electron's coordinates ``[n, 2]``: ``[n, 2, 3]``."""
    weights = constant(2, 2, 3)
    return jnp.sin(jnp.einsum("nx,xdj->ndj", x, weights)) + 0.3 * jnp.einsum("nx,xdj->ndj", x**2, weights + 1.0)


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("width", [2, 9])
def test_determinants_of_displaced_orbitals(width: int, complex: bool) -> None:
    """Dressed with few numbers, by the products of their derivatives, and with many, direction by direction."""
    features, coordinates = smooth(3, width), smooth(3, 2, salt=1)
    weights, bias = 0.3 * constant(2, width, 3), jnp.ones((2, 3))
    turn = jnp.exp(1j * constant(2, 3)) if complex else jnp.ones((2, 3))

    def plain(x: Array) -> Array:
        log: Array = readout_log_det(features(x), weights, bias, orbitals(coordinates(x)) * turn)[1]
        return log

    def by_rule() -> Any:
        x = exact(coordinates)
        at = jax.vmap(lambda r: orbitals(r[None])[0] * turn)
        first = jax.vmap(jax.jacfwd(lambda r: orbitals(r[None])[0] * turn))(x.value)
        second = jax.vmap(jax.jacfwd(jax.jacfwd(lambda r: orbitals(r[None])[0] * turn)))(x.value)
        found = Expanded(at(x.value), jnp.moveaxis(first, -1, 0), jnp.moveaxis(second, (-2, -1), (0, 1)))
        return readout_log_det(exact(features), weights, bias, Displaced(found, x))[1]

    got, expected = quick(lambda: (by_rule(), exact(plain)))
    assert_exact(got, expected)


def surroundings(b: Array) -> tuple[Array, Array]:
    """Functions of four numbers of each electron ``[4, n]``: ``[5, n]`` and ``[2, 3, n]``."""
    numbers = jnp.tanh(constant(5, 4) @ b) * (1.0 + b[0] * b[1])
    return numbers, jnp.cos(constant(6, 4) @ b).reshape(2, 3, -1) * b[2]


def test_functions_of_own_numbers_have_their_derivatives() -> None:
    """Read with weights, and times amounts that depend on all electrons."""
    numbers, amounts, weights = smooth(3, 4), smooth(3, 3), constant(5, 2)

    def plain(x: Array) -> Array:
        scalars, vectors = surroundings(numbers(x).T)
        return jnp.concatenate([scalars.T @ weights, jnp.einsum("xvn,nv->nx", vectors, amounts(x))], axis=-1)

    def by_rule() -> list[Jet]:
        scalars, vectors = own_functions(surroundings, exact(numbers))
        return [scalars.mapped(lambda part: part @ weights).carried(), vectors.weighted(exact(amounts))]

    (read, weighted), expected = quick(lambda: (by_rule(), exact(plain)))
    assert_exact(read, Jet(expected.data[..., :2]))
    assert_exact(weighted, Jet(expected.data[..., 2:]))


@pytest.mark.parametrize("axis", [-1, -3])
def test_sums_over_short_axes(axis: int) -> None:
    parts = smooth(3, 2, 1, 4), smooth(3, 2, 5, 4, salt=1)
    got, expected = quick(
        lambda: (summed(*(exact(f) for f in parts), axis), exact(lambda x: summed(*(f(x) for f in parts), axis)))
    )
    assert_exact(got, expected)
