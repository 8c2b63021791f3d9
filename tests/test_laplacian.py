"""Laplacian methods and the local energy on functions whose derivatives are known in closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from ansatz_cases import FAMILY, MATERIAL, random_points, random_positions
from families import changed
from qernel.estimators.local_energy import local_energy
from qernel.hamiltonian.family import Hamiltonian
from qernel.laplacian.determinant import log_det
from qernel.laplacian.jet import Jet, contract, linear, pointwise
from qernel.laplacian.methods import LAPLACIANS
from qernel.wavefunction import Wavefunction

MOMENTA = FAMILY.supercell.reciprocal[np.array([0, 1, 0])] * np.array([[1.0], [1.0], [-2.0]])
POSITIONS = random_positions(FAMILY, 5, 1)
every_method = pytest.mark.parametrize("method", LAPLACIANS)


def plane_waves(x: Array | Jet) -> Any:
    """log Π_j exp(i k_j·r_j)."""
    return linear(lambda y: (y * MOMENTA).sum() * 1j, x)


def gaussian(x: Array | Jet) -> Any:
    """−0.7 Σ (x − 0.2)²."""
    square = pointwise(lambda y: -0.7 * jnp.square(y - 0.2), x)
    return linear(lambda y: y.sum(), square)


def ripple(x: Array | Jet) -> Any:
    """Σ_j log(2 + cos k_j·r_j)."""
    angles = linear(lambda y: (y * MOMENTA).sum(-1), x)
    return linear(lambda y: y.sum(), pointwise(lambda a: jnp.log(2.0 + jnp.cos(a)), angles))


Exact = Callable[[np.ndarray[Any, Any]], tuple[Any, Any]]


def ripple_derivatives(x: np.ndarray[Any, Any]) -> tuple[Any, Any]:
    angles = (x * MOMENTA).sum(-1)
    cos, sin = np.cos(angles), np.sin(angles)
    gradient = (-sin / (2 + cos))[:, None] * MOMENTA
    return gradient, ((-(1 + 2 * cos) / (2 + cos) ** 2) * (MOMENTA**2).sum(-1)).sum()


KNOWN: dict[str, tuple[Callable[[Any], Any], Exact]] = {
    "plane waves": (plane_waves, lambda x: (1j * MOMENTA, 0.0)),
    "gaussian": (gaussian, lambda x: (-1.4 * (x - 0.2), -1.4 * x.size)),
    "ripple": (ripple, ripple_derivatives),
}


@every_method
@pytest.mark.parametrize("name", KNOWN)
def test_gradient_and_laplacian_of_known_functions(name: str, method: str) -> None:
    function, exact = KNOWN[name]
    gradients, laplacians = jax.jit(jax.vmap(lambda x: LAPLACIANS[method](function, x)))(POSITIONS)
    for x, gradient, laplacian in zip(np.asarray(POSITIONS), gradients, laplacians, strict=True):
        expected_gradient, expected = exact(x)
        np.testing.assert_allclose(gradient, expected_gradient.reshape(-1), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(laplacian, expected, rtol=1e-12, atol=1e-11)


class FreeElectrons(Wavefunction):
    """det exp(i k_j·r_i): an eigenstate of the kinetic energy."""

    trainable: Array
    hamiltonian: Hamiltonian = eqx.field(static=True)

    def amplitude(self, positions: Array | Jet, point: Array) -> tuple[Array, Any]:
        angles = contract("nx,jx->nj", positions, jnp.asarray(MOMENTA))
        return log_det(pointwise(jnp.exp, angles * 1j))


@every_method
@pytest.mark.parametrize("twist", [(0.0, 0.0), (0.3, 0.1)])
def test_plane_waves_have_their_kinetic_energy_at_every_configuration(twist: tuple[float, float], method: str) -> None:
    """½Σ|k_j + k_t|², with zero variance."""
    family = replace(FAMILY, twist=twist)
    psi = FreeElectrons(trainable=jnp.zeros(1), hamiltonian=family)
    local = jax.jit(jax.vmap(lambda x: local_energy(psi, x, jnp.ones(1), laplacian=method)))(POSITIONS)
    expected = 0.5 * ((MOMENTA + family.twist_momentum) ** 2).sum()
    np.testing.assert_allclose(local.kinetic, expected, rtol=1e-9)


def test_the_parts_of_the_local_energy() -> None:
    """Potential parts are those of the Hamiltonian; the gradient estimator is ½|∇ log ψ|²; the total is their sum."""
    family = replace(FAMILY, twist=(0.3, 0.1))
    psi = FreeElectrons(trainable=jnp.zeros(1), hamiltonian=family)
    points = random_points(family, 5, 2)
    local = jax.jit(jax.vmap(lambda x, p: local_energy(psi, x, p)))(POSITIONS, points)
    potential = jax.jit(jax.vmap(family.potential))(POSITIONS, points)
    np.testing.assert_allclose(local.moire, potential.moire, rtol=1e-14)
    np.testing.assert_allclose(local.interaction, potential.interaction, rtol=1e-14)
    np.testing.assert_allclose(local.total, local.kinetic + potential.moire + potential.interaction, rtol=1e-14)
    assert not jnp.iscomplexobj(local.gradient_kinetic) and jnp.iscomplexobj(local.kinetic)
    assert float(local.gradient_kinetic.min()) > 0.0


def test_the_kinetic_energy_of_a_gaussian_in_a_well() -> None:
    """ψ = exp(−α x²) for each coordinate: −½Δψ/ψ = α − 2α²x², the sum over six coordinates."""

    class Well(Wavefunction):
        trainable: Array
        hamiltonian: Hamiltonian = eqx.field(static=True)

        def amplitude(self, positions: Array | Jet, point: Array) -> tuple[Array, Any]:
            return jnp.ones(()), gaussian(positions)

    psi = Well(trainable=jnp.zeros(1), hamiltonian=FAMILY)
    for x in POSITIONS:
        local = local_energy(psi, x, jnp.ones(1))
        expected = (0.7 - 2.0 * 0.7**2 * np.square(np.asarray(x) - 0.2)).sum()
        assert float(local.kinetic) == pytest.approx(expected, rel=1e-12)
        assert float(local.gradient_kinetic) == pytest.approx(0.5 * np.square(1.4 * (np.asarray(x) - 0.2)).sum())


def test_lambda_enters_the_moire_energy_only() -> None:
    """dE_L/dλ = V0 Σ w at fixed ψ: what the Hellmann–Feynman theorem averages."""
    psi = FreeElectrons(trainable=jnp.zeros(1), hamiltonian=FAMILY)
    slope = jax.grad(lambda p: jnp.real(local_energy(psi, POSITIONS[0], p).total))(jnp.asarray([0.9]))
    unit = changed(FAMILY, V0=1.0).potential(POSITIONS[0], jnp.ones(1)).moire
    assert float(slope[0]) == pytest.approx(MATERIAL.V0 * float(unit), rel=1e-10)
