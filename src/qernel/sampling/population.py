"""The walkers of one wavefunction and how they move, in training and in measurements alike.

Parameters or points have changed since the last time: log|ψ| is evaluated anew; then come a Metropolis sweep and,
where it is time, swaps between neighbouring groups. Groups are neighbours in the order of their points, which is that
of λ; where a family has further parameters, those of neighbours differ as well, and fewer swaps are accepted: the
fraction is reported for every pair.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Self

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from qernel.hamiltonian.family import Hamiltonian
from qernel.lattice import Supercell
from qernel.sampling.devices import SPLIT, WALKERS
from qernel.sampling.exchange import exchange
from qernel.sampling.metropolis import LogModulus, Walkers, adapt_width, sweep
from qernel.sampling.moves import Move, moves_of
from qernel.sampling.starts import settle


class Advanced(NamedTuple):
    """Walkers that have moved.

    Attributes:
        walkers: the walkers.
        acceptance: fraction of accepted proposals of each walker ``[G, W]``, by kind of move.
        swapped: whether walker w of group g was swapped with that of group g + 1, ``[G, W]``; nan in the last group,
            and where nothing was tried.
    """

    walkers: Walkers
    acceptance: dict[str, Array]
    swapped: Array


ADVANCED = Advanced(WALKERS, SPLIT, SPLIT)  # type: ignore[arg-type]
"""Layout of walkers that have moved, over devices (`qernel.sampling.devices.over_walkers`)."""


@dataclass(frozen=True)
class Population:
    """How walkers of a wavefunction move; pure functions, each device runs them on its own share of the walkers.

    Attributes:
        log_modulus: log|ψ| ``[G, W]`` of (parameters ``[P]``, positions ``[G, W, N, 2]``, points ``[G, p]``).
        supercell: where the electrons are.
        kinds: what is proposed.
    """

    log_modulus: Callable[[Array, Array, Array], Array]
    supercell: Supercell
    kinds: tuple[Move, ...]

    @classmethod
    def of(cls, log_modulus: Callable[[Array, Array, Array], Array], hamiltonian: Hamiltonian) -> Self:
        """That of a family, with every kind of move there is."""
        cell = hamiltonian.supercell
        return cls(log_modulus, cell, moves_of(cell, hamiltonian.electrons))

    def advanced(
        self, parameters: Array, walkers: Walkers, points: Array, keys: Array, *, moves: int, swap: bool | Array = False
    ) -> Advanced:
        """Walkers after a sweep, and after swaps between groups if ``swap``.

        Args:
            parameters: flat ``[P]``; ``walkers.log_modulus`` need not belong to them.
            walkers: before.
            points: of the groups ``[G, p]``; those that follow each other are neighbours.
            keys: one random key per walker ``[G, W]``.
            moves: Metropolis moves (`qernel.sampling.metropolis.sweep`).
            swap: whether walkers are swapped; an array is decided upon when this runs.
        """
        log_modulus = self._at(parameters, points)
        walkers = walkers._replace(log_modulus=log_modulus(walkers.positions))
        walkers, acceptance = sweep(keys, walkers, log_modulus, self.kinds, moves=moves)
        untried = jnp.full_like(walkers.log_modulus, jnp.nan)
        if isinstance(swap, bool):
            walkers, swapped = exchange(keys, walkers, log_modulus) if swap else (walkers, untried)
        else:
            walkers, swapped = jax.lax.cond(
                swap, lambda w: exchange(keys, w, log_modulus), lambda w: (w, untried), walkers
            )
        return Advanced(walkers, acceptance, swapped)

    def settled(self, parameters: Array, walkers: Walkers, points: Array, keys: Array) -> Walkers:
        """Crystals in the registries that ψ holds (`qernel.sampling.starts.settle`); arguments as of `advanced`."""
        return settle(keys, walkers, self._at(parameters, points), self.supercell)

    def adapted(self, width: ArrayLike, acceptance: ArrayLike, *, target: float, rate: float) -> Array:
        """Step widths ``[G]`` moved towards a target acceptance of the moves that they belong to.

        Args:
            width: of each group in a_M.
            acceptance: of `qernel.sampling.moves.Gaussian` in each group ``[G]``.
            target: acceptance aimed at.
            rate: change of log width for each unit of acceptance.
        """
        return adapt_width(width, acceptance, target=target, rate=rate, largest=self.supercell.inscribed_radius)

    def _at(self, parameters: Array, points: Array) -> LogModulus:
        return lambda positions: self.log_modulus(parameters, positions, points)
