"""Grouped-query attention between electrons (Ainslie et al., arXiv:2305.13245)."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from qernel.laplacian.attention import attend
from qernel.laplacian.jet import Operand, contract
from qernel.wavefunction.base import dense


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

    def __init__(self, width: int, heads: int, kv_heads: int, *, key: Array, dtype: Any):
        k1, k2, k3 = jax.random.split(key, 3)
        size = width // heads
        self.query = dense(k1, width, (width, heads * size), dtype)
        self.key_value = dense(k2, width, (width, 2 * kv_heads * size), dtype)
        self.output = dense(k3, width, (heads * size, width), dtype)
        self.heads, self.kv_heads = heads, kv_heads

    def __call__(self, features: Operand) -> Any:
        """Features ``[N, width]`` → messages ``[N, width]``."""
        size = self.query.shape[1] // self.heads
        shape = (-1, self.kv_heads, self.heads // self.kv_heads, size)
        key, value = jnp.split(self.key_value.reshape(-1, 2 * self.kv_heads, size), 2, axis=1)
        messages = attend(
            contract("nc,ckgd->nkgd", features, self.query.reshape(shape) * size**-0.5),
            contract("nc,ckd->nkd", features, key),
            contract("nc,ckd->nkd", features, value),
        )
        return contract("nkgd,kgde->ne", messages, self.output.reshape(*shape[1:], -1))
