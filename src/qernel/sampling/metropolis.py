"""Metropolis sampling of |ψ|² for groups of walkers, one family point per group.

Three symmetric proposals: Gaussian steps of all electrons; a translation of the whole configuration by a moiré
lattice vector, which leaves the Hamiltonian unchanged and so carries a crystal between its registries; and a
hop of one electron by a moiré lattice vector, from one potential well to another. Small steps do neither at
strong λ.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from qernel.lattice import Supercell, wrap

LogModulus = Callable[[Array], Array]
"""log|ψ| of all walkers: ``[G, W, N, 2]`` → ``[G, W]``."""


class Walkers(NamedTuple):
    """Positions ``[G, W, N, 2]`` in a_M, log|ψ| ``[G, W]`` and the step width of each group ``[G]``."""

    positions: Array
    log_modulus: Array
    width: Array


class SweepInfo(NamedTuple):
    """Fractions of accepted proposals of each walker, ``[G, W]``."""

    acceptance: Array
    translation_acceptance: Array
    hop_acceptance: Array


def spread_walkers(
    key: Array, supercell: Supercell, shape: tuple[int, int, int], *, width: float, dtype: Any
) -> Walkers:
    """Walkers spread uniformly over the supercell, log|ψ| not yet evaluated.

    Args:
        key: random key.
        supercell: where to spread them.
        shape: (groups, walkers per group, electrons).
        width: initial step width in a_M.
        dtype: element type of the positions.
    """
    fractions = jax.random.uniform(key, (*shape, 2), dtype)
    positions = fractions @ jnp.asarray(supercell.vectors, dtype)
    return Walkers(positions, jnp.full(shape[:2], -jnp.inf, dtype), jnp.full(shape[0], width, dtype))


def sweep(
    keys: Array,
    walkers: Walkers,
    log_modulus: LogModulus,
    supercell: Supercell,
    *,
    moves: int,
    translate: bool = True,
) -> tuple[Walkers, SweepInfo]:
    """Advance all walkers by ``moves`` Gaussian steps, one translation and one hop.

    Every walker draws from its own key, so that chains do not depend on how walkers are spread over devices.

    Args:
        keys: one random key per walker, ``[G, W]``.
        walkers: current state; ``walkers.log_modulus`` must belong to ``log_modulus``.
        log_modulus: log|ψ| of all walkers.
        supercell: positions are wrapped back into it.
        moves: Gaussian all-electron proposals.
        translate: whether to propose one moiré translation and one hop as well.

    Returns:
        New walkers and the fraction of accepted proposals of each walker. The width is left alone: see
        `adapt_width`.
    """
    shape, dtype = walkers.positions.shape[2:], walkers.positions.dtype
    pairs = jax.vmap(jax.vmap(jax.random.split))(keys)
    noise = _per_walker(lambda key: jax.random.normal(key, (moves, *shape), dtype), pairs[..., 0])
    step_keys = pairs[..., 1]
    uniform = _per_walker(lambda key: jax.random.uniform(key, (moves + 2,), dtype), step_keys)
    threshold = 0.5 * jnp.log(uniform)

    def propose(carry: tuple[Array, Array], candidate: Array, threshold: Array) -> tuple[tuple[Array, Array], Array]:
        positions, log = carry
        candidate = wrap(candidate, supercell.vectors)
        candidate_log = log_modulus(candidate)
        # A NaN proposal compares false and is rejected; a walker that is itself at no finite log|ψ| (a node, an
        # overflow) takes the first finite proposal, or it would stay there for ever.
        stranded = ~jnp.isfinite(log) & jnp.isfinite(candidate_log)
        accepted = (threshold < candidate_log - log) | stranded
        positions = jnp.where(accepted[..., None, None], candidate, positions)
        return (positions, jnp.where(accepted, candidate_log, log)), accepted.astype(dtype)

    def gaussian(carry: tuple[Array, Array], draw: tuple[Array, Array]) -> tuple[tuple[Array, Array], Array]:
        noise, threshold = draw
        return propose(carry, carry[0] + walkers.width[:, None, None, None] * noise, threshold)

    start = (walkers.positions, walkers.log_modulus)
    draws = (jnp.moveaxis(noise, 2, 0), jnp.moveaxis(threshold[..., :-2], 2, 0))
    carry, accepted = jax.lax.scan(gaussian, start, draws)
    moved = hopped = jnp.zeros_like(accepted[0])
    if translate and supercell.cells > 1:
        vectors = jnp.asarray(supercell.translations[1:], dtype)
        # The list of translations is closed under inversion modulo the supercell: the proposal is symmetric.

        def pick(number: int, count: int) -> Array:
            return _per_walker(lambda key: jax.random.randint(jax.random.fold_in(key, number), (), 0, count), step_keys)

        choice = pick(1, len(vectors))
        carry, moved = propose(carry, carry[0] + vectors[choice][:, :, None, :], threshold[..., -2])
        electron, hop = pick(2, shape[0]), pick(3, len(vectors))
        mask = jax.nn.one_hot(electron, shape[0], dtype=dtype)
        carry, hopped = propose(carry, carry[0] + mask[..., None] * vectors[hop][:, :, None, :], threshold[..., -1])
    return Walkers(*carry, walkers.width), SweepInfo(accepted.mean(0), moved, hopped)


def _per_walker(draw: Callable[[Array], Array], keys: Array) -> Array:
    return jax.vmap(jax.vmap(draw))(keys)


def adapt_width(width: ArrayLike, acceptance: ArrayLike, *, target: float, rate: float, largest: float) -> Array:
    """Nudge each group's step width ``[G]`` towards the target acceptance (burn-in and training only)."""
    return jnp.clip(width * jnp.exp(rate * (jnp.asarray(acceptance) - target)), 1e-3, largest)
