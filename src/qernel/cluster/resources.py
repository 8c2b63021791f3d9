"""What a job asks a batch system for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from qernel.cluster.studies import Study
from qernel.config.systems import shared_walkers
from qernel.errors import ConfigError
from qernel.runtime import MAX_DEVICES


@dataclass(frozen=True)
class Resources:
    """Of every job of an array; None leaves a value to the cluster.

    Attributes:
        nodes: machines.
        tasks_per_node: processes on each of them, which train together.
        cpus_per_task: cores of each process.
        gpus_per_task: accelerators of each process; 0: it computes on its cores.
        time: limit of one job as SLURM writes it, e.g. ``4:00:00``; a longer run takes several.
        warning: seconds before that at which a run is told to stop.
        requeues: how often a job may be queued again.
        at_once: jobs of the array that may run at the same time.
        options: ``(name, value)`` of further lines ``#SBATCH --name=value``.
        setup: shell commands before the steps, e.g. ``module load cuda``.
    """

    nodes: int = 1
    tasks_per_node: int = 1
    cpus_per_task: int = 1
    gpus_per_task: int = 0
    time: str | None = None
    warning: int = 300
    requeues: int = 100
    at_once: int | None = None
    options: Sequence[tuple[str, str]] = ()
    setup: Sequence[str] = ()

    @property
    def processes(self) -> int:
        """Processes that train together."""
        return self.nodes * self.tasks_per_node

    def check(self) -> None:
        """Raise ConfigError if a job would be told to stop before it has done anything."""
        if self.time is None:
            return
        limit = seconds(self.time)
        if limit and 2 * self.warning > limit:
            raise ConfigError(
                f"--warning {self.warning} is more than half of --time {self.time}: give a longer --time, or a "
                "shorter --warning (a few training steps have to fit in it)"
            )


def seconds(time: str) -> int:
    """A SLURM time limit in seconds: ``M``, ``M:S``, ``H:M:S``, ``D-H``, ``D-H:M`` or ``D-H:M:S``."""
    days, dash, rest = time.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    if not dash and len(parts) < 3:
        parts = [0, *parts]
    hours, minutes, last = (*parts, 0, 0)[:3]
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + last


def devices_per_process(studies: Iterable[Study], resources: Resources) -> int:
    """Devices of each training process, among which all walkers can be shared out evenly.

    Raises:
        ConfigError: if there is no such number.
    """
    walkers = math.gcd(*(shared_walkers(study.config) for study in studies))
    least = resources.processes * max(resources.gpus_per_task, 1)
    if walkers % least:
        what = f"{resources.processes} processes" + (
            f" of {resources.gpus_per_task} GPUs" * (resources.gpus_per_task > 1)
        )
        raise ConfigError(
            f"train.walkers (greatest common divisor of all studies: {walkers}) cannot be shared out among {what}: "
            f"set train.walkers to a multiple of {least}, or ask for fewer --nodes or --tasks-per-node"
        )
    if resources.gpus_per_task:
        return resources.gpus_per_task
    most = min(resources.cpus_per_task, MAX_DEVICES)
    return next(number for number in range(most, 0, -1) if walkers % (resources.processes * number) == 0)
