"""The stages that are timed: each a jitted function of walkers, for the Laplacian of its configuration.

Adding a stage: a function with the signature of those below, and an entry in `STAGES`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh

from qernel.config import Config
from qernel.estimators.batched import WalkerFunctions, walker_functions
from qernel.sampling.devices import SPLIT, WALKERS, over_walkers
from qernel.sampling.metropolis import Walkers
from qernel.sampling.population import Population
from qernel.training.run import initial_state, training_step
from qernel.training.state import layout
from qernel.wavefunction import Wavefunction

REFERENCE = "folx"
"""The general library that stages with a Laplacian are compared with."""

Compute = Callable[..., Any]


class Stage(NamedTuple):
    """One timed computation.

    Attributes:
        build: (configuration, template, mesh) → function and its arguments.
        laplacian: whether it contains a Laplacian, and so a reference to compare with.
    """

    build: Callable[[Config, Wavefunction, Mesh], tuple[Compute, tuple[Any, ...]]]
    laplacian: bool


def with_method(config: Config, method: str) -> Config:
    """The configuration with another Laplacian, the general library called as its users call it: vectorised over all
    walkers at once."""
    chunk = config.train.walkers if method == REFERENCE else config.train.chunk
    train = config.train.model_copy(update={"laplacian": method, "chunk": chunk})
    return config.model_copy(update={"train": train})


def _functions(config: Config, template: Wavefunction) -> WalkerFunctions:
    return walker_functions(template, laplacian=config.train.laplacian, chunk=config.train.chunk)


def _arguments(config: Config, template: Wavefunction) -> tuple[Array, Walkers, Array, Array]:
    state = initial_state(config, template)
    points = jnp.asarray([list(template.hamiltonian.middle.values())], state.parameters.dtype)
    return state.parameters, state.walkers, points, jax.random.split(jax.random.key(1), (1, config.train.walkers))


def _forward(config: Config, template: Wavefunction, mesh: Mesh) -> tuple[Compute, tuple[Any, ...]]:
    functions = _functions(config, template)
    run = over_walkers(lambda p, w, c, _: functions.log_modulus(p, w.positions, c), mesh, SPLIT)
    return run, _arguments(config, template)


def _local_energy(config: Config, template: Wavefunction, mesh: Mesh) -> tuple[Compute, tuple[Any, ...]]:
    functions = _functions(config, template)
    run = over_walkers(lambda p, w, c, _: functions.local_energy(p, w.positions, c), mesh, SPLIT)
    return run, _arguments(config, template)


def _gradient(config: Config, template: Wavefunction, mesh: Mesh) -> tuple[Compute, tuple[Any, ...]]:
    functions = _functions(config, template)
    run = over_walkers(lambda p, w, c, _: functions.scores(p, w.positions, c), mesh, SPLIT)
    return run, _arguments(config, template)


def _sampling(config: Config, template: Wavefunction, mesh: Mesh) -> tuple[Compute, tuple[Any, ...]]:
    population = Population.of(_functions(config, template).log_modulus, template.hamiltonian)

    def run(parameters: Array, walkers: Walkers, points: Array, keys: Array) -> Walkers:
        return population.advanced(parameters, walkers, points, keys, moves=config.train.moves).walkers

    return over_walkers(run, mesh, WALKERS), _arguments(config, template)


def _step(config: Config, template: Wavefunction, mesh: Mesh) -> tuple[Compute, tuple[Any, ...]]:
    state = initial_state(config, template)
    step = training_step(config, template, devices=mesh.size)
    return step, (jax.device_put(state, layout(state, mesh)),)


STAGES: dict[str, Stage] = {
    "forward": Stage(_forward, False),
    "local_energy": Stage(_local_energy, True),
    "gradient": Stage(_gradient, False),
    "sampling": Stage(_sampling, False),
    "step": Stage(_step, True),
}
"""Stages by name, in the order of an iteration; `qernel.cli.commands.bench` lists the names again, without jax."""
