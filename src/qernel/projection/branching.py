"""Weights of walkers, and walkers of equal weight in their place.

The local energy in weights is limited as by Zen, Sorella, Gillan, Michaelides and Alfè, PRB 93, 241118 (2016):

    Ē = E_ref + sign(E_L − E_ref) · min(|E_L − E_ref|, α √(N/τ))

The bound grows as √N, as the spread of E_L does, so that the bias per electron at a fixed τ is the same for every size.
In atoms α = 0.2 in √Hartree. Here the unit of energy is ε = 2πn + U²: the Hartree of a charge with interaction U/r,
which is U² in E0, and the kinetic energy 2πn at the Fermi level of polarised electrons of density n (in 1/a_M²), which
is there without an interaction as well. α = 0.2 √ε.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import Array

ALPHA = 0.2
"""In units of √ε."""


def natural_bound(density: float, strength: float, electrons: int, tau: float) -> float:
    """α √(N/τ) in E0.

    Args:
        density: n in 1/a_M².
        strength: U of the interaction U/r at short distances, in E0 a_M.
        electrons: N.
        tau: time step in 1/E0.
    """
    return ALPHA * math.sqrt((2.0 * math.pi * density + strength**2) * electrons / tau)


def log_factor(before: Array, after: Array, tau: Array, reference: Array, bound: Array) -> Array:
    """log of the weight that a step of effective length ``tau`` gives, −τ(½(Ē + Ē′) − E_ref).

    Args:
        before: local energies ``[...]`` in E0, total.
        after: those after the step.
        tau: effective time step.
        reference: E_ref.
        bound: largest |E_L − E_ref| that counts.
    """
    first, second = (jnp.clip(energy - reference, -bound, bound) for energy in (before, after))
    return -0.5 * tau * (first + second)


def comb(key: Array, log_weights: Array) -> Array:
    """Which walkers ``[W]`` go on, each as often as its weight over the mean says, on average exactly.

    A comb of W equally spaced teeth over the sum of the weights: no walker is taken more than once too often or too
    rarely, and equal weights take each walker once. The mean weight, which is lost, has to be carried along.

    Args:
        key: random key.
        log_weights: of the walkers ``[W]``.
    """
    weights = jnp.exp(log_weights.astype(jnp.float64) - log_weights.max().astype(jnp.float64))
    ends = jnp.cumsum(weights)
    teeth = (jnp.arange(len(weights), dtype=jnp.float64) + jax.random.uniform(key, (), jnp.float64)) * (
        ends[-1] / len(weights)
    )
    return jnp.minimum(jnp.searchsorted(ends, teeth, side="right"), len(weights) - 1)
