"""Conformance of every ansatz in every system: the checks of the physics, at random parameters."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from ansatz_cases import (
    CASES,
    FAMILY,
    SMALL,
    Case,
    derivatives,
    energies,
    evaluate,
    perturbed,
    quick_jit,
    random_points,
    random_positions,
    wavefunction,
)
from qernel.laplacian.methods import LAPLACIANS
from qernel.measure import load
from qernel.sampling.metropolis import Walkers, sweep
from qernel.sampling.spread import spread_walkers
from qernel.wavefunction import Wavefunction, build, log_psi, parameter_count, parameter_layout

every_case = pytest.mark.parametrize("case", CASES, ids=str)
network_cases = pytest.mark.parametrize("case", [c for c in CASES if c.ansatz != "slater"], ids=str)


BATCH = 6
"""The same everywhere, because every batch size is a compilation of its own."""


def walkers(case: Case, seed: int) -> tuple[Wavefunction, Array, Array]:
    """The wavefunction with random configurations ``[BATCH, N, 2]`` and points ``[BATCH, p]``."""
    family = case.hamiltonian
    return wavefunction(case), random_positions(family, BATCH, seed), random_points(family, BATCH, seed + 1)


@quick_jit
def parameter_slope(psi: Wavefunction, positions: Array, points: Array) -> Array:
    """∂ Re log ψ / ∂(family parameters), ``[BATCH, p]``."""
    return jax.vmap(jax.grad(lambda p, x: jnp.real(log_psi(psi, x, p)[1])))(points, positions)


@every_case
def test_exchange_of_like_electrons_changes_the_sign(case: Case) -> None:
    psi, x, p = walkers(case, 1)
    sign, log = evaluate(psi, x, p)
    up, down = case.hamiltonian.electrons
    for first, second in [(0, 1), (0, up - 1), *([(up, up + 1)] if down > 1 else [])]:
        order = np.arange(up + down)
        order[[first, second]] = order[[second, first]]
        swapped_sign, swapped_log = evaluate(psi, x[:, order], p)
        np.testing.assert_allclose(swapped_sign * np.exp(swapped_log - log), -np.asarray(sign), rtol=1e-8)


def test_a_sum_over_translations_is_invariant_under_them() -> None:
    """ψ(r + t) = ψ(r) for the vector that was asked for and no other; still antisymmetric, with its exact Laplacian."""
    model = SMALL.model_copy(update={"symmetric_along": (1, 0)})
    psi = perturbed(build(model, FAMILY, key=jax.random.key(3), dtype=jnp.float64), 4)
    x, p = random_positions(FAMILY, BATCH, 5), random_points(FAMILY, BATCH, 6)
    sign, log = evaluate(psi, x, p)
    along, across = FAMILY.supercell.primitive
    moved_sign, moved_log = evaluate(psi, x + along, p)
    np.testing.assert_array_equal(moved_sign, sign)
    np.testing.assert_allclose(moved_log, log, atol=1e-9)
    assert np.abs(np.asarray(evaluate(psi, x + across, p)[1] - log)).min() > 1e-3
    swapped_sign, swapped_log = evaluate(psi, x[:, [1, 0, 2]], p)
    np.testing.assert_array_equal(swapped_sign, -np.asarray(sign))
    np.testing.assert_allclose(swapped_log, log, atol=1e-9)

    fast, loop = (derivatives(psi, x, p, method) for method in ("forward", "loop"))
    for a, b in zip(fast, loop, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


@every_case
def test_moving_one_electron_by_a_supercell_vector_gives_the_twist_phase(case: Case) -> None:
    family = case.hamiltonian
    psi, x, p = wavefunction(case), random_positions(family, BATCH, 3), random_points(family, BATCH, 4)
    sign, log = evaluate(psi, x, p)
    for vector, turn in zip(family.supercell.vectors, family.twist, strict=True):
        moved_sign, moved_log = evaluate(psi, x.at[:, 1].add(vector), p)
        ratio = np.asarray(moved_sign / sign * np.exp(moved_log - log))
        np.testing.assert_allclose(ratio, np.exp(2j * np.pi * turn), rtol=1e-8, atol=1e-8)
    moved = energies(psi, x.at[:, 1].add(family.supercell.vectors[0] - family.supercell.vectors[1]), p).total
    np.testing.assert_allclose(moved, energies(psi, x, p).total, rtol=1e-6)


@every_case
def test_three_laplacians_agree(case: Case) -> None:
    psi, x, p = walkers(case, 5)
    gradient, laplacian = derivatives(psi, x, p, "forward")
    for method in ("folx", "loop"):
        other_gradient, other = derivatives(psi, x, p, method)
        np.testing.assert_allclose(gradient, other_gradient, rtol=1e-8, atol=1e-8 * np.abs(other_gradient).max())
        np.testing.assert_allclose(laplacian, other, rtol=1e-8)


@every_case
def test_single_precision_follows_double(case: Case) -> None:
    psi, x, p = walkers(case, 7)
    single = jax.tree.map(lambda a: a.astype(jnp.float32) if eqx.is_inexact_array(a) else a, psi)
    x32, p32 = x.astype(jnp.float32), p.astype(jnp.float32)
    exact, approximate = energies(psi, x, p).total, energies(single, x32, p32).total
    assert approximate.dtype in (jnp.float32, jnp.complex64)
    # Close to a node the local energy itself is ill-conditioned: the typical configuration counts.
    error = np.abs(np.asarray(approximate) - np.asarray(exact)) / np.abs(np.asarray(exact))
    assert np.median(error) < 1e-4


@network_cases
def test_the_local_energy_stays_finite_where_electrons_meet(case: Case) -> None:
    """U/r is cancelled by the cusp: E_L tends to a limit as r does, while without it steps would grow tenfold."""
    family = case.hamiltonian
    psi, p = wavefunction(case), random_points(family, 1, 10)
    x = random_positions(family, 1, 9)[0]
    for pair in ((0, 1), (0, family.count - 1)):
        steps = [r * np.array([np.cos(a), np.sin(a)]) for a in (0.3, 1.7) for r in (1e-2, 1e-3, 1e-4)]
        near = jnp.stack([x.at[pair[1]].set(x[pair[0]] + step) for step in steps])
        total = np.asarray(energies(psi, near, jnp.repeat(p, BATCH, 0)).total).reshape(2, 3)
        first, second = np.abs(np.diff(total)).T
        assert np.all(second < 0.3 * first + 0.05 * family.constants["U"])


def test_the_local_energy_of_a_bare_determinant_does_not_stay_finite() -> None:
    """So the check above would notice a missing cusp."""
    case = Case("slater", "polarised")
    x, p = random_positions(case.hamiltonian, 1, 9)[0], random_points(case.hamiltonian, 1, 10)
    near = jnp.stack([x.at[1].set(x[0] + r * jnp.asarray([0.6, 0.8])) for r in (1e-3, 1e-4) * 3])
    total = energies(wavefunction(case), near, jnp.repeat(p, BATCH, 0)).total
    assert float(total[1] - total[0]) > 0.9 * case.hamiltonian.constants["U"] * (1e4 - 1e3)


@every_case
def test_conditioning_does_not_leak_between_walkers(case: Case) -> None:
    psi, x, p = walkers(case, 11)
    _, together = evaluate(psi, x, p)
    for i in range(BATCH):
        _, alone = evaluate(psi, jnp.tile(x[i], (BATCH, 1, 1)), jnp.tile(p[i], (BATCH, 1)))
        np.testing.assert_allclose(alone, together[i], rtol=1e-12)


@every_case
def test_derivative_with_respect_to_the_parameters_of_the_family(case: Case) -> None:
    psi, x, p = walkers(case, 13)
    slope, step = parameter_slope(psi, x, p), 1e-5
    for index in range(p.shape[1]):
        low, high = (np.real(evaluate(psi, x, p.at[:, index].add(s * step))[1]) for s in (-1, 1))
        np.testing.assert_allclose(slope[:, index], (high - low) / (2 * step), rtol=1e-5, atol=1e-6)


@every_case
def test_flat_parameters_round_trip(case: Case) -> None:
    psi = wavefunction(case)
    flat, rebuild, _ = parameter_layout(psi)
    assert flat.size % 64 == 0 and 0 <= flat.size - parameter_count(psi) < 64
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(rebuild(flat)), jax.tree.leaves(psi), strict=True))


@eqx.filter_jit
def regular_kinetic_difference(psi: Wavefunction, point: Array, key: Array) -> tuple[Array, Array]:
    """Chain means ``[W]`` of the difference of the two kinetic estimators and of ½|∇ log ψ|², regular at nodes.

    The plain difference −½∇·(|ψ|²∇ log ψ)/|ψ|² has an infinite variance where ψ has nodes. Weighted inside the
    divergence with f = |ψ|²/(|ψ|² + c) its mean is still zero, it is bounded at nodes, and it still notices jumps:
    ∇·(|ψ|² f ∇ log ψ)/|ψ|² = f (Δ log ψ + 2 |∇ log|ψ||²) + 2 f (1 − f) |∇ log|ψ||², its real part.
    """
    family = psi.hamiltonian
    start_key, key = jax.random.split(key)
    walkers = spread_walkers(start_key, family.supercell, (1, 256, family.count), width=0.25, dtype=jnp.float64)

    def log_modulus(x: Array) -> Array:
        return jax.vmap(jax.vmap(lambda r: jnp.real(log_psi(psi, r, point)[1])))(x)

    def advance(walkers: Walkers, key: Array) -> tuple[Walkers, None]:
        keys = jax.random.split(key, walkers.log_modulus.shape)
        return sweep(keys, walkers, log_modulus, family.supercell, moves=5)[0], None

    def measure(walkers: Walkers, key: Array) -> tuple[Walkers, tuple[Array, Array]]:
        walkers = jax.lax.scan(advance, walkers, jax.random.split(key, 2))[0]

        def single(x: Array, modulus: Array) -> tuple[Array, Array]:
            gradient, laplacian = LAPLACIANS["forward"](lambda y: log_psi(psi, y, point)[1], x)
            weight = jax.nn.sigmoid(2.0 * (modulus - level))
            square = jnp.square(jnp.real(gradient)).sum()
            divergence = weight * (jnp.real(laplacian) + 2.0 * square) + 2.0 * weight * (1.0 - weight) * square
            return 0.5 * divergence, 0.5 * weight * jnp.square(jnp.abs(gradient)).sum()

        return walkers, jax.vmap(single)(walkers.positions[0], walkers.log_modulus[0])

    walkers = jax.lax.scan(advance, walkers, jax.random.split(key, 80))[0]
    level = jnp.median(walkers.log_modulus) - 1.0
    key = jax.random.fold_in(key, 1)
    _, (difference, kinetic) = jax.lax.scan(measure, walkers, jax.random.split(key, 100))
    return difference.mean(0), kinetic.mean(0)


@pytest.mark.slow
@every_case
def test_two_kinetic_estimators_agree(case: Case) -> None:
    """⟨−½∇²ψ/ψ⟩ = ½⟨|∇ log ψ|²⟩ under |ψ|²: false as soon as ψ has a jump or a kink anywhere."""
    difference, kinetic = regular_kinetic_difference(
        wavefunction(case), random_points(case.hamiltonian, 1, 15)[0], jax.random.key(5)
    )
    error = float(difference.std(ddof=1)) / len(difference) ** 0.5
    assert abs(float(difference.mean())) < 3.5 * error
    assert error < 0.04 * float(kinetic.mean())


@pytest.mark.slow
@pytest.mark.parametrize("lam", [0.4, 1.2])
def test_two_kinetic_estimators_agree_on_the_shipped_model(lam: float) -> None:
    """Trained gates are sharper than those of a random start: here a jump or a kink would show."""
    model = load("n6")
    double = jax.tree.map(lambda x: x.astype(jnp.float64) if eqx.is_inexact_array(x) else x, model.wavefunction)
    difference, kinetic = regular_kinetic_difference(double, jnp.asarray([lam]), jax.random.key(6))
    error = float(difference.std(ddof=1)) / len(difference) ** 0.5
    assert abs(float(difference.mean())) < 3.5 * error
    assert error < 0.04 * float(kinetic.mean())
