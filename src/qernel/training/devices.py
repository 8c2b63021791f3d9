"""Devices and threads of the commands that train."""

from __future__ import annotations

from qernel import runtime
from qernel.config import Config
from qernel.config.systems import shared_walkers


def share_out(*configs: Config, walkers: int | None = None, joining: bool = False) -> None:
    """Set up JAX so that the walkers of runs under equal conditions are shared out evenly, in training and measuring.

    Args:
        configs: of the runs; the first says how many walkers there are.
        walkers: those of a measurement, per λ; None means as configured.
        joining: see `qernel.runtime.configure`.
    """
    first = configs[0]
    devices = runtime.usable_devices(shared_walkers(first), walkers or first.sample.walkers)
    undivided = all(config.train.laplacian != "folx" for config in configs)
    runtime.configure(devices, undivided=undivided, joining=joining)
