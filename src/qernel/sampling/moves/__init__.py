"""Proposals of the Metropolis kernel, one kind a file.

Adding one: a subclass of `Move` in a file of its own, and one entry at the end of `MOVES`. Sweeps then propose it,
``metrics.csv`` has its acceptance, and `tests/test_moves.py` checks it.
"""

from __future__ import annotations

from qernel.lattice import Supercell
from qernel.sampling.moves.base import Move, Stream
from qernel.sampling.moves.gaussian import Gaussian
from qernel.sampling.moves.hop import Hop
from qernel.sampling.moves.translation import Translation

MOVES: tuple[type[Move], ...] = (Gaussian, Translation, Hop)
"""All kinds, in the order of a sweep; a further one at the end leaves the random numbers of these as they are."""


def moves_of(supercell: Supercell, electrons: tuple[int, int]) -> tuple[Move, ...]:
    """All kinds of moves for so many spin-up and spin-down electrons in a supercell."""
    return tuple(kind(supercell, electrons) for kind in MOVES)


__all__ = ["MOVES", "Gaussian", "Hop", "Move", "Stream", "Translation", "moves_of"]
