"""Conditioning on the Hamiltonian: an embedding of the family point, and FiLM layers driven by it.

The path of λ: family point → scaled to [−1, 1] → `Embedding` → `Film` scale and shift in every block,
on the orbital head and the determinant weights, and `Conditioned` coefficients in the Jastrow factor.
None of it depends on electron positions, so nothing here needs a derivative rule.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from qernel.laplacian.jet import Operand, contract, value_of
from qernel.wavefunction.base import dense

_BROADEST, _SHARPEST = 1.0, 6.0
"""Steepness of the embedding's units at the start; the scaled range has length 2."""


class Embedding(eqx.Module):
    """Scaled family point ``[p]`` → condition vector ``[c]`` through a two-layer perceptron.

    Its units range from broad to sharp, with their steps spread over the range: a first-order transition asks
    determinant weights and FiLM layers to change within a few hundredths of the range.
    """

    first: Array
    first_bias: Array
    second: Array

    def __init__(self, parameters: int, width: int, *, rng: np.random.Generator, dtype: Any):
        r1, r2, r3 = rng.spawn(3)
        direction = r1.standard_normal((parameters, width))
        steepness = np.geomspace(_BROADEST, _SHARPEST, width)
        self.first = jnp.asarray(steepness * direction / (direction**2).sum(0) ** 0.5, dtype)
        self.first_bias = jnp.asarray(steepness * r2.uniform(-1.0, 1.0, width), dtype)
        self.second = dense(r3, width, (width, width), dtype)

    def __call__(self, scaled: Array) -> Array:
        """Condition vector of a point scaled to [−1, 1]; its first entries are the point itself."""
        scaled = scaled.astype(self.first.dtype)
        hidden = jnp.tanh(scaled @ self.first + self.first_bias)
        return jnp.concatenate([scaled, jnp.tanh(hidden @ self.second)])


class Conditioned(eqx.Module):
    """Coefficients ``[shape]`` that depend on the condition: base + condition · slope, slope zero at first."""

    base: Array
    slope: Array | None

    def __init__(self, base: Array, condition: int):
        self.base = base
        self.slope = jnp.zeros((condition, *base.shape), base.dtype) if condition else None

    def __call__(self, condition: Array) -> Array:
        """The coefficients at this condition."""
        if self.slope is None:
            return self.base
        return self.base + jnp.tensordot(condition, self.slope, 1)


class Modulated(NamedTuple):
    """Features h ↦ scale · h + shift that no pass over memory has multiplied: what reads them scales its weights.

    Attributes:
        features: ``[N, width]``.
        scale: ``[width]``.
        shift: ``[width]``.
    """

    features: Operand
    scale: Array
    shift: Array

    def readers(self, weights: Array) -> tuple[Array, Array]:
        """Weights ``[width, ...]`` of a product with the modulated features → (weights ``[width, ...]`` of that with
        the bare ones, what to add ``[...]``)."""
        scaled = weights * self.scale.reshape(-1, *(1,) * (weights.ndim - 1))
        return scaled, jnp.tensordot(self.shift, weights, 1)


def read(features: Operand | Modulated, weights: Array, bias: Array | None = None) -> Any:
    """Features ``[N, width]`` times weights ``[width, h]``, plus a bias ``[h]``: ``[N, h]``."""
    if isinstance(features, Modulated):
        weights, shift = features.readers(weights)
        return read(features.features, weights, shift if bias is None else bias + shift)
    product = contract("nc,ch->nh", features, weights)
    return product if bias is None else product + bias


def read_mean(features: Operand | Modulated, weights: Array) -> Any:
    """The mean over electrons of `read`, ``[h]`` for weights ``[width, h]``."""
    if isinstance(features, Modulated):
        weights, shift = features.readers(weights)
        return read_mean(features.features, weights) + shift
    return contract("nc,ch->h", features, weights / value_of(features).shape[0])


class Film(eqx.Module):
    """Feature-wise linear modulation h ↦ (1 + γ) h + β (Perez et al., arXiv:1709.07871), identity at first."""

    scale: Array
    shift: Array

    def __init__(self, condition: int, width: int, *, dtype: Any):
        self.scale = jnp.zeros((condition, width), dtype)
        self.shift = jnp.zeros((condition, width), dtype)

    def __call__(self, features: Operand, condition: Array) -> Modulated:
        """Modulate features ``[N, width]``."""
        return Modulated(features, 1.0 + condition @ self.scale, condition @ self.shift)
