"""Devices and threads of the commands that train."""

from __future__ import annotations

from qernel import runtime
from qernel.config import Config


def share_out(*configs: Config, walkers: int | None = None) -> None:
    """Set up JAX so that the walkers of runs under equal conditions are shared out evenly, in training and measuring.

    Args:
        configs: of the runs; the first says how many walkers there are.
        walkers: those of a measurement, per λ; None means as configured.
    """
    first = configs[0]
    devices = runtime.usable_devices(first.train.walkers, walkers or first.sample.walkers)
    runtime.configure(devices, undivided=all(config.train.laplacian != "folx" for config in configs))
