"""One step of drift and diffusion of all electrons, accepted or not.

The drift of each electron is that of Umrigar, Nightingale and Runge, J. Chem. Phys. 99, 2865 (1993), with a = 1:

    v̄ = v (−1 + √(1 + 2v²τ))/(v²τ)

the mean velocity during τ where v = 1/x, as at a node at distance x. It is limited electron by electron, so that those
of two systems side by side do not limit each other. With acceptance by |ψ|² and the Green function of this drift,
walkers without weights sample |ψ|² exactly at any τ.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from qernel.projection.guide import Guide, Guided


class Moved(NamedTuple):
    """What a step did to walkers ``[G, W]``.

    Attributes:
        accepted: 1 where it was accepted, else 0.
        crossed: 1 where it was refused because the sign of ψ changed.
        proposed: Σ_i χ_i², the squared length of the diffusive part in units of τ.
        diffused: the same where accepted, else 0.
    """

    accepted: Array
    crossed: Array
    proposed: Array
    diffused: Array


def limited(drift: Array, tau: Array) -> Array:
    """v̄ of velocities ``[..., 2]`` in 1/a_M for a time step in 1/E0."""
    x = jnp.square(drift).sum(-1, keepdims=True) * tau
    # (−1 + √(1 + 2x))/x without cancellation at small x.
    return drift * 2.0 / (1.0 + jnp.sqrt(1.0 + 2.0 * x))


def step(
    guide: Guide, parameters: Array, positions: Array, here: Guided, points: Array, tau: Array, keys: Array
) -> tuple[Array, Guided, Moved]:
    """Walkers one time step later.

    Args:
        guide: the function that guides.
        parameters: of it.
        positions: ``[G, W, N, 2]``, not wrapped: at a twist of half a turn wrapping changes the sign of ψ.
        here: the guide there.
        points: of the groups ``[G, p]``.
        tau: time step in 1/E0, a scalar of the type of the positions.
        keys: one random key per walker ``[G, W]``.

    Returns:
        Positions, the guide there, and what was done.
    """
    noise, log_uniform = jax.vmap(jax.vmap(lambda key: _drawn(key, positions)))(keys)
    forward = limited(here.drift, tau)
    candidate = positions + forward * tau + jnp.sqrt(tau) * noise
    there = guide(parameters, candidate, points)
    back = positions - candidate - limited(there.drift, tau) * tau
    squared = jnp.square(noise).sum((-1, -2))
    log_green = 0.5 * squared - 0.5 * jnp.square(back).sum((-1, -2)) / tau
    same = there.sign == here.sign
    # A proposal without finite numbers compares false.
    taken = (log_uniform < 2.0 * (there.log_modulus - here.log_modulus) + log_green) & jnp.isfinite(there.energy) & same

    def chosen(new: Array, old: Array) -> Array:
        return jnp.where(taken.reshape(taken.shape + (1,) * (new.ndim - 2)), new, old)

    accepted = taken.astype(tau.dtype)
    moved = Moved(accepted, (~same).astype(tau.dtype), squared, accepted * squared)
    return chosen(candidate, positions), jax.tree.map(chosen, there, here), moved


def _drawn(key: Array, positions: Array) -> tuple[Array, Array]:
    """Noise ``[N, 2]`` and the logarithm of a uniform number."""
    one, two = jax.random.split(key)
    shape, dtype = positions.shape[2:], positions.dtype
    return jax.random.normal(one, shape, dtype), jnp.log1p(-jax.random.uniform(two, (), dtype))
