"""Floating-point operations: how many a function asks for, and how many this machine does per second."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from qernel.estimators.memory import inner_traces
from qernel.sampling.devices import walker_mesh

_EDGES = {"cpu": 1024}
_ACCELERATOR_EDGE = 8192
"""Size of the matrices whose product sets the scale."""

_REPETITIONS = 8


def matmul_flops(function: Callable[..., Any], *arguments: Any) -> int:
    """Operations of all matrix products a function asks for, loops counted as often as they run.

    Elementwise work and decompositions are left out: this is the least that a machine limited by its
    matrix products has to do. A product of complex matrices counts as four real ones.
    """
    return _count(jax.make_jaxpr(function)(*arguments).jaxpr)


def _repeats(equation: Any) -> int:
    """How often the traces inside an equation are run."""
    name, parameters = equation.primitive.name, equation.params
    if name == "scan":
        return int(parameters["length"])
    # The trace under a `shard_map` is the share of one device.
    return int(parameters["mesh"].size) if name == "shard_map" else 1


def _count(jaxpr: Any) -> int:
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            total += _product(equation)
        total += _repeats(equation) * sum(_count(inner) for inner in inner_traces(equation.params))
    return total


def _product(equation: Any) -> int:
    left, right = (variable.aval for variable in equation.invars)
    (contracted, _), _ = equation.params["dimension_numbers"]
    out = equation.outvars[0].aval
    complex_factors = 2 ** sum(jax.numpy.issubdtype(x.dtype, jax.numpy.complexfloating) for x in (left, right))
    return 2 * complex_factors * math.prod(out.shape) * math.prod(left.shape[axis] for axis in contracted)


def matmul_rate(devices: int) -> float:
    """Single-precision matrix-product operations per second of some devices working at the same time.

    At the same time, because two threads of one core are not twice as fast as one.
    """
    mesh = walker_mesh(devices, devices)
    spec = jax.sharding.PartitionSpec("walkers")
    edge = _EDGES.get(jax.default_backend(), _ACCELERATOR_EDGE)
    values = np.random.default_rng(0).normal(size=(devices, edge, edge)).astype(np.float32)
    matrices = jax.device_put(values, jax.sharding.NamedSharding(mesh, spec))
    square = jax.jit(jax.shard_map(lambda a: (a[0] @ a[0])[None], mesh=mesh, in_specs=spec, out_specs=spec))
    times = []
    for _ in range(_REPETITIONS + 1):  # the first one compiles
        start = time.perf_counter()
        jax.block_until_ready(square(matrices))
        times.append(time.perf_counter() - start)
    return 2.0 * devices * edge**3 / min(times)
