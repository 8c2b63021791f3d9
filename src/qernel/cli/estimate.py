"""What a training run will cost: parameters, memory and time, without running it.

The matrix products of one walker are counted in the very functions that training uses; the speed of the
machine is taken from a large one. Rough by design: it tells minutes from days.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from qernel.benchmark.flops import matmul_flops, matmul_rate
from qernel.config import Config
from qernel.estimators.batched import walker_functions, walkers_at_once
from qernel.wavefunction import build, parameter_count, parameter_layout

EFFICIENCY = {"forward": 0.3, "folx": 0.2, "loop": 0.1}
"""Share of the speed of a matrix product that the wavefunction reaches, by Laplacian (measured at N = 6, 24, 54)."""

SOLVE_EFFICIENCY = 0.5
"""The same for the natural-gradient solve, whose large products and factorisation run near full speed."""


def copies(devices: int) -> int:
    """How often the score rows exist at the peak: raw and centred, and between devices also laid out for the solve."""
    return 2 if devices == 1 else 3


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

    template = build(model, hamiltonian, key=jax.random.key(0), dtype=dtype, start=False)
    parameters = jax.eval_shape(lambda: parameter_layout(template)[0])
    positions = jnp.zeros((1, 1, hamiltonian.count, 2), dtype)
    points = jnp.zeros((1, len(hamiltonian.parameters)), dtype)
    functions = walker_functions(template, laplacian=train.laplacian)

    def operations(function: Callable[..., Any]) -> int:
        return matmul_flops(function, parameters, positions, points)

    derivatives, scores = operations(functions.local_energy), operations(functions.scores)
    walker = (train.moves + 1) * operations(functions.log_modulus) + derivatives + scores
    walkers = train.groups * train.walkers
    rows = walkers * (2 if config.is_complex else 1)
    size = parameters.size

    speed = matmul_rate(jax.device_count())
    slow = 1.0 if train.precision == "float32" else _DOUBLE
    seconds = walkers * walker / (speed * slow * EFFICIENCY[train.laplacian])
    if train.optimiser == "spring":
        solve = 2 * rows**2 * size / slow + rows**3 / 3 / _DOUBLE
        seconds += solve / (speed * SOLVE_EFFICIENCY)
    total = seconds * (train.burn_in + train.iterations)
    memory = dtype.itemsize * (copies(jax.device_count()) * rows * size + _working_set(config))
    if train.optimiser == "spring":
        memory += 2 * 8 * rows**2  # the kernel and its Cholesky factor
    return Estimate(parameter_count(template), memory, available_memory(), seconds, total, speed, jax.device_count())


def _working_set(config: Config) -> float:
    """Numbers alive in the local energies of the walkers evaluated at once: a few jets of 2N + 2 components."""
    train, model = config.train, config.model
    count = config.system.count
    at_once = min(train.chunk or walkers_at_once(count), train.walkers)
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
