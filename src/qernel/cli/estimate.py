"""What a training run will cost: parameters, memory and time, without running it.

The arithmetic of one walker is counted by XLA in the very functions that training uses; the speed of the
machine is taken from a matrix product. Rough by design: it tells minutes from days.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from qernel.config import Config
from qernel.estimators.batched import walker_functions
from qernel.wavefunction import build, parameter_count, parameter_layout

EFFICIENCY = {"forward": 0.12, "folx": 0.1, "loop": 0.1}
"""Share of the speed of a matrix product that the wavefunction reaches, by Laplacian (measured at N = 6, 24, 54)."""

SOLVE_EFFICIENCY = 0.5
"""The same for the natural-gradient solve, whose large products and factorisation run near full speed."""

COPIES = 3
"""Score rows exist raw, centred and laid out for the solve."""

_DOUBLE = 0.5
"""Speed of double precision against single."""


class Estimate(NamedTuple):
    """Rough needs of a training run.

    Attributes:
        parameters: trainable numbers.
        memory: bytes at the peak of an iteration, in all.
        available: bytes the machine or the accelerator has, if known.
        iteration: seconds of one iteration.
        total: seconds of the whole run, with burn-in and without compilation.
        speed: floating-point operations per second of a single-precision matrix product, all devices.
        devices: how many devices share the walkers.
    """

    parameters: int
    memory: float
    available: float | None
    iteration: float
    total: float
    speed: float
    devices: int


def estimate(config: Config) -> Estimate:
    """The needs of ``config`` on this machine."""
    train, model = config.train, config.model
    hamiltonian = config.hamiltonian()
    dtype = jnp.dtype(train.precision)

    template = build(model, hamiltonian, key=jax.random.key(0), dtype=dtype)
    parameters = jax.eval_shape(lambda: parameter_layout(template)[0])
    positions = jnp.zeros((1, 1, hamiltonian.count, 2), dtype)
    points = jnp.zeros((1, len(hamiltonian.parameters)), dtype)
    functions = walker_functions(template, laplacian=train.laplacian)

    def operations(function: Callable[..., Any]) -> float:
        analysis = jax.jit(function).lower(parameters, positions, points).cost_analysis()
        return float(analysis["flops"]) if analysis else math.nan

    derivatives = operations(functions.local_energy)
    if train.laplacian == "loop":  # XLA counts the body of a loop once
        derivatives *= 2 * hamiltonian.count
    scores = operations(functions.scores)
    walker = (train.moves + 1) * operations(functions.log_modulus) + derivatives + scores
    walkers = train.groups * train.walkers
    rows = walkers * (2 if config.is_complex else 1)
    size = parameters.size

    speed = matmul_speed()
    slow = 1.0 if train.precision == "float32" else _DOUBLE
    seconds = walkers * walker / (speed * slow * EFFICIENCY[train.laplacian])
    if train.optimiser == "spring":
        solve = 2 * rows**2 * size / slow + rows**3 / 3 / _DOUBLE
        seconds += solve / (speed * SOLVE_EFFICIENCY)
    total = seconds * (train.burn_in + train.iterations)
    memory = dtype.itemsize * (COPIES * rows * size + _working_set(config))
    if train.optimiser == "spring":
        memory += 2 * 8 * rows**2  # the kernel and its Cholesky factor
    return Estimate(parameter_count(template), memory, available_memory(), seconds, total, speed, jax.device_count())


def _working_set(config: Config) -> float:
    """Numbers alive in the local energies of the walkers evaluated at once: a few jets of 2N + 2 components."""
    train, model = config.train, config.model
    count = config.system.count
    at_once = min(train.chunk or train.walkers, train.walkers)
    width = 4 * model.width + model.heads * count + model.determinants * count
    return 4.0 * at_once * (2 * count + 2) * count * width


def available_memory() -> float | None:
    """Bytes of memory of the accelerators, or of the machine where there are none."""
    if jax.default_backend() != "cpu":
        stats = [device.memory_stats() or {} for device in jax.devices()]
        return float(sum(entry.get("bytes_limit", 0) for entry in stats)) or None
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def matmul_speed(size: int = 512, repetitions: int = 10) -> float:
    """Operations per second of single-precision matrix products, one on each device at the same time.

    At the same time, because two threads of one core are not twice as fast as one.
    """
    if jax.default_backend() != "cpu":
        size *= 8
    product = jax.jit(lambda x: x @ x)
    values = np.random.default_rng(0).normal(size=(size, size)).astype(np.float32)
    matrices = [jax.device_put(values, device) for device in jax.devices()]
    times = []
    for _ in range(repetitions + 1):  # the first one compiles
        start = time.perf_counter()
        for result in [product(matrix) for matrix in matrices]:
            result.block_until_ready()
        times.append(time.perf_counter() - start)
    return 2.0 * size**3 * len(matrices) / min(times)
