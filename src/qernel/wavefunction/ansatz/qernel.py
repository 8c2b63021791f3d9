"""QERNEL: one wavefunction for a family of Hamiltonians (arXiv:2604.26018).

Periodic electron features pass through blocks of grouped-query attention and a mixture of experts, each
modulated by FiLM layers that see the Hamiltonian parameters; determinants of the resulting orbitals times
a Jastrow factor with the exact cusp give ψ. The shared frame around the blocks is `layers.NetworkAnsatz`.
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
from qernel.wavefunction.parts.experts import MixtureOfExperts, experts_of
from qernel.wavefunction.parts.perceptron import Perceptron


class Block(eqx.Module):
    """h ← h + attention(FiLM h);  h ← h + experts(FiLM h)."""

    attention_film: Any
    attention: GroupedQueryAttention
    experts_film: Any
    experts: MixtureOfExperts | Perceptron

    def __init__(self, model: Any, condition: int, *, rng: np.random.Generator, dtype: Any):
        r1, r2 = rng.spawn(2)
        self.attention_film, self.experts_film = modulated(model, condition, 2, dtype=dtype)
        self.attention = GroupedQueryAttention(model.width, model.heads, model.kv_heads, rng=r1, dtype=dtype)
        self.experts = experts_of(model, condition, rng=r2, dtype=dtype)

    def __call__(self, features: Any, condition: Array) -> Any:
        """Features ``[N, width]`` → features ``[N, width]``."""
        return self.routed(features, condition)[0]

    def routed(self, features: Any, condition: Array) -> tuple[Any, Any]:
        """Features ``[N, width]`` → (features ``[N, width]``, gates ``[experts]``)."""
        features = features + self.attention(self.attention_film(features, condition))
        modulated = self.experts_film(features, condition)
        gates = self.experts.gates(modulated, condition)
        return features + self.experts.apply(gates, modulated), gates


class Qernel(NetworkAnsatz):
    """The conditioned mixture-of-experts ansatz."""

    blocks: list[Block]

    def __init__(self, model: Any, hamiltonian: Hamiltonian, *, rng: np.random.Generator, dtype: Any = jnp.float32):
        frame, *blocks = rng.spawn(model.blocks + 1)
        self._frame(model, hamiltonian, rng=frame, dtype=dtype)
        self.blocks = [Block(model, self.condition_width, rng=block, dtype=dtype) for block in blocks]

    def gates(self, positions: Array, point: Array) -> Array:
        """See `Wavefunction.gates`; where ψ is summed over translations, of the configuration as it is."""
        condition = self.embedding(self.hamiltonian.scaled(point))
        features = self.first_features(positions, point)
        opened = []
        for block in self.blocks:
            features, gates = block.routed(features, condition)
            opened.append(gates)
        return jnp.stack(opened)
