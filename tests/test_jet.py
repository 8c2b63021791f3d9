"""Every rule of the forward Laplacian against nested automatic differentiation of the same function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from qernel.laplacian.determinant import log_det
from qernel.laplacian.jet import (
    Jet,
    concatenate,
    contract,
    electrons,
    general,
    lift,
    linear,
    pointwise,
    seed,
    softmax,
    value_of,
)

X = jnp.asarray(np.random.default_rng(1).normal(size=(3, 2)))
"""Coordinates: three electrons, so six derivatives."""


def constant(*shape: int) -> Array:
    """A random constant that depends on its shape only."""
    return jnp.asarray(np.random.default_rng(sum(shape) + 10 * len(shape)).normal(size=shape))


def smooth(*shape: int, complex: bool = False, salt: int = 0) -> Callable[[Array], Array]:
    """A random smooth function of the coordinates with values of this shape."""
    rng = np.random.default_rng(abs(hash((shape, salt))) % 2**32)
    parts = [rng.normal(size=(2, *shape, 6)) for _ in range(2 if complex else 1)]

    def function(x: Array) -> Array:
        flat = x.reshape(-1)
        real = jnp.sin(parts[0][0] @ flat) + 0.3 * (parts[0][1] @ flat) ** 2
        return real + 1j * jnp.cos(parts[1][0] @ flat) if complex else real

    return function


def exact(function: Callable[[Array], Array], x: Array = X) -> Jet:
    """Value, Jacobian and Laplacian of a function of the coordinates, by nested forward differentiation."""

    def flat(y: Array) -> Array:
        return function(y.reshape(x.shape))

    point = x.reshape(-1)
    jacobian = jnp.moveaxis(jax.jacfwd(flat)(point), -1, 0)
    hessian = jax.jacfwd(jax.jacfwd(flat))(point)
    return Jet(jnp.concatenate([flat(point)[None], jacobian, jnp.trace(hessian, axis1=-2, axis2=-1)[None]]))


Rule = Callable[..., Any]


def quick(function: Callable[[], Any]) -> Any:
    """The result of a function compiled with little effort: these tests are all compilation."""
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})()


def own(*shape: int, complex: bool = False, salt: int = 0) -> Callable[[Array], Array]:
    """A random smooth function whose row i depends on the position of electron i alone, ``[3, *shape]``."""
    single = [smooth(*shape, complex=complex, salt=10 * salt + i) for i in range(len(X))]

    def function(x: Array) -> Array:
        return jnp.stack([f(jnp.concatenate([r, r**2, 0.0 * r])) for f, r in zip(single, x, strict=True)])

    return function


def local(function: Callable[[Array], Array], x: Array = X) -> Jet:
    """The local jet of such a function."""
    jet = exact(function, x)
    i = jnp.arange(len(x))
    jacobian = jet.jacobian.reshape(len(x), 2, *jet.shape)[i, :, i]
    return Jet(jnp.concatenate([jet.value[None], jnp.moveaxis(jacobian, 1, 0), jet.laplacian[None]]), (0, len(x)))


def check_local(rules: list[tuple[Rule, bool]], *functions: Callable[[Array], Array]) -> None:
    """Each rule on local jets equals the exact jet, and its result is local exactly where that is expected."""
    results = quick(
        lambda: [
            (rule(*(local(f) for f in functions)), exact(lambda x, rule=rule: rule(*(f(x) for f in functions))))
            for rule, _ in rules
        ]
    )
    for (got, expected), (_, stays) in zip(results, rules, strict=True):
        assert (got.owners is not None) == stays
        np.testing.assert_allclose(got.dense().data, expected.data, rtol=1e-10, atol=1e-10)


def check(rules: Rule | list[Rule], *functions: Callable[[Array], Array]) -> None:
    """Each rule on exact jets equals the exact jet of the rule."""
    rules = rules if isinstance(rules, list) else [rules]
    results = quick(
        lambda: [
            (rule(*(exact(f) for f in functions)), exact(lambda x, rule=rule: rule(*(f(x) for f in functions))))
            for rule in rules
        ]
    )
    for got, expected in results:
        assert isinstance(got, Jet)
        assert got.data.dtype == expected.data.dtype
        scale = float(np.abs(expected.data).max())
        np.testing.assert_allclose(got.data, expected.data, rtol=1e-10, atol=1e-10 * scale)


def test_seed_is_the_identity() -> None:
    np.testing.assert_array_equal(seed(X).dense().data, exact(lambda x: x).data)
    assert seed(X).shape == (3, 2)


@pytest.mark.parametrize("complex", [False, True])
def test_linear(complex: bool) -> None:
    maps: list[Callable[[Array], Array]] = [
        lambda y: y @ constant(5, 4),
        lambda y: y.sum(0),
        lambda y: y.reshape(2, -1),
        lambda y: y[1:3],
        lambda y: y.mean(0) @ constant(5, 2),
    ]
    check([lambda y, f=f: linear(f, y) for f in maps], smooth(4, 5, complex=complex))


def test_pointwise() -> None:
    functions: list[Callable[[Array], Array]] = [
        jnp.tanh,
        jnp.cos,
        jax.nn.gelu,
        lambda y: jnp.log(jnp.abs(y)),
        lambda y: jnp.square(jnp.maximum(y - 0.2, 0.0)),
    ]
    check([lambda y, f=f: pointwise(f, y) for f in functions], smooth(4, 3))


def test_pointwise_of_complex_quantities() -> None:
    check([lambda y: pointwise(jnp.exp, y), lambda y: pointwise(jnp.log, y)], smooth(4, 3, complex=True))


@pytest.mark.parametrize("subscripts", ["ikgd,jkd->kgij", "kgij,jkd->ikgd", "k,nkh->nkh", "nd,kdh->nkh", "i,i->"])
def test_contract(subscripts: str) -> None:
    sizes = dict(i=3, j=3, k=2, g=2, d=4, n=3, h=5)
    left, right = ([sizes[letter] for letter in word] for word in subscripts.split("->")[0].split(","))
    rules: list[Rule] = [
        lambda a, b: contract(subscripts, a, b),
        lambda a, b: contract(subscripts, a, constant(*right)),
        lambda a, b: contract(subscripts, constant(*left), b),
    ]
    check(rules, smooth(*left), smooth(*right, salt=1))


def test_contract_with_complex_weights() -> None:
    weights = constant(4, 2, 3) + 1j * constant(2, 4, 3).swapaxes(0, 1)
    check(lambda h: contract("nc,cdj->dnj", h, weights), smooth(3, 4))
    check(lambda a, b: contract("nc,cj->nj", a, b), smooth(3, 4, complex=True), smooth(4, 2, complex=True))


def test_contract_of_constants_is_einsum() -> None:
    a, b = constant(3, 4), constant(4, 2)
    np.testing.assert_allclose(contract("ij,jk->ik", a, b), a @ b, rtol=1e-14)


def test_softmax() -> None:
    check([softmax, lambda y: softmax(700.0 + y)], smooth(2, 3, 4))


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (4, 2, 4)])
def test_log_det(complex: bool, shape: tuple[int, ...]) -> None:
    function = smooth(*shape, complex=complex)
    check(lambda m: log_det(m)[1], function)
    matrix, (sign, log), (plain_sign, _) = quick(lambda: (function(X), log_det(exact(function)), log_det(function(X))))
    assert sign.shape == shape[1:-1]
    np.testing.assert_allclose(
        sign * np.exp(log.value), np.linalg.det(np.moveaxis(np.asarray(matrix), 0, -2)), rtol=1e-12
    )
    np.testing.assert_allclose(plain_sign, sign)
    if complex:
        np.testing.assert_array_equal(sign, 1.0)


def test_general() -> None:
    functions: list[Callable[[Array], Array]] = [
        jnp.linalg.inv,
        lambda m: jnp.linalg.norm(m, axis=-1),
        lambda m: jnp.cumprod(m, axis=1) @ m,
    ]
    check([lambda m, f=f: general(f, m) for f in functions], smooth(3, 3))


@pytest.mark.parametrize(
    ("first", "second"), [((4,), (4,)), ((3, 4), (4,)), ((4,), (3, 4)), ((2, 1, 4), (3, 1)), ((), (3, 4)), ((), ())]
)
def test_arithmetic_of_two_quantities_broadcasts(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    rules: list[Rule] = [lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b]
    check(rules, smooth(*first), smooth(*second, salt=1))


@pytest.mark.parametrize("shape", [(), (4,), (3, 1), (3, 4), (2, 3, 4)])
def test_arithmetic_with_constants_broadcasts(shape: tuple[int, ...]) -> None:
    other = constant(*shape)
    rules: list[Rule] = [
        lambda y: y + other,
        lambda y: other + y,
        lambda y: y - other,
        lambda y: y * other,
        lambda y: other * y,
        lambda y: 1j * y + (2.0 - 1j) * other,
    ]
    check(rules, smooth(3, 4))


def test_indexing() -> None:
    check([lambda y: y[..., 1:], lambda y: y[jnp.array([2, 0])], lambda y: y[0, 1]], smooth(3, 4))


def test_concatenate_joins_quantities_and_constants() -> None:
    check(lambda a, b: concatenate([a, constant(3, 2), b]), smooth(3, 4), smooth(3, 1, salt=1))
    np.testing.assert_array_equal(concatenate([constant(3, 2), constant(3, 1)]).shape, (3, 3))


def test_a_constant_lifted_has_no_derivatives() -> None:
    jet = lift(constant(3), 8)
    np.testing.assert_array_equal(jet.value, constant(3))
    np.testing.assert_array_equal(jet.data[1:], 0.0)
    assert jet.jacobian.shape == (6, 3)


def test_rules_compose() -> None:
    """A small attention network with a determinant on top."""

    def network(x: Any) -> Any:
        h = pointwise(jnp.tanh, linear(lambda y: y @ constant(2, 4), x) + constant(4))
        weights = softmax(contract("id,jd->ij", h, linear(lambda y: y @ constant(4, 4), h)))
        h = h + contract("ij,jd->id", weights, h)
        h = h * (1.0 + constant(4)) + constant(4)
        log = log_det(contract("nc,cdj->ndj", h, constant(4, 2, 3)))[1]
        return linear(lambda y: y.sum(), pointwise(jnp.sin, log))

    jet, expected, plain = quick(lambda: (network(seed(X)), exact(network), value_of(network(X))))
    np.testing.assert_allclose(jet.data, expected.data, rtol=1e-10)
    np.testing.assert_allclose(plain, jet.value, rtol=1e-11)


def test_what_depends_on_one_electron_stays_local_where_it_can() -> None:
    check_local(
        [
            (lambda a, b: pointwise(jnp.tanh, a), True),
            (lambda a, b: a + b, True),
            (lambda a, b: a * b, True),
            (lambda a, b: a * constant(4) + constant(3, 4), True),
            (lambda a, b: a + 2.0, True),
            (lambda a, b: a * constant(2, 1, 4), False),
            (lambda a, b: a[..., 1:], False),
            (lambda a, b: softmax(a), True),
            (lambda a, b: softmax(contract("nd,nd->n", a, b)), False),
            (lambda a, b: concatenate([a, constant(3, 2), b]), True),
            (lambda a, b: contract("nd,de->ne", a, constant(4, 5)), True),
            (lambda a, b: contract("ed,nd->ne", constant(5, 4), a), True),
            (lambda a, b: contract("nd,nd->n", a, b), True),
            (lambda a, b: contract("nd,md->nm", a, b), False),
            (lambda a, b: contract("nd,de->en", a, constant(4, 5)), False),
            (lambda a, b: contract("nd,d->", a, constant(4)), False),
            (lambda a, b: linear(lambda y: y.sum(0), a), False),
            (lambda a, b: general(lambda y: jnp.cumprod(y, axis=0), a), False),
            (lambda a, b: electrons(a, 1, 3), True),
            (lambda a, b: electrons(a, 1, 3) * electrons(b, 1, 3), True),
            (lambda a, b: electrons(a, 0, 2) * electrons(b, 1, 3), False),
        ],
        own(4),
        own(4, salt=1),
    )


def test_local_and_other_quantities_mix() -> None:
    functions = own(4), smooth(3, 4)
    rules: list[Rule] = [
        lambda a, b: a + b,
        lambda a, b: b * a,
        lambda a, b: contract("nd,md->nm", a, b),
        lambda a, b: concatenate([a, b]),
    ]
    got, expected = quick(
        lambda: (
            [rule(local(functions[0]), exact(functions[1])) for rule in rules],
            [exact(lambda x, rule=rule: rule(functions[0](x), functions[1](x))) for rule in rules],
        )
    )
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("block", [(0, 3), (1, 3)])
def test_log_det_of_orbitals_of_one_electron(block: tuple[int, int], complex: bool) -> None:
    """Also for a spin species that is not the first, whose rows belong to later electrons."""
    n = block[1] - block[0]
    check_local([(lambda m: log_det(electrons(m, *block))[1], False)], own(2, n, complex=complex))
