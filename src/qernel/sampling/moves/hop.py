"""One electron from one potential well to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from qernel.sampling.moves.base import Move, Stream


@dataclass(frozen=True)
class Hop(Move):
    """One electron by a moiré lattice vector; small steps do not leave a well at strong λ."""

    name = "hop"

    @property
    def possible(self) -> bool:
        """Whether there is more than one cell."""
        return self.supercell.cells > 1

    def draw(self, stream: Stream, count: int, dtype: Any) -> tuple[Array, Array]:
        """Which electron and which translation, ``[count]`` each."""
        electron = jax.random.randint(stream(2), (count,), 0, sum(self.electrons))
        return electron, jax.random.randint(stream(3), (count,), 0, self.supercell.cells - 1)

    def propose(self, positions: Array, width: Array, drawn: tuple[Array, Array]) -> Array:
        """See `Move.propose`."""
        electron, hop = drawn
        mask = jax.nn.one_hot(electron, len(positions), dtype=positions.dtype)
        return positions + mask[:, None] * jnp.asarray(self.supercell.translations[1:], positions.dtype)[hop]
