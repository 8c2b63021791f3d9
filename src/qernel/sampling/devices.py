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


REPLICATED, SPLIT = PartitionSpec(), PartitionSpec(None, "walkers")
"""Layout of what all walkers share, and of what has an entry for each walker of a group, ``[G, W, ...]``."""

WALKERS = Walkers(SPLIT, SPLIT, REPLICATED)  # type: ignore[arg-type]
"""Layout of walkers: only the step width belongs to a whole group."""


def over_walkers(
    measure: Callable[..., Any], mesh: Mesh, outputs: Any, *, walkers: Any = WALKERS
) -> Callable[..., Any]:
    """Run a function of (parameters, walkers, points, keys) on each device's share of the walkers.

    Args:
        measure: the function.
        mesh: from `walker_mesh`.
        outputs: layout of the results: `SPLIT` or `WALKERS`, one for all of them or one for each.
        walkers: layout of the second argument, where it is no `Walkers`.
    """
    return jax.shard_map(
        measure,
        mesh=mesh,
        in_specs=(REPLICATED, walkers, REPLICATED, SPLIT),
        out_specs=outputs,
        check_vma=False,
    )
