"""Plane waves from powers of two phases are those of a cosine and a sine."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qernel.laplacian.jet import Jet, contract, pointwise, seed
from qernel.lattice import Supercell
from qernel.wavefunction.waves import plane_waves

CELL = Supercell(((6, 0), (1, 5)))
TURNS = np.array([(m, n) for m in range(-3, 18) for n in range(-16, 12)])
WAVES = TURNS @ CELL.reciprocal
RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 1e-5)])
def test_values_are_those_of_the_functions(dtype: Any, tolerance: float) -> None:
    """Also for electrons far outside the cell; single precision loses what an angle of 17 turns loses by itself."""
    positions = RNG.uniform(-20, 20, (5, 2)).astype(dtype)
    cos, sin = plane_waves(jnp.asarray(positions), CELL, TURNS)
    assert cos.dtype == sin.dtype == dtype and cos.shape == (5, len(TURNS))
    angles = positions.astype(np.float64) @ WAVES.T
    scale = max(1.0, float(np.abs(angles).max()) / 20)
    np.testing.assert_allclose(cos, np.cos(angles), atol=tolerance * scale)
    np.testing.assert_allclose(sin, np.sin(angles), atol=tolerance * scale)


def test_no_wave_but_zero() -> None:
    cos, sin = plane_waves(jnp.ones((3, 2)), CELL, np.zeros((1, 2), int))
    assert float(jnp.abs(cos - 1).max()) == 0 and float(jnp.abs(sin).max()) == 0


@pytest.mark.parametrize("local", [True, False])
def test_jets_follow_the_chain_rule(local: bool) -> None:
    """Against cosine and sine as pointwise functions of the angle, for one electron's coordinates and for anything."""
    positions: Jet = seed(jnp.asarray(RNG.uniform(0, 5, (4, 2))))
    if not local:
        positions = Jet(jnp.asarray(RNG.normal(size=(10, 4, 2))))
    angles = contract("nx,xg->ng", positions, jnp.asarray(WAVES.T))
    for found, function in zip(plane_waves(positions, CELL, TURNS), (jnp.cos, jnp.sin), strict=True):
        wanted = pointwise(function, angles)
        assert found.owners == wanted.owners
        np.testing.assert_allclose(found.data, wanted.data, atol=1e-9 * float(jnp.abs(wanted.data).max()))


def test_gradients_pass_through() -> None:
    """A displaced coordinate is trained through the waves."""
    x = jnp.asarray(RNG.uniform(0, 5, (4, 2)))
    weights = jnp.asarray(RNG.normal(size=len(TURNS)))
    found = jax.grad(lambda r: (plane_waves(r, CELL, TURNS)[0] @ weights).sum())(x)
    np.testing.assert_allclose(found, -(jnp.sin(x @ WAVES.T) * weights) @ WAVES, atol=1e-9)
