"""Metropolis sampling of |ψ|² for groups of walkers, one family point per group.

What is proposed: `qernel.sampling.moves`. Here it is accepted or not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from qernel.lattice import wrap
from qernel.sampling.moves import Move

LogModulus = Callable[[Array], Array]
"""log|ψ| of all walkers: ``[G, W, N, 2]`` → ``[G, W]``."""


class Walkers(NamedTuple):
    """Positions ``[G, W, N, 2]`` in a_M, log|ψ| ``[G, W]`` and the step width of each group ``[G]``."""

    positions: Array
    log_modulus: Array
    width: Array


def sweep(
    keys: Array,
    walkers: Walkers,
    log_modulus: LogModulus,
    kinds: Sequence[Move],
    *,
    moves: int,
) -> tuple[Walkers, dict[str, Array]]:
    """Advance all walkers by every kind of move in turn.

    Every walker draws from its own key, so that chains do not depend on how walkers are spread over devices.

    Args:
        keys: one random key per walker, ``[G, W]``.
        walkers: current state; ``walkers.log_modulus`` must belong to ``log_modulus``.
        log_modulus: log|ψ| of all walkers.
        kinds: what is proposed (`qernel.sampling.moves.moves_of`).
        moves: how often the repeated kinds are proposed.

    Returns:
        New walkers, and by the name of each kind the fraction of accepted proposals of each walker ``[G, W]``, 0 where
        it is not possible. The width is left alone: see `adapt_width`.
    """
    dtype = walkers.positions.dtype
    pairs = jax.vmap(jax.vmap(jax.random.split))(keys)
    counts = [moves if kind.repeated else 1 for kind in kinds]
    # One draw for all kinds: random numbers depend on their place in it, not on how many come behind.
    uniform = _per_walker(lambda pair: jax.random.uniform(pair[1], (sum(counts),), dtype), pairs)
    thresholds = jnp.split(0.5 * jnp.log(uniform), np.cumsum(counts)[:-1], axis=2)
    carry = (walkers.positions, walkers.log_modulus)
    acceptance = {}
    for kind, count, threshold in zip(kinds, counts, thresholds, strict=True):
        acceptance[kind.name] = jnp.zeros(keys.shape, dtype)
        if kind.possible:
            draws = _per_walker(partial(_draw, kind, count, dtype), pairs), threshold
            draws = jax.tree.map(lambda drawn: jnp.moveaxis(drawn, 2, 0), draws)
            step = partial(_attempt, kind, walkers.width, log_modulus)
            carry, accepted = jax.lax.scan(step, carry, draws)
            acceptance[kind.name] = accepted.mean(0)
    return Walkers(*carry, walkers.width), acceptance


def _attempt(
    kind: Move, width: Array, log_modulus: LogModulus, carry: tuple[Array, Array], draw: tuple[Any, Array]
) -> tuple[tuple[Array, Array], Array]:
    """One proposal to every walker: positions and log|ψ| after it, and whether it was accepted, 0 or 1."""
    (positions, log), (drawn, threshold) = carry, draw
    proposed = jax.vmap(jax.vmap(kind.propose, (0, None, 0)))(positions, width, drawn)
    candidate = wrap(proposed, kind.supercell.vectors)
    candidate_log = log_modulus(candidate)
    # A NaN proposal compares false and is rejected; a walker that is itself at no finite log|ψ| (a node, an
    # overflow) takes the first finite proposal, or it would stay there for ever.
    stranded = ~jnp.isfinite(log) & jnp.isfinite(candidate_log)
    accepted = (threshold < candidate_log - log) | stranded
    positions = jnp.where(accepted[..., None, None], candidate, positions)
    return (positions, jnp.where(accepted, candidate_log, log)), accepted.astype(log.dtype)


def _draw(kind: Move, count: int, dtype: Any, pair: Array) -> Any:
    """What one walker draws for one kind of move, from the two halves of its key."""
    return kind.draw(lambda number: jax.random.fold_in(pair[1], number) if number else pair[0], count, dtype)


def _per_walker(draw: Callable[[Array], Any], keys: Array) -> Any:
    return jax.vmap(jax.vmap(draw))(keys)


def adapt_width(width: ArrayLike, acceptance: ArrayLike, *, target: float, rate: float, largest: float) -> Array:
    """Nudge each group's step width ``[G]`` towards the target acceptance (burn-in and training only)."""
    return jnp.clip(width * jnp.exp(rate * (jnp.asarray(acceptance) - target)), 1e-3, largest)
