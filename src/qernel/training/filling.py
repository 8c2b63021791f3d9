"""Where in the family the groups of walkers are: evenly over all parameters, and drifting.

λ comes first: its interval is cut into one stratum per group, and each group drifts in its own. Every further parameter
j follows the Kronecker sequence of the group's number g, folded into its interval like light between two mirrors:

    place_gj = |1 − 2 frac(g α_j + s_j)|,   α_j = φ^−j,   φ^(n+1) = φ + 1 for n further parameters

(α is the golden mean for one of them; such sets (g/G, frac(g α)) have low discrepancy: Niederreiter, SIAM 1992). One
shift s_j for all groups drifts: the groups are spread evenly at every instant, and over a run each comes everywhere.

A run that was begun when each group had a walk of its own in the further parameters goes on like that: its state says
so, because then the places of the groups differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from qernel.config.sections import TrainConfig
from qernel.hamiltonian.family import Hamiltonian
from qernel.lattice import FloatArray

FOCUS = 4.0
"""How much denser groups are where training is focused."""


_CENTRE = 0.25
"""Added to the shift: at fraction ½, where a run begins, the first group is in the middle of every interval."""

_SAME = 1e-6
"""Fractions of groups that differ by less are one shift, up to rounding."""


def family_points(hamiltonian: Hamiltonian, fractions: Array, train: TrainConfig) -> Array:
    """Family points ``[G, p]`` of groups at the given fractions.

    The range of λ is ``train.margin`` times its length longer at both ends: what a network learns is least certain
    where its training ends. Where it has gaps, each part between them is divided into strata, so that no group drifts
    over a gap. In the interval ``train.focus`` strata are `FOCUS` times as narrow.

    Args:
        hamiltonian: the family.
        fractions: ``[G, p]`` in [0, 1]: place of each group in its stratum of λ; the shift of all groups in each
            further parameter, or places in its interval where they differ.
        train: margin and focus.
    """
    groups = fractions.shape[0]
    low, high = np.array(hamiltonian.ranges).T
    beyond = np.where(np.arange(len(low)) == 0, train.margin * (high - low), 0.0)
    low, high = low - beyond, high + beyond
    stratum = jnp.arange(groups, dtype=fractions.dtype)
    first = (stratum + fractions[:, 0]) / groups
    others = fractions[:, 1:]
    if others.size and groups > 1:
        others = jnp.where(_together(fractions), folded(fractions[0, 1:], groups), others)
    place = jnp.concatenate([first[:, None], others], axis=1)
    points = jnp.asarray(low, fractions.dtype) + jnp.asarray(high - low, fractions.dtype) * place
    if not hamiltonian.gaps and train.focus is None:
        return points
    lows, widths = _cut(hamiltonian, (float(low[0]), float(high[0])), groups, train.focus)
    lam = jnp.asarray(lows, fractions.dtype) + jnp.asarray(widths, fractions.dtype) * fractions[:, 0]
    return points.at[:, 0].set(lam)


def folded(shift: Array, groups: int) -> Array:
    """Places ``[G, n]`` in [0, 1] of the groups in the intervals of n parameters beside λ (see above).

    Args:
        shift: s ``[n]`` in [0, 1], of all groups.
        groups: G.
    """
    count = len(shift)
    ratio = 2.0
    for _ in range(60):  # φ = (1 + φ)^(1/(n + 1)), to rounding
        ratio = (1.0 + ratio) ** (1.0 / (count + 1))
    # Reduced in double precision: g α loses digits where the walkers are in single precision.
    turns = np.outer(np.arange(groups), ratio ** -np.arange(1.0, count + 1)) % 1.0
    place = (jnp.asarray(turns + _CENTRE, shift.dtype) + shift) % 1.0
    return jnp.abs(1.0 - 2.0 * place)


def _cut(
    hamiltonian: Hamiltonian, ends: tuple[float, float], groups: int, focus: tuple[float, float] | None
) -> tuple[FloatArray, FloatArray]:
    """Strata of λ between gaps and around the focus; ``ends`` are those of its interval with the margin."""
    parts = np.array(hamiltonian.parts)
    parts[0, 0], parts[-1, 1] = ends
    pieces = [
        piece
        for start, end in parts.tolist()
        for piece in pairwise(sorted({start, end, *(cut for cut in focus or () if start < cut < end)}))
    ]
    within = [focus is not None and focus[0] <= start and end <= focus[1] for start, end in pieces]
    return strata(pieces, groups, [FOCUS if inside else 1.0 for inside in within])


def strata(
    parts: Sequence[tuple[float, float]], groups: int, density: Sequence[float]
) -> tuple[FloatArray, FloatArray]:
    """Lower ends and widths ``[G]`` of the strata of groups in separate parts of a range.

    Every part gets one group, and each further group goes where groups are farthest apart.

    Args:
        parts: intervals in increasing order.
        groups: at least as many as there are parts.
        density: of groups in each part, relative to the others.
    """
    lengths = np.array([high - low for low, high in parts])
    shares = np.ones(len(parts), dtype=int)
    for _ in range(groups - len(parts)):
        shares[np.argmax(np.multiply(density, lengths) / shares)] += 1
    widths = np.repeat(lengths / shares, shares)
    return np.concatenate(
        [low + width * np.arange(n) for (low, _), width, n in zip(parts, lengths / shares, shares, strict=True)]
    ), widths


def drift_fractions(key: Array, fractions: Array, drift: float) -> Array:
    """A reflected random walk of the fractions, so that a model is trained on the interval, not on a comb.

    Args:
        key: random key.
        fractions: ``[G, p]`` in [0, 1], see `family_points`; one shift of all groups stays one.
        drift: step of λ as a fraction of a stratum, of the other parameters as one of their interval.
    """
    step = drift * jax.random.normal(key, fractions.shape, fractions.dtype)
    if fractions.shape[1] > 1 and len(fractions) > 1:
        # Half as long, because the fold makes two of it.
        together = jnp.broadcast_to(0.5 * step[:1, 1:], step[:, 1:].shape)
        step = step.at[:, 1:].set(jnp.where(_together(fractions), together, step[:, 1:]))
    moved = fractions + step
    return 1.0 - jnp.abs(1.0 - jnp.abs(moved) % 2.0)


def _together(fractions: Array) -> Array:
    """Whether the groups share one shift in all parameters but λ."""
    return (jnp.abs(fractions[:, 1:] - fractions[:1, 1:]) < _SAME).all()
