"""Replica exchange: walkers of neighbouring groups swap their configurations.

A walker that is stuck in one phase at its own λ reaches the other one through groups whose λ lets it cross. Walker w
of group g swaps with walker w of group g + 1, so walkers are never moved between devices, and walkers of one group
remain independent of each other.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from qernel.sampling.metropolis import LogModulus, Walkers

_STREAM = 2
"""Number that is folded into a walker's key; `sweep` splits the same key, which uses up 0 and 1."""


def exchange(keys: Array, walkers: Walkers, log_modulus: LogModulus) -> tuple[Walkers, Array]:
    """One attempt for every pair of neighbouring groups: first (0, 1), (2, 3), …, then (1, 2), (3, 4), ….

    A swap of R in group g with R' in group g + 1 is accepted with probability
    min(1, |ψ_g(R') ψ_{g+1}(R)|² / |ψ_g(R) ψ_{g+1}(R')|²), which keeps Π_g |ψ_g|² stationary: detailed balance for
    each of the two halves.

    Args:
        keys: one random key per walker, ``[G, W]``; those given to `sweep` may be used again.
        walkers: current state; ``walkers.log_modulus`` must belong to ``log_modulus``.
        log_modulus: log|ψ| of all walkers, each group with its own ψ; evaluated twice.

    Returns:
        Walkers, and which swaps of walker w of group g with group g + 1 were accepted, ``[G, W]``, 0 or 1; nan in
        the last group, which has no neighbour above.
    """
    groups = walkers.log_modulus.shape[0]
    dtype = walkers.log_modulus.dtype
    uniform = jax.vmap(jax.vmap(lambda key: jax.random.uniform(jax.random.fold_in(key, _STREAM), (), dtype)))(keys)
    threshold = 0.5 * jnp.log(uniform)
    accepted = jnp.zeros(walkers.log_modulus.shape, bool)
    # A loop, so that ψ is compiled once.
    (walkers, accepted), _ = jax.lax.scan(
        lambda carry, parity: (_half(*carry, threshold, log_modulus, parity), None),
        (walkers, accepted),
        jnp.arange(2),
    )
    return walkers, accepted.astype(dtype).at[groups - 1].set(jnp.nan)


def _half(
    walkers: Walkers, accepted: Array, threshold: Array, log_modulus: LogModulus, parity: Array
) -> tuple[Walkers, Array]:
    """Attempt the pairs whose lower group is even (``parity`` 0) or odd (1)."""
    group = jnp.arange(walkers.log_modulus.shape[0])
    lower = group - (group - parity) % 2
    upper = lower + 1
    paired = (lower >= 0) & (upper < len(group))
    partner = jnp.where(paired, lower + upper - group, group)
    candidate = walkers.positions[partner]
    candidate_log = log_modulus(candidate)
    gain = candidate_log - walkers.log_modulus
    # Both walkers of a pair see the same sum (in the same order of terms) and the same random number.
    low, high = jnp.where(paired, lower, group), jnp.where(paired, upper, group)
    # nan compares false; a log|ψ| of +inf is none to move to.
    finite = jnp.isfinite(candidate_log)
    swapped = paired[:, None] & (threshold[low] < gain[low] + gain[high]) & finite[low] & finite[high]
    positions = jnp.where(swapped[..., None, None], candidate, walkers.positions)
    log = jnp.where(swapped, candidate_log, walkers.log_modulus)
    is_lower = (group == lower)[:, None]
    return walkers._replace(positions=positions, log_modulus=log), accepted | (swapped & is_lower)
