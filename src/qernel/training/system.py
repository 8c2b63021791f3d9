"""Rows and residuals of the natural-gradient problem, from local energies and scores."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec


def centred_system(energies: Array, scores: Array, *, clip: float, balance: float) -> tuple[Array, Array, Array, Array]:
    """Rows and residuals of the natural-gradient problem, centred per group.

    Energies of a mixed batch differ by the dispersion of E(λ), which is no gradient signal: clipping,
    centring and scaling are all done inside each group.

    Args:
        energies: local energies ``[G, W]``, real or complex.
        scores: ``[G, W, parts, P]``.
        clip: local energies are pulled to within this many mean absolute deviations of the median.
        balance: ``train.balance``. Rows and residuals of a group are divided by its spread to this power, so that a
            noisy end of the range does not drown the other.

    Returns:
        Rows ``[n, P]``, residuals ``[n]``, standard deviation per group ``[G]``, number of walkers dropped
        per group because something was not finite ``[G]``.
    """
    groups, count, parts, _ = scores.shape
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
    stacked = jnp.stack(residual[:parts], axis=-1) * mask
    stacked = (stacked - stacked.sum(1, keepdims=True) / valid[..., None]) * mask
    deviation = jnp.sqrt((stacked[..., 0] ** 2).sum(1) / valid[:, 0])
    informed = finite.any(1)
    weight = jnp.maximum(deviation, 1e-6 * deviation.mean() + 1e-30) ** (-balance)
    weight = jnp.where(informed, weight, 0.0)
    weight = (
        weight
        / jnp.sqrt((weight**2).sum() / jnp.maximum(informed.sum(), 1).astype(weight.dtype))
        / (groups * count) ** 0.5
    )
    rows = jnp.where(finite[..., None, None], scores, 0.0)
    share = (finite.astype(valid.dtype) / valid).astype(rows.dtype)
    mean = jnp.einsum("gw,gwkp->gkp", share, rows)
    rows = (rows - mean[:, None]) * (mask * weight[:, None, None])[..., None]
    residuals = stacked * weight[:, None, None]
    return rows, residuals, deviation, count - finite.sum(1)


def split_over_parameters(rows: Array, mesh: Mesh) -> Array:
    """Score rows ``[G, W, parts, P]`` as ``[n, P]``, moved from walkers to parameters over devices.

    The kernel ŌŌᵀ is then a sum over devices of equal products; split over walkers, XLA would gather
    every row on every device first.
    """
    if mesh.size > 1:
        split = NamedSharding(mesh, PartitionSpec(None, None, None, "walkers"))
        rows = jax.lax.with_sharding_constraint(rows, split)
    return rows.reshape(-1, rows.shape[-1])
