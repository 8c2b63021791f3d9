"""What a training run will cost: parameters, memory and time, without running it.

The matrix products of one walker are counted in the very functions that training uses; the speed of the
machine is taken from a large one. Rough by design: it tells minutes from days.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from qernel.benchmark.flops import matmul_flops, matmul_rate
from qernel.config import Config
from qernel.estimators.batched import WalkerFunctions, walker_functions, walkers_at_once
from qernel.estimators.memory import available_memory, live_bytes
from qernel.training.rows import passes
from qernel.training.size import score_rows, walkers_in_words
from qernel.wavefunction import outline, parameter_count, parameter_layout

EFFICIENCY = {"forward": 0.3, "folx": 0.2, "loop": 0.1}
"""Share of the speed of a matrix product that the wavefunction reaches, by Laplacian (measured at N = 6, 24, 54)."""

SOLVE_EFFICIENCY = 0.5
"""The same for the natural-gradient solve, whose large products and factorisation run near full speed."""


def copies(devices: int) -> int:
    """How often the score rows exist at the peak: raw and centred, and between devices also laid out for the solve."""
    return 2 if devices == 1 else 3


_DOUBLE = 0.5
"""Speed of double precision against single."""


class Share(NamedTuple):
    """Rough needs of the groups of one system, without the solve that all share.

    Attributes:
        label: the system for people.
        walkers: groups and walkers in words.
        rows: in the natural-gradient problem.
        seconds: of its walkers in an iteration.
        stored: bytes of its score rows.
        working: bytes at the worse of two moments, local energies and score rows, rows included.
    """

    label: str
    walkers: str
    rows: int
    seconds: float
    stored: float
    working: float


class Estimate(NamedTuple):
    """Rough needs of a training run.

    Attributes:
        parameters: trainable numbers.
        memory: bytes of all arrays at the peak of an iteration, on all devices.
        program: bytes of the process besides, where it shares its memory with the arrays.
        available: bytes the machine or the accelerator has, if known.
        iteration: seconds of one iteration.
        total: seconds of the whole run, with burn-in and without compilation.
        speed: floating-point operations per second of a single-precision matrix product, all devices.
        devices: how many devices share the walkers.
        shares: of every system.
    """

    parameters: int
    memory: float
    program: float
    available: float | None
    iteration: float
    total: float
    speed: float
    devices: int
    shares: tuple[Share, ...]


def estimate(config: Config) -> Estimate:
    """The needs of ``config`` on this machine."""
    train, devices = config.train, jax.device_count()
    dtype = jnp.dtype(train.precision)
    template = outline(config.model, config.hamiltonian(), dtype=dtype)
    layout = parameter_layout(template)
    speed = matmul_rate(devices)
    slow = 1.0 if train.precision == "float32" else _DOUBLE
    shares = tuple(_share(one, speed * slow * EFFICIENCY[train.laplacian]) for one in config.members)
    rows = sum(one.rows for one in shares)
    seconds = sum(one.seconds for one in shares)
    if train.optimiser == "spring":
        solve = 2 * rows**2 * layout.trainable / slow + rows**3 / 3 / _DOUBLE
        seconds += solve / (speed * SOLVE_EFFICIENCY)
    memory = dtype.itemsize * _STATES * layout.parameters.size * devices + _peak(config, shares)
    return Estimate(
        parameters=parameter_count(template),
        memory=memory,
        program=_PROGRAM if jax.default_backend() == "cpu" else 0.0,
        available=available_memory(),
        iteration=seconds,
        total=seconds * (train.burn_in + train.iterations),
        speed=speed,
        devices=devices,
        shares=shares,
    )


def _share(config: Config, speed: float) -> Share:
    """Of the only system of a configuration; ``speed`` is what the wavefunction reaches."""
    train, hamiltonian = config.train, config.hamiltonian()
    dtype = jnp.dtype(train.precision)
    template = outline(config.model, hamiltonian, dtype=dtype)
    layout = parameter_layout(template)
    parameters = jax.ShapeDtypeStruct(layout.parameters.shape, dtype)
    positions = jnp.zeros((1, 1, hamiltonian.count, 2), dtype)
    points = jnp.zeros((1, len(hamiltonian.parameters)), dtype)
    arguments = parameters, positions, points
    # Under `jit` a trace is kept, and each function is traced once for all that is read off it.
    bare = walker_functions(template, laplacian=train.laplacian, implicit=train.implicit)
    functions: WalkerFunctions = jax.tree.map(jax.jit, bare)

    def operations(function: Callable[..., Any]) -> int:
        return matmul_flops(function, *arguments)

    measured = sum(operations(one) for one in passes(functions))
    walker = (train.moves + 1) * operations(functions.log_modulus) + measured
    seconds = train.groups * train.walkers * walker / speed
    rows = score_rows(config)
    stored = dtype.itemsize * rows * layout.trainable
    working = _working(config, layout.trainable, stored, functions, arguments)
    return Share(config.system.label, walkers_in_words(config), rows, seconds, stored, working)


_PROGRAM = 1.6e9
"""Bytes of Python, JAX and what the compiler leaves behind (docs/benchmarks.md): hardly a question of N."""

_STATES = 6
"""Vectors of all parameters before and after a step: the parameters, their average, the direction."""


def _working(config: Config, size: int, stored: float, functions: WalkerFunctions, arguments: Sequence[Any]) -> float:
    """Bytes at the worse of two moments of an iteration in one system: local energies, score rows."""
    train, devices = config.train, jax.device_count()
    parts = 2 if config.is_complex else 1
    share = max(train.walkers // devices, 1)

    def working(function: Callable[..., Any], laplacian: bool, result: int = 0) -> float:
        single = live_bytes(function, *arguments) - result
        at_once = train.chunk or walkers_at_once(share, config.system.count, lambda: single, laplacian=laplacian)
        return devices * min(at_once, share) * single

    # The rows of a group are gathered before they join those of the others. A trace has each twice, joined and shaped.
    row = 2 * jnp.dtype(train.precision).itemsize * parts * size
    *before, rows = passes(functions)
    last = stored * (1 + 1 / train.groups) + working(rows, not before, row)
    return max([last, *(working(one, True) for one in before)])


def _peak(config: Config, shares: Sequence[Share]) -> float:
    """Bytes at the worst moment of an iteration: in one of the systems, while rows of all others wait, or the solve."""
    stored, rows = sum(one.stored for one in shares), sum(one.rows for one in shares)
    kernel = 2 * 8 * rows**2 if config.train.optimiser == "spring" else 0  # factorised
    # Rows of several systems are joined for the solve.
    solve = (copies(jax.device_count()) + (len(shares) > 1)) * stored + kernel
    return max(solve, *(one.working + stored - one.stored for one in shares))
