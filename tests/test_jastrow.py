"""Jastrow factors: cusps, closed-form derivatives, smooth cut-off, periodicity, written-out sums."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from ansatz_cases import FAMILY, SQRT3, THREE, perturbed, quick_jit, random_positions
from qernel.hamiltonian.family import Hamiltonian
from qernel.laplacian.methods import LAPLACIANS
from qernel.lattice import displacement
from qernel.wavefunction.parts.jastrow import MoireEnvelope, PairJastrow, WaveJastrow
from qernel.wavefunction.parts.many_body import WIDTHS, ManyBodyJastrow

POLARISED = replace(FAMILY, electrons=(4, 0))
SPINFUL = replace(FAMILY, electrons=(2, 2), parameters=("lam", "U"), ranges=((0.3, 1.6), (8.0, 12.0)))
CONDITION = jnp.asarray([0.4, -0.7, 0.2])


def pair_factor(hamiltonian: Hamiltonian, seed: int = 1, longest: float = 10.0) -> PairJastrow:
    """A pair factor with random coefficients that depend on the condition."""
    factor: PairJastrow = perturbed(PairJastrow(hamiltonian, 3, 4, longest, dtype=jnp.float64), seed, 0.3)
    return factor


@quick_jit
def along(factor: PairJastrow, positions: Array, direction: Array, distances: Array, point: Array) -> Array:
    """Value and its first two derivatives as electron 0 sits at distances along a direction from electron 1."""

    def value(r: Array) -> Array:
        result: Array = factor(positions.at[0].set(positions[1] + r * direction), point, CONDITION)
        return result

    first = jax.grad(value)
    return jax.vmap(lambda r: jnp.stack([value(r), first(r), jax.grad(first)(r)]))(distances)


def many_body_factor(hamiltonian: Hamiltonian, seed: int = 1, longest: float = 10.0) -> ManyBodyJastrow:
    """A factor of many bodies with random coefficients that depend on the condition."""
    factor: ManyBodyJastrow = perturbed(ManyBodyJastrow(hamiltonian, 3, longest, dtype=jnp.float64), seed, 0.1)
    return factor


FAR = jnp.asarray([[0.0, 0.0], [0.1, 0.2], [1.4, 1.2], [2.3, 0.9]])
"""Electrons 0 and 1 may meet; at least 1.1 a_M away from them and each other are 2 and 3."""


@pytest.mark.parametrize("strength", [8.0, 11.5])
@pytest.mark.parametrize(("order", "cusp"), [([0, 1, 2, 3], 1 / 3), ([0, 2, 1, 3], 1.0)])
def test_the_cusp_is_a_third_of_U_between_like_and_U_between_unlike_electrons(
    strength: float, order: list[int], cusp: float
) -> None:
    """The slope at r → 0 whatever the coefficients, at the U of the point, in any direction.

    Electron 0 approaches electron 1 (the same spin) or, where the roles are permuted, one of the other spin.
    """
    factor = pair_factor(SPINFUL)
    point = jnp.asarray([1.0, strength])

    def value(r: Array, angle: Array) -> Array:
        moved = FAR.at[0].set(FAR[1] + r * jnp.stack([jnp.cos(angle), jnp.sin(angle)]))
        result: Array = factor(moved[jnp.argsort(jnp.asarray(order))], point, CONDITION)
        return result

    angles = jnp.asarray([0.3, 2.0, 4.5])
    slopes = jax.jit(jax.vmap(lambda angle: jax.grad(value)(1e-7, angle)))
    # The other electrons pull along one direction: the average over ±r leaves the pair itself.
    np.testing.assert_allclose((slopes(angles) + slopes(angles + jnp.pi)) / 2, cusp * strength, rtol=1e-5)


def test_the_cusp_follows_the_constant_U_where_it_is_not_a_parameter() -> None:
    values = along(pair_factor(POLARISED), FAR, jnp.asarray([0.6, 0.8]), jnp.asarray([1e-7]), jnp.ones(1))
    opposite = along(pair_factor(POLARISED), FAR, jnp.asarray([-0.6, -0.8]), jnp.asarray([1e-7]), jnp.ones(1))
    assert float(values[0, 1] + opposite[0, 1]) / 2 == pytest.approx(POLARISED.constants["U"] / 3, rel=1e-5)


def test_at_the_start_it_is_a_monotonic_repulsion() -> None:
    factor = PairJastrow(replace(FAMILY, electrons=(2, 0)), 3, 4, 10.0, dtype=jnp.float64)
    distances = jnp.linspace(1e-3, factor.length - 1e-3, 200)
    values = along(factor, FAR[:2], jnp.asarray([1.0, 0.0]), distances, jnp.ones(1))
    assert float(values[:, 1].min()) > 0.0


@pytest.mark.parametrize("longest", [1.1, 10.0])
def test_the_cut_off_is_twice_continuously_differentiable(longest: float) -> None:
    """Near L the factor vanishes as (1 − r/L)³; beyond it is zero. L fits into the supercell."""
    factor = pair_factor(replace(FAMILY, electrons=(2, 0)), longest=longest)
    assert factor.length == pytest.approx(min(longest, THREE.inscribed_radius))
    steps = np.array([1e-2, 1e-3, 1e-4])
    values = along(factor, FAR[:2], jnp.asarray([0.8, -0.6]), jnp.asarray(factor.length - steps), jnp.ones(1))
    for derivative in range(3):
        slope = np.log(np.abs(values[:-1, derivative] / values[1:, derivative])) / np.log(10.0)
        np.testing.assert_allclose(slope, 3 - derivative, atol=0.1)
    beyond = along(factor, FAR[:2], jnp.asarray([0.8, -0.6]), jnp.asarray([factor.length + 1e-9]), jnp.ones(1))
    np.testing.assert_allclose(beyond, 0.0, atol=1e-12)


@pytest.mark.parametrize("hamiltonian", [POLARISED, SPINFUL])
def test_the_pair_factor_is_a_sum_over_pairs(hamiltonian: Hamiltonian) -> None:
    """The four-electron value equals the sum of the values of its pairs alone, each of the right kind."""
    factor = pair_factor(hamiltonian)
    point = jnp.asarray([1.0, 9.0])
    positions = random_positions(hamiltonian, 1, 3)[0]
    total = 0.0
    for i, j in combinations(range(4), 2):
        distance = float(jnp.linalg.norm(displacement(positions[i] - positions[j], THREE.vectors)))
        if distance >= factor.length:
            continue
        like = hamiltonian.electrons[1] == 0 or (i < 2) == (j < 2)
        strength = 9.0 if hamiltonian is SPINFUL else hamiltonian.constants["U"]
        alpha = np.asarray(factor.coefficients(CONDITION))[0 if like else 1]
        slope = strength * (1 / 3 if like else 1.0) + 3 / factor.length * alpha[0]
        polynomial = alpha[0] + slope * distance + sum(a * distance ** (n + 2) for n, a in enumerate(alpha[1:]))
        total += (1 - distance / factor.length) ** 3 * polynomial
    assert float(factor(positions, point, CONDITION)) == pytest.approx(total, rel=1e-12)


FACTORS: dict[str, Any] = {
    "pair": lambda x: pair_factor(POLARISED)(x, jnp.ones(1), CONDITION),
    "pair-spinful": lambda x: pair_factor(SPINFUL, longest=1.2)(x, jnp.asarray([1.0, 9.0]), CONDITION),
    "waves": lambda x: perturbed(WaveJastrow(THREE, 3, 4, dtype=jnp.float64), 2)(x, CONDITION),
    "many-body": lambda x: many_body_factor(POLARISED)(x, CONDITION),
    "many-body-spinful": lambda x: many_body_factor(SPINFUL, longest=1.2)(x, CONDITION),
    "envelope": lambda x: perturbed(MoireEnvelope(THREE, 3, 2, dtype=jnp.float64), 3)(x, CONDITION),
}
"""log ψ contributions of four electrons."""


@pytest.mark.parametrize("name", FACTORS)
def test_closed_form_derivatives_agree_with_automatic_ones(name: str) -> None:
    """At random configurations, among them electrons in different periodic images."""
    positions = random_positions(POLARISED, 20, 4) + 3.0 * random_positions(POLARISED, 20, 5)
    both = [jax.jit(jax.vmap(lambda x, m=m: LAPLACIANS[m](FACTORS[name], x)))(positions) for m in ("forward", "loop")]
    for got, expected in zip(*both, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", FACTORS)
def test_moving_one_electron_by_a_supercell_vector_changes_nothing(name: str) -> None:
    positions = random_positions(POLARISED, 10, 6)
    value = jax.jit(jax.vmap(FACTORS[name]))
    for shift in (THREE.vectors[0], -2.0 * THREE.vectors[1]):
        np.testing.assert_allclose(value(positions.at[:, 1].add(shift)), value(positions), rtol=1e-11, atol=1e-11)


def test_a_common_shift_changes_factors_with_a_place_only() -> None:
    """Pair correlations do not see it; envelope and factors of many bodies have the period of the moiré lattice."""
    positions = random_positions(POLARISED, 10, 7)
    for name, factor in FACTORS.items():
        value = jax.jit(jax.vmap(factor))
        base = value(positions)
        np.testing.assert_allclose(value(positions + THREE.translations[4]), base, rtol=1e-10, atol=1e-11)
        if name == "envelope" or name.startswith("many-body"):
            assert float(jnp.abs(value(positions + 0.3) - base).min()) > 1e-4
        else:
            np.testing.assert_allclose(value(positions + 0.3), base, rtol=1e-10, atol=1e-11)


def test_waves_are_density_harmonics() -> None:
    """Σ_G c_G (|ρ_G|² − N)/N = (2/N) Σ_G c_G Σ_{i<j} cos G·(r_i − r_j)."""
    factor = perturbed(WaveJastrow(SQRT3, 3, 3, dtype=jnp.float64), 8)
    positions = np.asarray(random_positions(replace(POLARISED, supercell=SQRT3), 1, 9)[0])
    weights = np.asarray(factor.coefficients(CONDITION))
    expected = 0.0
    for i, j in combinations(range(4), 2):
        expected += 2 / 4 * weights @ np.cos(SQRT3.shells(3) @ (positions[i] - positions[j]))
    assert float(factor(jnp.asarray(positions), CONDITION)) == pytest.approx(expected, rel=1e-12)


def test_factors_are_the_same_for_every_order_of_like_electrons() -> None:
    positions = random_positions(POLARISED, 10, 10)
    for factor in FACTORS.values():
        value = jax.jit(jax.vmap(factor))
        np.testing.assert_allclose(value(positions[:, jnp.asarray([1, 0, 3, 2])]), value(positions), rtol=1e-11)


def test_the_factor_of_many_bodies_is_the_sum_it_is_written_as() -> None:
    """Term by term, with loops over electrons, widths and waves, at a density of which widths are made."""
    hamiltonian = POLARISED
    factor = many_body_factor(hamiltonian)
    positions = np.asarray(random_positions(hamiltonian, 1, 11)[0])
    sigma = np.array(WIDTHS) * np.sqrt(THREE.area / 4)
    waves = 4 * np.pi / np.sqrt(3) * np.array([[0, 1], [-np.sqrt(3) / 2, -1 / 2], [np.sqrt(3) / 2, -1 / 2]])
    numbers = iter(np.asarray(factor.coefficients(CONDITION)))
    total = 0.0
    neighbourhoods = []
    for i in range(4):
        s, v = np.zeros(4), np.zeros((4, 2))
        for j in range(4):
            d = np.asarray(displacement(jnp.asarray(positions[i] - positions[j]), THREE.vectors))
            r = np.hypot(*d)
            if i == j or r >= factor.length:
                continue
            bump = np.exp(-((r / sigma) ** 2) / 2) * (1 - (r / factor.length) ** 2) ** 3
            s, v = s + bump, v + np.outer(bump / sigma, d)
        # −2 cos(g·r + 45°) = 2 cos(−g·r + 135°).
        angles = np.pi * 3 / 4 - waves @ positions[i]
        factors = [1.0, np.cos(angles).sum(), np.sin(angles).sum()]
        slopes = [np.sin(angles) @ waves, -np.cos(angles) @ waves]
        neighbourhoods.append((s, v, factors, slopes))

    def add(term: Any) -> None:
        nonlocal total
        total += next(numbers) * sum(term(*near) for near in neighbourhoods)

    for a in (1, 2):
        for k in range(4):
            add(lambda s, v, c, g, a=a, k=k: c[a] * s[k])
    for a in (0, 1):
        for k in range(4):
            add(lambda s, v, c, g, a=a, k=k: v[k] @ g[a])
    for kind in ("s", "v"):
        for a in range(3):
            for k in range(4):
                for m in range(k, 4):
                    add(
                        lambda s, v, c, g, a=a, k=k, m=m, kind=kind: (
                            c[a] * (s[k] * s[m] if kind == "s" else v[k] @ v[m])
                        )
                    )
    assert next(numbers, None) is None
    assert float(factor(jnp.asarray(positions), CONDITION)) == pytest.approx(total, rel=1e-11)


def test_the_factor_of_many_bodies_is_smooth_where_electrons_meet_and_at_its_cut_off() -> None:
    """Two derivatives along a line through another electron are continuous, at it and at L on either side of it."""
    factor = many_body_factor(replace(FAMILY, electrons=(3, 0)), longest=1.2)
    direction = jnp.asarray([0.6, 0.8])

    def value(t: Array) -> Array:
        result: Array = factor(FAR[:3].at[0].set(FAR[1] + t * direction), CONDITION)
        return result

    first = jax.grad(value)
    second = jax.jit(jax.vmap(lambda t: jnp.stack([first(t), jax.grad(first)(t)])))
    places = jnp.asarray([-1.2, 0.0, 1.2])
    below, above = second(places - 1e-6), second(places + 1e-6)
    np.testing.assert_allclose(below, above, atol=2e-4 * float(jnp.abs(second(jnp.asarray([0.5]))).max()))
    assert float(jnp.abs(second(places - 0.1) - second(places + 0.1)).min()) > 1e-3
