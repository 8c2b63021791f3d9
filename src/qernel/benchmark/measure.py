"""Timing stages side by side, and putting the times in proportion to the machine's matrix products."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from qernel.benchmark.flops import matmul_flops
from qernel.benchmark.stages import REFERENCE, STAGES, with_method
from qernel.config import Config, load_config
from qernel.errors import QernelError
from qernel.sampling.devices import walker_mesh
from qernel.stopping import check
from qernel.training.run import initial_wavefunction

SYSTEMS = {2: [[1, 1], [-1, 2]]} | {2 * n * n // 3: [[n, 0], [0, n]] for n in (3, 6, 9, 12, 15)}
"""Supercells of filling 2/3 by number of electrons."""

_SECONDS = 10.0
"""Time spent on the repetitions of one comparison, beyond the fewest."""
_FEWEST, _MOST = 3, 15


class Timing(NamedTuple):
    """One stage for one system.

    Attributes:
        electrons: N.
        stage: key of `STAGES`.
        devices: how many shared the walkers.
        walkers: how many were worked on at once.
        ms_per_walker: median over repetitions.
        spread: half the distance between the quartiles of ``ms_per_walker``.
        reference_ms_per_walker: the same for the general library; None for stages without a Laplacian.
        ratio: median over repetitions of reference time / our time, measured in turns.
        matmul_fraction: matrix-product operations of the stage per second over what the same devices reach on large
            matrices.
        memory_MB: temporary memory of our computation.
    """

    electrons: int
    stage: str
    devices: int
    walkers: int
    ms_per_walker: float
    spread: float
    reference_ms_per_walker: float | None
    ratio: float | None
    matmul_fraction: float
    memory_MB: float | None


def configuration(electrons: int, overrides: Sequence[str]) -> Config:
    """The network that is timed: width 64, 2 blocks of 4 heads, 2 determinants, unless overridden.

    Raises:
        QernelError: if there is no supercell for this number of electrons.
    """
    if electrons not in SYSTEMS:
        known = ", ".join(str(n) for n in SYSTEMS)
        raise QernelError(f"--electrons {electrons} fills no supercell of the benchmark: choose from {known}")
    walkers = min(256, max(4, 20_000 // electrons**2 // 2 * 2))
    table = {
        "name": f"bench{electrons}",
        "system": {"electrons": electrons, "supercell": SYSTEMS[electrons]},
        "family": {"lam": [0.3, 1.6]},
        # More electrons than features need one-electron functions to carry the rank.
        "model": {"width": 64, "determinants": 2, "orbitals": "network" if electrons <= 64 else "bloch"},
        "train": {"groups": 1, "walkers": walkers},
    }
    if electrons > 64:
        table["model"] |= {"bloch_cutoff": 30.0}  # type: ignore[operator]
    return load_config(table, overrides)


def run(configs: Sequence[Config], stages: Sequence[str], devices: int, speed: float) -> Iterator[Timing]:
    """Time every stage of every configuration on some devices; results as they come.

    ``speed`` is what `matmul_rate` gives for these devices.
    """
    for config in configs:
        for stage in stages:
            yield _time(config, stage, devices, speed)


def _time(config: Config, name: str, devices: int, speed: float) -> Timing:
    stage = STAGES[name]
    template = initial_wavefunction(config)
    walkers = config.train.walkers
    mesh = walker_mesh(walkers, devices)
    methods = [config.train.laplacian, REFERENCE] if stage.laplacian else [config.train.laplacian]
    runs: dict[str, Callable[[], Any]] = {}
    memory = None
    flops = 0
    for method in methods:
        check()
        function, arguments = stage.build(with_method(config, method), template, mesh)
        compiled = jax.jit(function).lower(*arguments).compile()
        runs[method] = partial(compiled, *arguments)
        if method == methods[0]:
            flops = matmul_flops(function, *arguments)
            analysis = compiled.memory_analysis()
            memory = None if analysis is None else analysis.temp_size_in_bytes / 1e6
    times = _alternate(runs)
    ours = np.array(times[methods[0]]) / walkers * 1e3
    quartiles = statistics.quantiles(ours, n=4)
    median = float(np.median(ours))
    reference = np.array(times[methods[1]]) / walkers * 1e3 if stage.laplacian else None
    return Timing(
        electrons=config.system.count,
        stage=name,
        devices=mesh.size,
        walkers=walkers,
        ms_per_walker=median,
        spread=0.5 * (quartiles[2] - quartiles[0]),
        reference_ms_per_walker=None if reference is None else float(np.median(reference)),
        ratio=None if reference is None else float(np.median(reference / ours)),
        matmul_fraction=flops / (median * 1e-3 * walkers) / speed,
        memory_MB=memory,
    )


def _alternate(runs: dict[str, Callable[[], Any]]) -> dict[str, list[float]]:
    """Seconds of each computation, one after the other in turns, so that a busy moment hits all of them."""
    for compute in runs.values():
        jax.block_until_ready(compute())
    times: dict[str, list[float]] = {name: [] for name in runs}
    start = time.perf_counter()
    while True:
        for name, compute in runs.items():
            check()
            before = time.perf_counter()
            jax.block_until_ready(compute())
            times[name].append(time.perf_counter() - before)
        count = len(next(iter(times.values())))
        if count >= _MOST or (count >= _FEWEST and time.perf_counter() - start > _SECONDS):
            return times


def scaling_exponent(timings: Sequence[Timing]) -> float | None:
    """The power of N the times of one stage grow with, fitted over N ≥ 24; None with fewer than two such N."""
    points = [(t.electrons, t.ms_per_walker) for t in timings if t.electrons >= 24]
    if len({n for n, _ in points}) < 2:
        return None
    n, ms = jnp.log(jnp.asarray(points)).T
    return float(jnp.polyfit(n, ms, 1)[0])
