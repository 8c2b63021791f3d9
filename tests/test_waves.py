"""Plane waves from multiples of two angles are those of a cosine and a sine."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qernel.lattice import Supercell
from qernel.wavefunction.orbitals.waves import Waves, grid, plane_waves, reach

CELL = Supercell(((6, 0), (1, 5)))
TURNS = np.array([(m, n) for m in range(-3, 18) for n in range(-16, 12)])
RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 1e-5)])
def test_values_are_those_of_the_functions(dtype: Any, tolerance: float) -> None:
    """Also for electrons far outside the cell; single precision loses what an angle of 17 turns loses by itself."""
    positions = RNG.uniform(-20, 20, (5, 2)).astype(dtype)
    cos, sin = jnp.moveaxis(plane_waves(jnp.asarray(positions), CELL, (17, 16)), 1, 0)
    turns = grid((17, 16))
    assert cos.dtype == sin.dtype == dtype and cos.shape == (5, len(turns)) == (5, 18 * 33)
    angles = positions.astype(np.float64) @ (turns @ CELL.reciprocal).T
    scale = max(1.0, float(np.abs(angles).max()) / 20)
    np.testing.assert_allclose(cos, np.cos(angles), atol=tolerance * scale)
    np.testing.assert_allclose(sin, np.sin(angles), atol=tolerance * scale)


def test_no_wave_but_zero() -> None:
    assert reach(np.zeros((1, 2), int)) == (0, 0)
    cos, sin = jnp.moveaxis(plane_waves(jnp.ones((3, 2)), CELL, (0, 0)), 1, 0)
    assert float(jnp.abs(cos - 1).max()) == 0 and float(jnp.abs(sin).max()) == 0


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("kept", ["all", "one of each pair", "few"])
def test_sums_and_their_gradients_are_those_of_the_waves_there_are(kept: str, complex: bool) -> None:
    """Waves in any order, with both G and −G or one of them, some with no neighbours."""
    turns = RNG.permutation(TURNS)
    if kept == "one of each pair":
        turns = turns[(turns[:, 0] > 0) | ((turns[:, 0] == 0) & (turns[:, 1] >= 0))]
    if kept == "few":
        turns = np.array([(-3, 2), (0, 0), (1, -5), (0, -2), (3, -2)])
    positions = RNG.uniform(-3, 9, (4, 2))
    even, odd = (RNG.normal(size=(len(turns), 2, 3)) + complex * 1j * RNG.normal(size=(len(turns), 2, 3)) for _ in "eo")
    angles = positions @ (turns @ CELL.reciprocal).T

    def plain(even: Any, odd: Any) -> Any:
        return jnp.tensordot(jnp.cos(angles), even, 1) + jnp.tensordot(jnp.sin(angles), odd, 1)

    def ours(even: Any, odd: Any) -> Any:
        return Waves(CELL, turns, even, odd).at(jnp.asarray(positions))

    np.testing.assert_allclose(ours(even, odd), plain(even, odd), atol=1e-10)
    gradients = [
        jax.grad(lambda e, o, f=f: jnp.sin(jnp.abs(f(e, o)) ** 2).sum(), argnums=(0, 1))(even, odd)
        for f in (ours, plain)
    ]
    for got, expected in zip(*gradients, strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-8 * float(jnp.abs(expected).max()))
