"""Plane waves from powers of two phases are those of a cosine and a sine."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

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
