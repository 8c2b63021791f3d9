"""Small steps of all electrons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
from jax import Array

from qernel.sampling.moves.base import Move, Stream


@dataclass(frozen=True)
class Gaussian(Move):
    """All electrons by normal steps of the width of their group."""

    name = "gaussian"
    repeated = True

    def draw(self, stream: Stream, count: int, dtype: Any) -> Array:
        """Steps of unit width ``[count, N, 2]``."""
        return jax.random.normal(stream(0), (count, sum(self.electrons), 2), dtype)

    def propose(self, positions: Array, width: Array, drawn: Array) -> Array:
        """See `Move.propose`."""
        return positions + width * drawn
