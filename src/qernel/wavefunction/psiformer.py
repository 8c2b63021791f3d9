"""PsiFormer (von Glehn et al., arXiv:2211.13672), the baseline, conditioned on the family like QERNEL.

Plain multi-head attention and one dense perceptron per block; FiLM, determinants and Jastrow factor are the
same code as QERNEL's, so that a comparison changes only the architecture under study.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from qernel.hamiltonian.family import Hamiltonian
from qernel.laplacian.jet import Operand, contract, pointwise
from qernel.wavefunction.attention import GroupedQueryAttention
from qernel.wavefunction.base import dense
from qernel.wavefunction.conditioning import Modulated, read
from qernel.wavefunction.layers import NetworkAnsatz, modulated


class Perceptron(eqx.Module):
    """One hidden layer with tanh."""

    inner: Array
    inner_bias: Array
    outer: Array

    def __init__(self, width: int, hidden: int, *, key: Array, dtype: Any):
        k1, k2, k3 = jax.random.split(key, 3)
        self.inner = dense(k1, width, (width, hidden), dtype)
        self.inner_bias = dense(k2, 1, (hidden,), dtype, 0.1)
        self.outer = dense(k3, hidden, (hidden, width), dtype)

    def __call__(self, features: Operand | Modulated) -> Any:
        """Features ``[N, width]`` → update ``[N, width]``."""
        hidden = pointwise(jnp.tanh, read(features, self.inner, self.inner_bias))
        return contract("nh,hc->nc", hidden, self.outer)


class Block(eqx.Module):
    """h ← h + attention(FiLM h);  h ← h + perceptron(FiLM h)."""

    attention_film: Any
    attention: GroupedQueryAttention
    perceptron_film: Any
    perceptron: Perceptron

    def __init__(self, model: Any, condition: int, *, key: Array, dtype: Any):
        k1, k2 = jax.random.split(key)
        self.attention_film, self.perceptron_film = modulated(model, condition, 2, dtype=dtype)
        self.attention = GroupedQueryAttention(model.width, model.heads, model.heads, key=k1, dtype=dtype)
        self.perceptron = Perceptron(model.width, model.mlp_width, key=k2, dtype=dtype)

    def __call__(self, features: Any, condition: Array) -> Any:
        """Features ``[N, width]`` → features ``[N, width]``."""
        features = features + self.attention(self.attention_film(features, condition))
        return features + self.perceptron(self.perceptron_film(features, condition))


class PsiFormer(NetworkAnsatz):
    """The conditioned self-attention ansatz."""

    blocks: list[Block]

    def __init__(self, model: Any, hamiltonian: Hamiltonian, *, key: Array, dtype: Any = jnp.float32):
        frame_key, *keys = jax.random.split(key, model.blocks + 1)
        self._frame(model, hamiltonian, key=frame_key, dtype=dtype)
        self.blocks = [Block(model, self.condition_width, key=k, dtype=dtype) for k in keys]
