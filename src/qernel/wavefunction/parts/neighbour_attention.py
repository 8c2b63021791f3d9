"""Grouped-query attention to neighbours at chosen distances.

Scores of ordinary attention are normalised over all electrons, so that what one electron hears thins out as a cell
grows. Here a query head weighs distances, o_h(i) = Σ_k q_hk(i) Σ_j b_k(r_ij) v_g(j): the keys are the functions b_k of
the distance (`vicinity`), zero beyond their range, and groups of query heads share the values of one key/value head
(Ainslie et al., arXiv:2305.13245), whose sums over neighbours are all that costs N².
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import numpy as np
from jax import Array

from qernel.laplacian.jet import Operand, columns, contract
from qernel.laplacian.pairs import PairFunctions, messages
from qernel.wavefunction.base import dense
from qernel.wavefunction.parts.conditioning import Modulated, read
from qernel.wavefunction.parts.invariants import bounded


class NeighbourAttention(eqx.Module):
    """Messages of ``heads`` query heads that share the values of ``kv_heads``."""

    query: Array
    query_bias: Array
    value: Array
    output: Array
    kv_heads: int = eqx.field(static=True)

    def __init__(self, width: int, heads: int, kv_heads: int, functions: int, *, rng: np.random.Generator, dtype: Any):
        rngs = rng.spawn(4)
        size = width // heads
        self.query = dense(rngs[0], width, (width, heads * functions), dtype)
        self.query_bias = dense(rngs[1], 1, (heads * functions,), dtype)
        self.value = dense(rngs[2], width, (width, kv_heads * size), dtype)
        self.output = dense(rngs[3], width * functions, (heads * size, width), dtype)
        self.kv_heads = kv_heads

    def __call__(self, features: Operand | Modulated, pairs: PairFunctions) -> Any:
        """Features ``[N, width]`` and functions of all pairs → messages ``[N, width]``."""
        functions, groups = len(pairs.values), self.kv_heads
        heads, size = self.query.shape[1] // (functions * groups), self.value.shape[1] // groups
        heard = bounded(messages(pairs, read(features, self.value)))
        query = read(features, self.query, self.query_bias)
        chosen = contract(
            "nghk,nkgd->nghd",
            columns(query, 0, query.shape[-1], (groups, heads, functions)),
            columns(heard, 0, heard.shape[-1], (groups, size)),
        )
        return contract("nghd,ghdc->nc", chosen, self.output.reshape(groups, heads, size, -1))
