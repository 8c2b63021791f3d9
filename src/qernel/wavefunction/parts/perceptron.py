"""A dense perceptron: what a block without experts has behind its attention."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from qernel.laplacian.jet import Operand, contract, pointwise
from qernel.wavefunction.base import dense
from qernel.wavefunction.parts.conditioning import Modulated, read


class Perceptron(eqx.Module):
    """One hidden layer with tanh; also a `MixtureOfExperts` of none, of which the shared expert is left."""

    inner: Array
    inner_bias: Array
    outer: Array

    def __init__(self, width: int, hidden: int, *, rng: np.random.Generator, dtype: Any):
        r1, r2, r3 = rng.spawn(3)
        self.inner = dense(r1, width, (width, hidden), dtype)
        self.inner_bias = dense(r2, 1, (hidden,), dtype, 0.1)
        self.outer = dense(r3, hidden, (hidden, width), dtype)

    def __call__(self, features: Operand | Modulated) -> Any:
        """Features ``[N, width]`` → update ``[N, width]``."""
        hidden = pointwise(jnp.tanh, read(features, self.inner, self.inner_bias))
        return contract("nh,hc->nc", hidden, self.outer)

    def gates(self, features: Operand | Modulated, condition: Array) -> Array:
        """No gates ``[0]``: there is nothing to choose."""
        return jnp.zeros(0, self.inner.dtype)

    def apply(self, gates: Any, features: Operand | Modulated) -> Any:
        """The update ``[N, width]``, as of a mixture."""
        return self(features)
