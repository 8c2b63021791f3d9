"""One conformance list for every optimiser, and SPRING against its definition in parameter space."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from qernel.config import TrainConfig
from qernel.optimise import OPTIMISERS, Adam, Optimiser, Schedule, Spring, Tuning, build_optimiser
from qernel.optimise.spring import damped_solution, gram
from qernel.training.state import as_configured, relaxed

every_optimiser = pytest.mark.parametrize("name", OPTIMISERS)
RNG = np.random.default_rng(5)
ROWS = jnp.asarray(RNG.normal(size=(40, 7)) / 40**0.5)
RESIDUALS = jnp.asarray(RNG.normal(size=40) / 40**0.5)


def optimiser(name: str, **settings: Any) -> Optimiser:
    """The optimiser of a ``[train]`` section."""
    section = {"learning_rate": 0.05, "decay": 100.0, "norm_constraint": 1e6} | settings
    return build_optimiser(TrainConfig(optimiser=name, **section))


@every_optimiser
def test_the_first_step_goes_downhill(name: str) -> None:
    chosen = optimiser(name)
    update, _ = jax.jit(chosen.update)(ROWS, RESIDUALS, chosen.init(jnp.zeros(7)))
    gradient = 2.0 * RESIDUALS @ ROWS
    assert update.shape == (7,)
    assert float(update @ gradient) > 0.0


@every_optimiser
def test_without_a_signal_nothing_moves(name: str) -> None:
    chosen = optimiser(name)
    update, _ = chosen.update(ROWS, jnp.zeros(40), chosen.init(jnp.zeros(7)))
    np.testing.assert_array_equal(update, 0.0)


@every_optimiser
def test_reaches_the_minimum_of_a_quadratic(name: str) -> None:
    """E(θ) = |O(θ − θ*)|², whose residuals are O(θ − θ*)."""
    chosen = optimiser(name, learning_rate=0.1, decay=1e3)
    target = jnp.asarray(RNG.normal(size=7))

    def iterate(carry: tuple[Array, Any], _: None) -> tuple[tuple[Array, Any], None]:
        theta, state = carry
        update, state = chosen.update(ROWS, ROWS @ (theta - target), state)
        return (theta - update, state), None

    (theta, _), _ = jax.jit(lambda s: jax.lax.scan(iterate, s, None, 2000))((jnp.zeros(7), chosen.init(jnp.zeros(7))))
    np.testing.assert_allclose(theta, target, atol=1e-3)


@every_optimiser
def test_the_state_keeps_its_types_so_that_a_step_compiles_once(name: str) -> None:
    for dtype in (jnp.float32, jnp.float64):
        chosen = optimiser(name)
        state = chosen.init(jnp.zeros(7, dtype))
        update, after = jax.eval_shape(chosen.update, ROWS.astype(dtype), RESIDUALS.astype(dtype), state)
        assert update.dtype == dtype
        assert jax.tree.map(lambda a: (a.shape, jnp.dtype(a.dtype)), after) == jax.tree.map(
            lambda a: (a.shape, jnp.dtype(a.dtype)), state
        )


@every_optimiser
def test_the_order_of_walkers_does_not_matter(name: str) -> None:
    chosen = optimiser(name)
    state = chosen.init(jnp.zeros(7))
    order = np.random.default_rng(1).permutation(40)
    for _ in range(3):
        update, after = chosen.update(ROWS, RESIDUALS, state)
        shuffled, _ = chosen.update(ROWS[order], RESIDUALS[order], state)
        np.testing.assert_allclose(shuffled, update, rtol=1e-10)
        state = after


@every_optimiser
def test_parameters_without_influence_stay(name: str) -> None:
    """Padding at the end of the flat vector has zero scores."""
    chosen = optimiser(name)
    rows = jnp.pad(ROWS, ((0, 0), (0, 3)))
    state = chosen.init(jnp.zeros(10))
    for _ in range(3):
        update, state = chosen.update(rows, RESIDUALS, state)
        np.testing.assert_array_equal(update[7:], 0.0)


@every_optimiser
def test_single_precision_follows_double(name: str) -> None:
    chosen = optimiser(name, damping=1e-3)
    states = [chosen.init(jnp.zeros(7, dtype)) for dtype in (jnp.float32, jnp.float64)]
    for _ in range(5):
        single, states[0] = chosen.update(ROWS.astype(jnp.float32), RESIDUALS.astype(jnp.float32), states[0])
        double, states[1] = chosen.update(ROWS, RESIDUALS, states[1])
        np.testing.assert_allclose(single, double, rtol=1e-4, atol=1e-6)


@every_optimiser
def test_the_learning_rate_falls_as_one_over_one_plus_time(name: str) -> None:
    """The same data again and again without momentum: steps shrink as the schedule says."""
    chosen = optimiser(name, learning_rate=1e-3, decay=4.0, momentum=0.0)
    state, lengths = chosen.init(jnp.zeros(7)), []
    for _ in range(9):
        update, state = chosen.update(ROWS, RESIDUALS, state)
        lengths.append(float(jnp.linalg.norm(update)))
    np.testing.assert_allclose(lengths[0] / np.array(lengths), 1.0 + np.arange(9) / 4.0, rtol=1e-5)


def spring(**settings: Any) -> Spring:
    """SPRING without a norm constraint in effect and with learning rate 1."""
    base = Spring(Schedule(1.0, 1e12), damping=0.05, momentum=0.9, norm_constraint=1e12)
    return replace(base, **settings)


@pytest.mark.parametrize(("walkers", "parameters"), [(12, 5), (5, 12)])
def test_spring_is_the_regularised_least_squares_solution(walkers: int, parameters: int) -> None:
    """φ = argmin |Oφ − ε|² + δ|φ − μφ'|² = (OᵀO + δ)⁻¹(Oᵀε + δμφ'), over several steps with new data."""
    rng = np.random.default_rng(walkers)
    chosen = spring()
    state, previous = chosen.init(jnp.zeros(parameters)), np.zeros(parameters)
    for _ in range(4):
        rows, residuals = rng.normal(size=(walkers, parameters)), rng.normal(size=walkers)
        normal = rows.T @ rows + 0.05 * np.eye(parameters)
        previous = np.linalg.solve(normal, rows.T @ residuals + 0.05 * 0.9 * previous)
        update, state = chosen.update(jnp.asarray(rows), jnp.asarray(residuals), state)
        np.testing.assert_allclose(update, previous, rtol=1e-9, atol=1e-12)


def test_spring_with_large_damping_follows_the_gradient() -> None:
    chosen = spring(damping=1e6, momentum=0.0)
    update, _ = chosen.update(ROWS, RESIDUALS, chosen.init(jnp.zeros(7)))
    np.testing.assert_allclose(1e6 * update, RESIDUALS @ ROWS, rtol=1e-4)


def test_spring_with_little_damping_is_the_natural_gradient() -> None:
    """(OᵀO)⁻¹ Oᵀε: the same for every linear reparametrisation θ → Aθ, in which rows become O A⁻¹."""
    chosen = spring(damping=1e-8, momentum=0.0)
    mixing = np.eye(7) + 0.3 * np.random.default_rng(3).normal(size=(7, 7))
    update, _ = chosen.update(ROWS, RESIDUALS, chosen.init(jnp.zeros(7)))
    mixed, _ = chosen.update(ROWS @ np.linalg.inv(mixing), RESIDUALS, chosen.init(jnp.zeros(7)))
    np.testing.assert_allclose(mixed, mixing @ update, rtol=1e-4, atol=1e-6)


def test_spring_survives_one_huge_row() -> None:
    """Its rounding in float32 exceeds the damping: ŌŌᵀ + δ as computed has negative eigenvalues."""
    spring = Spring(Schedule(0.05, 100.0), damping=1e-4, momentum=0.9, norm_constraint=1e-2)
    rows = np.outer(np.geomspace(1.0, 3e3, 60), RNG.normal(size=400)) + 1e-2 * RNG.normal(size=(60, 400))
    single = jnp.asarray(rows, jnp.float32)
    assert np.linalg.eigvalsh(np.asarray(single @ single.T, np.float64)).min() < -spring.damping
    start = spring.init(jnp.zeros(400, jnp.float32))
    update, _ = spring.update(single, jnp.asarray(RNG.normal(size=60), jnp.float32), start)
    assert np.isfinite(np.asarray(update)).all() and float(jnp.linalg.norm(update)) <= 0.1 + 1e-5


def test_damping_grows_until_the_kernel_has_a_factor() -> None:
    kernel = jnp.diag(jnp.asarray([1.0, 0.5, -2e-3]))
    solution = jax.jit(damped_solution)(kernel, jnp.ones(3), jnp.asarray(1e-5))
    np.testing.assert_allclose(solution, 1.0 / (np.array([1.0, 0.5, -2e-3]) + 1e-2), rtol=1e-9)
    plain = damped_solution(jnp.abs(kernel), jnp.ones(3), jnp.asarray(1e-5))
    np.testing.assert_allclose(plain, 1.0 / (np.array([1.0, 0.5, 2e-3]) + 1e-5), rtol=1e-9)


def test_the_kernel_is_accurate_where_few_parameters_have_most_of_every_score() -> None:
    """As the embedding of λ, near a transition: in float32 the other parameters are below the rounding of these."""
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(64, 2000)).astype(np.float32)
    rows[:, rng.choice(2000, 300, replace=False)] *= 1e3
    exact = rows.astype(np.float64) @ rows.T.astype(np.float64)
    kernel, product, combination, _ = gram(jnp.asarray(rows))
    error, plain = (np.linalg.norm(np.asarray(k) - exact, 2) for k in (kernel, rows @ rows.T))
    assert error < 1e-2 * plain
    # What is left is the rounding of the others.
    assert error < np.finfo(np.float32).eps * np.trace(exact) * 1e-5
    vector, weights = rng.normal(size=2000).astype(np.float32), rng.normal(size=64)
    np.testing.assert_allclose(product(jnp.asarray(vector)), rows @ vector, rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(combination(jnp.asarray(weights)), weights @ rows, rtol=1e-4, atol=1e-2)


def test_springs_norm_constraint_bounds_the_step_and_keeps_its_direction() -> None:
    free, bound = spring(), spring(norm_constraint=1e-4)
    first, state = free.update(ROWS, RESIDUALS, free.init(jnp.zeros(7)))
    short, bound_state = bound.update(ROWS, RESIDUALS, bound.init(jnp.zeros(7)))
    assert float(jnp.linalg.norm(short)) == pytest.approx(1e-2, rel=1e-12)
    np.testing.assert_allclose(short / jnp.linalg.norm(short), first / jnp.linalg.norm(first), rtol=1e-12)
    np.testing.assert_allclose(bound_state.direction, state.direction, rtol=1e-12)


def test_spring_is_accurate_in_single_precision_where_one_direction_dominates() -> None:
    """|T|/δ = 1e5, as for a score that all walkers share: the solve itself has to be in double precision."""
    rng = np.random.default_rng(7)
    rows = rng.normal(size=(200, 150)) / 200**0.5
    rows += 10.0 * np.outer(rng.normal(size=200), rng.normal(size=150)) / (200 * 150) ** 0.5
    residuals = rng.normal(size=200) / 200**0.5
    chosen = spring(damping=1e-3, momentum=0.0)
    single, double = (
        chosen.update(jnp.asarray(rows, dtype), jnp.asarray(residuals, dtype), chosen.init(jnp.zeros(150, dtype)))[0]
        for dtype in (jnp.float32, jnp.float64)
    )
    assert float(jnp.linalg.norm(single.astype(double.dtype) - double)) < 5e-3 * float(jnp.linalg.norm(double))


@pytest.mark.parametrize(("rate", "damping"), [(0.5, 4.0), (0.25, 1.0), (1.0, 16.0)])
def test_tuning_is_a_factor_on_what_is_configured(rate: float, damping: float) -> None:
    """As if the configuration had said so from the beginning."""
    tuning = Tuning(jnp.asarray(rate), jnp.asarray(damping))
    tuned, said = (
        Spring(Schedule(0.1, 50.0), 1e-3, 0.9, 1e6),
        Spring(Schedule(0.1 * rate, 50.0), 1e-3 * damping, 0.9, 1e6),
    )
    state = other = tuned.init(jnp.zeros(7))
    for _ in range(3):
        update, state = tuned.update(ROWS, RESIDUALS, state, tuning)
        expected, other = said.update(ROWS, RESIDUALS, other)
        np.testing.assert_allclose(update, expected, rtol=1e-12)
    adam = Adam(Schedule(0.1, 50.0))
    tuned_update = adam.update(ROWS, RESIDUALS, adam.init(jnp.zeros(7)), tuning)[0]
    np.testing.assert_allclose(
        tuned_update, rate * adam.update(ROWS, RESIDUALS, adam.init(jnp.zeros(7)))[0], rtol=1e-12
    )


def test_tuning_returns_to_what_is_configured() -> None:
    tuning = Tuning(jnp.asarray(0.5), jnp.asarray(4.0))
    for _ in range(700):
        tuning = relaxed(tuning)
    assert 0.99 < float(tuning.rate) <= 1.0 and 1.9 < float(tuning.damping) < 2.0
    assert [float(x) for x in relaxed(as_configured())] == [1.0, 1.0]
