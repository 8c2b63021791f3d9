"""Rows and residuals of the natural-gradient problem, from local energies and scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec


class Batch(NamedTuple):
    """What one system contributes.

    Attributes:
        energies: local energies ``[G, W]``, real or complex.
        scores: ``[G, W, parts, P]``.
        size: how many times as many electrons it has as the first system.
    """

    energies: Array
    scores: Array
    size: float = 1.0


class System(NamedTuple):
    """The share of one system in the problem.

    Attributes:
        rows: ``[G, W, parts, P]``.
        residuals: ``[G, W, parts]``.
        deviation: standard deviation of the local energies ``[G]``.
        dropped: walkers of a group that were left out because something was not finite ``[G]``.
    """

    rows: Array
    residuals: Array
    deviation: Array
    dropped: Array


class _Centred(NamedTuple):
    """Residuals ``[G, W, parts]`` without weights, their spread ``[G]``, finite walkers ``[G, W]`` and how many there
    are, at least one ``[G, 1]``."""

    residuals: Array
    deviation: Array
    finite: Array
    valid: Array


def centred_system(energies: Array, scores: Array, *, clip: float, balance: float) -> System:
    """`joint_system` of one system; arguments as there."""
    return joint_system([Batch(energies, scores)], clip=clip, balance=balance)[0]


def joint_system(batches: Sequence[Batch], *, clip: float, balance: float) -> list[System]:
    """Rows and residuals of the natural-gradient problem, centred per group.

    Energies of a mixed batch differ by the dispersion of E(λ), which is no gradient signal: clipping,
    centring and scaling are all done inside each group.

    Groups of systems of several sizes count alike per electron. Local energies and scores of N electrons spread as
    √N, so each system is divided by the square root of its size: what is minimised is the mean of the energies per
    electron, and learning rate and damping mean for all systems what they mean for the first one alone.

    Args:
        batches: of every system.
        clip: local energies are pulled to within this many mean absolute deviations of the median.
        balance: ``train.balance``. Rows and residuals of a group are divided by its spread, over √size, to this power,
            so that a noisy end of the range does not drown the other.

    Returns:
        The share of each system.
    """
    centred = [_centred(one, clip) for one in batches]
    shares = _weights(centred, [one.size for one in batches], balance)
    return [_weighted(*one) for one in zip(batches, centred, shares, strict=True)]


def _centred(batch: Batch, clip: float) -> _Centred:
    energies, scores, _ = batch
    # The rows are the largest array of a step, and every pass over them is felt: a sum tells whether one is finite.
    finite = jnp.isfinite(energies) & jnp.isfinite(scores.sum((-1, -2)))
    # A group without one finite walker has nothing to say; 1 in place of its count keeps 0/0 out of the others.
    valid = jnp.maximum(finite.sum(1, keepdims=True), 1).astype(energies.real.dtype)
    median = jnp.nanmedian(jnp.where(finite, energies.real, jnp.nan), axis=1, keepdims=True)
    median = jnp.nan_to_num(median)
    real = jnp.where(finite, energies.real, median)
    spread = jnp.abs(real - median).sum(1, keepdims=True) / valid
    clipped = jnp.clip(real, median - clip * spread, median + clip * spread)
    residual = [clipped]
    if jnp.iscomplexobj(energies):
        imaginary = jnp.where(finite, energies.imag, 0.0)
        residual.append(jnp.clip(imaginary, -clip * spread, clip * spread))
    mask = finite[..., None].astype(clipped.dtype)
    stacked = jnp.stack(residual[: scores.shape[2]], axis=-1) * mask
    stacked = (stacked - stacked.sum(1, keepdims=True) / valid[..., None]) * mask
    deviation = jnp.sqrt((stacked[..., 0] ** 2).sum(1) / valid[:, 0])
    return _Centred(stacked, deviation, finite, valid)


def _weights(centred: Sequence[_Centred], sizes: Sequence[float], balance: float) -> list[Array]:
    """Factors on rows and residuals of each group, ``[G]`` for every system; Σ_g W w² of a system of size 1 is 1."""
    spreads = [one.deviation / size**0.5 for one, size in zip(centred, sizes, strict=True)]
    deviation, informed = jnp.concatenate(spreads), jnp.concatenate([one.finite.any(1) for one in centred])
    weight = jnp.maximum(deviation, 1e-6 * deviation.mean() + 1e-30) ** (-balance)
    weight = jnp.where(informed, weight, 0.0)
    weight = weight / jnp.sqrt((weight**2).sum() / jnp.maximum(informed.sum(), 1).astype(weight.dtype))
    groups, result = len(weight), []
    for one, size in zip(centred, sizes, strict=True):
        own, weight = jnp.split(weight, [len(one.deviation)])
        result.append(own / (size * groups * one.finite.shape[1]) ** 0.5)
    return result


def _weighted(batch: Batch, centred: _Centred, weight: Array) -> System:
    residuals, deviation, finite, valid = centred
    rows = jnp.where(finite[..., None, None], batch.scores, 0.0)
    share = (finite.astype(valid.dtype) / valid).astype(rows.dtype)
    mean = jnp.einsum("gw,gwkp->gkp", share, rows)
    mask = finite[..., None].astype(residuals.dtype)
    rows = (rows - mean[:, None]) * (mask * weight[:, None, None])[..., None]
    return System(rows, residuals * weight[:, None, None], deviation, finite.shape[1] - finite.sum(1))


def split_over_parameters(rows: Array, mesh: Mesh) -> Array:
    """Score rows ``[G, W, parts, P]`` as ``[n, P]``, moved from walkers to parameters over devices.

    The kernel ŌŌᵀ is then a sum over devices of equal products; split over walkers, XLA would gather
    every row on every device first.
    """
    if mesh.size > 1:
        split = NamedSharding(mesh, PartitionSpec(None, None, None, "walkers"))
        rows = jax.lax.with_sharding_constraint(rows, split)
    return rows.reshape(-1, rows.shape[-1])
