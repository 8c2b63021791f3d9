"""PsiFormer (von Glehn et al., arXiv:2211.13672), the baseline, conditioned on the family like QERNEL.

Plain multi-head attention and one dense perceptron per block; FiLM, determinants and Jastrow factor are the
same code as QERNEL's, so that a comparison changes only the architecture under study.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from qernel.hamiltonian.family import Hamiltonian
from qernel.wavefunction.ansatz.frame import NetworkAnsatz, modulated
from qernel.wavefunction.parts.attention import GroupedQueryAttention
from qernel.wavefunction.parts.perceptron import Perceptron


class Block(eqx.Module):
    """h ← h + attention(FiLM h);  h ← h + perceptron(FiLM h)."""

    attention_film: Any
    attention: GroupedQueryAttention
    perceptron_film: Any
    perceptron: Perceptron

    def __init__(self, model: Any, condition: int, *, rng: np.random.Generator, dtype: Any):
        r1, r2 = rng.spawn(2)
        self.attention_film, self.perceptron_film = modulated(model, condition, 2, dtype=dtype)
        self.attention = GroupedQueryAttention(model.width, model.heads, model.heads, rng=r1, dtype=dtype)
        self.perceptron = Perceptron(model.width, model.mlp_width, rng=r2, dtype=dtype)

    def __call__(self, features: Any, condition: Array) -> Any:
        """Features ``[N, width]`` → features ``[N, width]``."""
        features = features + self.attention(self.attention_film(features, condition))
        return features + self.perceptron(self.perceptron_film(features, condition))


class PsiFormer(NetworkAnsatz):
    """The conditioned self-attention ansatz."""

    blocks: list[Block]

    def __init__(self, model: Any, hamiltonian: Hamiltonian, *, rng: np.random.Generator, dtype: Any = jnp.float32):
        frame, *blocks = rng.spawn(model.blocks + 1)
        self._frame(model, hamiltonian, rng=frame, dtype=dtype)
        self.blocks = [Block(model, self.condition_width, rng=block, dtype=dtype) for block in blocks]
