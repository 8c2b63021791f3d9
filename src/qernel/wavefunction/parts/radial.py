"""Functions of the distance of two electrons, zero from a cut-off on."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array

CUT_OFF_POWER = 3
"""(1 − r/L)³ leaves the second derivative continuous at the cut-off."""


def radial(r: Array, coefficients: Sequence[Array], slope: Array | float, length: float) -> Array:
    """(1 − r/L)³ (α_0 + a r + α_1 r² + α_2 r³ + …) for r < L with a such that the slope at 0 is given.

    The form of Drummond, Towler and Needs, PRB 70, 235119.

    Args:
        r: distances.
        coefficients: α_0, α_1, …, each for all distances or of their shape.
        slope: at r = 0; likewise.
        length: L in a_M.
    """
    first, *others = coefficients
    polynomial = jnp.zeros_like(r)
    for coefficient in reversed(others):
        polynomial = (polynomial + coefficient) * r
    polynomial = first + (slope + CUT_OFF_POWER / length * first + polynomial) * r
    return _cut_off(r, length) * polynomial


def logarithmic(r: Array, coefficient: Array | float, length: float) -> Array:
    """(1 − r/L)³ c r² ln(r/L) for r < L: what an interaction needs that diverges like a logarithm.

    Args:
        r: distances, all above 0.
        coefficient: c, for all distances or of their shape.
        length: L in a_M.
    """
    return _cut_off(r, length) * coefficient * jnp.square(r) * jnp.log(r / length)


def _cut_off(r: Array, length: float) -> Array:
    """(1 − r/L)³ for r < L, 0 beyond."""
    return jnp.square(jnp.maximum(1.0 - r / length, 0.0)) * (1.0 - r / length)


def bumps(square: Array, sigma: np.ndarray, length: float) -> tuple[Array, Array, Array]:
    """b = exp(−r²/2σ²)(1 − r²/L²)³ for r < L, smooth at r = 0 and zero beyond L, with db/dr² and d²b/d(r²)².

    Args:
        square: r² ``[...]``.
        sigma: widths σ ``[K]`` in a_M.
        length: L in a_M.

    Returns:
        Three arrays ``[..., K]``.
    """
    decay = jnp.asarray(-0.5 / sigma**2, square.dtype)
    inside = jnp.maximum(1.0 - square / length**2, 0.0)[..., None]
    slope = -CUT_OFF_POWER / length**2
    bend = CUT_OFF_POWER * (CUT_OFF_POWER - 1) / length**4
    gauss = jnp.exp(square[..., None] * decay)
    value = inside**3
    first = value * decay + slope * inside**2
    second = value * decay**2 + 2.0 * slope * inside**2 * decay + bend * inside
    return gauss * value, gauss * first, gauss * second
