"""Walkers over devices: every device samples and differentiates its own share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import Mesh, PartitionSpec

from qernel.sampling.metropolis import Walkers


def walker_mesh(walkers: int, devices: int | None = None) -> Mesh:
    """As many devices in a row as divide ``walkers``: walkers are split over them, the rest is replicated.

    Args:
        walkers: walkers per group.
        devices: use only so many of the devices there are.
    """
    count = math.gcd(walkers, devices or jax.device_count())
    return jax.make_mesh((count,), ("walkers",), (jax.sharding.AxisType.Auto,), devices=jax.devices()[:count])


def over_walkers(measure: Callable[..., Any], mesh: Mesh) -> Callable[..., Any]:
    """Run a function of (parameters, walkers, points, keys) on each device's share of the walkers."""
    replicated, split = PartitionSpec(), PartitionSpec(None, "walkers")
    walkers = Walkers(split, split, replicated)  # type: ignore[arg-type]
    return jax.shard_map(
        measure,
        mesh=mesh,
        in_specs=(replicated, walkers, replicated, split),
        out_specs=(walkers, split, split, split),
        check_vma=False,
    )
