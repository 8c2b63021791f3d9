"""One run in several processes: the first one writes, all of them step, and they agree on when to stop.

Every process calls the same of these functions in the same order; in a single process they cost nothing.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding

from qernel.errors import RunError
from qernel.sampling.devices import REPLICATED


def several() -> bool:
    """Whether this process is one of several."""
    return jax.process_count() > 1


def first() -> bool:
    """Whether this is the process that writes and speaks."""
    return jax.process_index() == 0


def agreed(*flags: int) -> tuple[int, ...]:
    """The largest value that each flag, or number, has in any process."""
    if not several():
        return flags
    gathered = multihost_utils.process_allgather(np.array([int(flag) for flag in flags]))
    return tuple(int(value) for value in np.asarray(gathered).reshape(-1, len(flags)).max(0))


def from_first(tree: Any) -> Any:
    """The arrays that the first process has, in every process, as NumPy arrays."""
    return multihost_utils.broadcast_one_to_all(tree) if several() else tree


def complete(tree: Any, mesh: Mesh) -> Any:
    """Arrays of which every process has a share, whole in every process."""
    if not several():
        return tree
    return jax.jit(lambda same: same, out_shardings=NamedSharding(mesh, REPLICATED))(tree)


def check_shares(walkers: int) -> None:
    """Every device of every process needs a share of the walkers.

    Raises:
        RunError: if they cannot be shared out evenly.
    """
    devices = jax.device_count()
    if several() and walkers % devices:
        raise RunError(
            f"train.walkers = {walkers} cannot be shared out among {devices} devices of {jax.process_count()} "
            f"processes: give a multiple of {devices}, or set QERNEL_DEVICES to the devices of each process"
        )
