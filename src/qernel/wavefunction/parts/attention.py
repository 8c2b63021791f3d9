"""Grouped-query attention between electrons (Ainslie et al., arXiv:2305.13245)."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from qernel.laplacian.attention import attend
from qernel.laplacian.jet import Operand, columns, contract
from qernel.wavefunction.base import dense
from qernel.wavefunction.parts.conditioning import Modulated, read


class GroupedQueryAttention(eqx.Module):
    """Self-attention in which several query heads share one key/value head.

    ``kv_heads == heads`` is ordinary multi-head attention, ``kv_heads == 1`` multi-query attention.
    Fewer key/value heads mean fewer parameters and fewer Jacobians to carry in the Laplacian.
    """

    query: Array
    key_value: Array
    output: Array
    heads: int = eqx.field(static=True)
    kv_heads: int = eqx.field(static=True)

    def __init__(self, width: int, heads: int, kv_heads: int, *, rng: np.random.Generator, dtype: Any):
        r1, r2, r3 = rng.spawn(3)
        size = width // heads
        self.query = dense(r1, width, (width, heads * size), dtype)
        self.key_value = dense(r2, width, (width, 2 * kv_heads * size), dtype)
        self.output = dense(r3, width, (heads * size, width), dtype)
        self.heads, self.kv_heads = heads, kv_heads

    def __call__(self, features: Operand | Modulated) -> Any:
        """Features ``[N, width]`` → messages ``[N, width]``."""
        inner, kv = self.query.shape[1], self.key_value.shape[1] // 2
        size = inner // self.heads
        query, shared = (self.kv_heads, self.heads // self.kv_heads, size), (self.kv_heads, size)
        # One product for all three: those for keys and values alone would be thin.
        joint = read(features, jnp.concatenate([self.query * size**-0.5, self.key_value], axis=1))
        messages = attend(
            columns(joint, 0, inner, query),
            columns(joint, inner, inner + kv, shared),
            columns(joint, inner + kv, inner + 2 * kv, shared),
        )
        return contract("nh,he->ne", messages, self.output)
