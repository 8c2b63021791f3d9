"""Displaced coordinates: an exact Laplacian, the same ψ at the start, the cusp left alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from ansatz_cases import FAMILY, SMALL, SQRT3, derivatives, energies, evaluate, perturbed, quick_jit, random_positions
from qernel.config import load_config
from qernel.errors import ConfigError
from qernel.hamiltonian.family import Hamiltonian
from qernel.laplacian.jet import Jet, general, seed
from qernel.wavefunction import Wavefunction, build, log_psi, parameter_layout
from qernel.wavefunction.orbitals.waves import Waves
from qernel.wavefunction.parts.backflow import Backflow
from qernel.wavefunction.parts.radial import radial

MODEL = SMALL.model_copy(update={"orbitals": "hartree_fock", "backflow": True, "hf_cutoff": 30.0, "hf_order": 2})
TWISTED = replace(FAMILY, supercell=SQRT3, twist=(0.2, -0.35))
POINTS = jnp.array([[0.4], [1.5]])


def displaced(hamiltonian: Hamiltonian, **settings: Any) -> Wavefunction:
    """ψ with backflow, random numbers everywhere: Hartree–Fock orbitals are not solved for."""
    model = MODEL.model_copy(update=settings)
    return perturbed(build(model, hamiltonian, key=jax.random.key(3), dtype=jnp.float64, start=False), 4)


@pytest.mark.parametrize("hamiltonian", [FAMILY, TWISTED], ids=["real", "complex"])
def test_derivatives_are_exact(hamiltonian: Hamiltonian) -> None:
    """In Hartree–Fock orbitals, one set for each determinant, against second derivatives one by one."""
    psi, x = displaced(hamiltonian), random_positions(hamiltonian, 2, 5)
    gradient, laplacian = derivatives(psi, x, POINTS, "forward")
    expected_gradient, expected = derivatives(psi, x, POINTS, "loop")
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(laplacian, expected, rtol=1e-9)


def test_the_sum_over_pairs_is_exact() -> None:
    """Coordinates and their derivatives against differentiation of the same sum."""
    flow = perturbed(Backflow(FAMILY, 8, 3, 4, 2.5, dtype=jnp.float64), 2)
    x = random_positions(FAMILY, 1, 1)[0]
    features = jnp.asarray(np.random.default_rng(1).normal(size=(3, 8)))
    condition = jnp.array([0.3, -0.2, 0.5])
    found = flow(features, seed(x), condition)
    expected = general(lambda y: flow(features, y, condition), Jet(seed(x).dense().data))
    np.testing.assert_allclose(found.data, expected.data, rtol=1e-9, atol=1e-11)
    assert float(jnp.abs(found.value - x).max()) > 1e-3


def test_training_begins_where_it_would_without() -> None:
    """The displacement is zero at first, and its numbers have a gradient."""
    psi = build(MODEL, FAMILY, key=jax.random.key(3), dtype=jnp.float64, start=False)
    plain = MODEL.model_copy(update={"backflow": False})
    without = build(plain, FAMILY, key=jax.random.key(3), dtype=jnp.float64, start=False)

    def orbitals(wavefunction: Any) -> Any:
        # Amplitudes of their own: without a solution they are all zero.
        amplitudes = [
            jnp.asarray(np.random.default_rng(0).normal(size=a.shape))
            for a in psi.head.dressings["hartree_fock"].amplitudes
        ]
        return eqx.tree_at(lambda w: w.head.dressings["hartree_fock"].amplitudes, wavefunction, amplitudes)

    psi, without, x = orbitals(psi), orbitals(without), random_positions(FAMILY, 2, 5)
    for one, other in zip(evaluate(psi, x, POINTS), evaluate(without, x, POINTS), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    slopes = quick_jit(eqx.filter_grad(lambda w: log_psi(w, x[0], POINTS[0])[1]))(psi).head.backflow
    assert float(jnp.abs(slopes.weights.base).min()) > 0 and float(jnp.abs(slopes.coefficients.base).min()) > 0
    assert parameter_layout(psi).parameters.size > parameter_layout(without).parameters.size


def test_the_cusp_is_left_to_the_jastrow_factor() -> None:
    """The local energy stays finite where two electrons meet, although 1/r there goes from 10² to 10⁵."""
    psi, x = displaced(FAMILY), random_positions(FAMILY, 1, 3)
    direction = jnp.array([0.6, 0.8])
    close = jnp.concatenate([x.at[:, 1].set(x[:, 0] + r * direction) for r in (1e-2, 1e-3, 1e-4, 1e-5)])
    total = energies(psi, close, jnp.tile(POINTS[:1], (4, 1))).total
    changes = np.abs(np.diff(total))
    assert changes[1] < 0.3 * changes[0] and changes[2] < 0.3 * changes[1]


def test_radial_functions_begin_with_their_slope_and_end_smoothly() -> None:
    coefficients = [jnp.asarray(c) for c in (0.7, -1.1, 0.4)]

    def f(r: Array) -> Array:
        return radial(r, coefficients, 0.9, 2.0)

    first, second = jax.grad(f), jax.grad(jax.grad(f))
    assert float(first(jnp.asarray(0.0))) == pytest.approx(0.9)
    assert float(f(jnp.asarray(0.0))) == pytest.approx(0.7)
    for end in (f, first, second):
        assert abs(float(end(jnp.asarray(2.0 - 1e-6)))) < 1e-4 and float(end(jnp.asarray(2.1))) == 0.0


@pytest.mark.parametrize("local", [True, False])
def test_waves_of_any_coordinates_follow_the_chain_rule(local: bool) -> None:
    """Against twofold differentiation of the values."""
    cell = FAMILY.supercell
    rng = np.random.default_rng(4)
    turns = np.array([(m, n) for m in range(3) for n in range(-2, 3)])
    waves = Waves(cell, turns, *(jnp.asarray(rng.normal(size=(len(turns), 2, 3))) for _ in range(2)))
    x = seed(random_positions(FAMILY, 1, 2)[0])
    if not local:
        x = Jet(jnp.asarray(rng.normal(size=(8, 3, 2))))
    found = waves.at(x)
    assert (found.owners is not None) == local
    np.testing.assert_allclose(found.dense().data, general(waves.at, x).data, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "settings", [{"orbitals": "network", "width": 32}, {"orbitals": "bloch", "crystal_seed": True}]
)
def test_only_extended_orbitals_are_displaced(settings: dict[str, Any]) -> None:
    system = {"electrons": 6, "supercell": [[3, 0], [0, 3]]}
    with pytest.raises(ConfigError, match=r"model\.backflow = true displaces the electrons in Bloch or Hartree"):
        load_config({"system": system, "model": {"backflow": True, **settings}})
