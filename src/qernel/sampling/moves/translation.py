"""The whole configuration by a moiré lattice vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from qernel.sampling.moves.base import Move, Stream


@dataclass(frozen=True)
class Translation(Move):
    """All electrons by one moiré lattice vector.

    It leaves the Hamiltonian unchanged and so carries a crystal between its registries. Translations in a supercell
    are closed under inversion, so the proposal is symmetric.
    """

    name = "translation"

    @property
    def possible(self) -> bool:
        """Whether there is more than one cell."""
        return self.supercell.cells > 1

    def draw(self, stream: Stream, count: int, dtype: Any) -> Array:
        """Which translation ``[count]``."""
        return jax.random.randint(stream(1), (count,), 0, self.supercell.cells - 1)

    def propose(self, positions: Array, width: Array, drawn: Array) -> Array:
        """See `Move.propose`."""
        return positions + jnp.asarray(self.supercell.translations[1:], positions.dtype)[drawn]
