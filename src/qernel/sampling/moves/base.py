"""What a kind of proposal is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from jax import Array

from qernel.lattice import Supercell

Stream = Callable[[int], Array]
"""Random keys of one walker by number; no two kinds of moves use the same number."""


@dataclass(frozen=True)
class Move(ABC):
    """One kind of proposal of the Metropolis kernel, on one walker; callers `vmap`.

    A proposal must be as likely as its reverse: it is accepted with probability min(1, |ψ'/ψ|²). What is drawn does
    not depend on where the electrons are.

    Attributes:
        supercell: of the electrons; what is proposed is wrapped back into it.
        electrons: numbers of spin-up and spin-down electrons, the former first in every configuration.
        name: fractions of accepted proposals are reported under it.
        repeated: whether it is proposed as often as ``train.moves`` says, or once a sweep.
    """

    supercell: Supercell
    electrons: tuple[int, int]
    name: ClassVar[str]
    repeated: ClassVar[bool] = False

    @property
    def possible(self) -> bool:
        """Whether these electrons have anywhere to go."""
        return True

    @abstractmethod
    def draw(self, stream: Stream, count: int, dtype: Any) -> Any:
        """Random numbers of ``count`` proposals: arrays ``[count, ...]``, in any structure."""

    @abstractmethod
    def propose(self, positions: Array, width: Array, drawn: Any) -> Array:
        """Where the electrons would go.

        Args:
            positions: ``[N, 2]`` in a_M.
            width: step width of the walker's group in a_M, a scalar; acceptances of `Gaussian` set it.
            drawn: one of the proposals of `draw`, without its first axis.
        """
