"""One training iteration as a pure function: move λ, sample, measure, update.

The path of the walkers: drift of the family points → Metropolis sweep at the new points → swaps between
neighbouring groups → local energies and
score rows of every walker → per-group clipping, centring and balancing → optimiser → new parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh, NamedSharding

from qernel.config.sections import TrainConfig
from qernel.optimise import Schedule, build_optimiser
from qernel.sampling.devices import REPLICATED, walker_mesh
from qernel.training.expert_load import nudged, steered_places
from qernel.training.members import Member
from qernel.training.state import TrainState, layout, relaxed
from qernel.training.system import Batch, joint_system, split_over_parameters
from qernel.training.walk import Moved, Walk
from qernel.wavefunction import Wavefunction


class StepInfo(NamedTuple):
    """What one iteration measured, per group ``[G]``; energies per electron in E0, over the finite walkers.

    ``acceptance`` is that of the moves which ``width`` belongs to, ``other_acceptance`` that of every further kind
    (`qernel.sampling.moves`) by name. ``exchange_acceptance`` is that of swaps with the next group; nan in the last
    group, and in iterations without. ``skipped`` is a scalar: whether the update was not finite and the parameters
    stayed as they were.
    """

    point: Array
    energy: Array
    error: Array
    median: Array
    deviation: Array
    kinetic: Array
    moire: Array
    interaction: Array
    order_parameter: Array
    acceptance: Array
    other_acceptance: dict[str, Array]
    exchange_acceptance: Array
    width: Array
    bad_walkers: Array
    skipped: Array


def moved_on(
    state: TrainState,
    update: Array,
    optimiser_state: Any,
    *,
    burn_in: int,
    average: float,
    nudge: Callable[[Array], Array] | None = None,
) -> tuple[TrainState, Array]:
    """Parameters, their running average and the optimiser after an update.

    Early iterations only let the walkers find |ψ|²; the same compiled step serves both. A walker on a node can have a
    score whose square overflows: such an update is skipped whole.

    Args:
        state: before.
        update: to subtract from the trainable parameters, which come first.
        optimiser_state: after the update.
        burn_in: iterations without learning.
        average: iterations that the running average extends over at last.
        nudge: moves parameters that the energy does not move.

    Returns:
        The state, walkers and key of before in it, and whether the update was finite.
    """
    usable = jnp.isfinite(update).all()
    learning = (state.iteration >= burn_in) & usable
    parameters = jnp.where(learning, state.parameters.at[: update.size].add(-update), state.parameters)
    if nudge is not None:
        parameters = jnp.where(learning, nudge(parameters), parameters)
    updates = (state.iteration + 1 - burn_in).astype(jnp.float64)
    # A mean over the recent tenth of the run at first, then over a fixed number of iterations.
    fading = (1.0 / jnp.clip(0.1 * updates, 1.0, average)).astype(parameters.dtype)
    new = state._replace(
        parameters=parameters,
        average=state.average + fading * (parameters - state.average),
        optimiser=jax.tree.map(lambda a, b: jnp.where(learning, a, b), optimiser_state, state.optimiser),
        iteration=state.iteration + 1,
        tuning=relaxed(state.tuning),
    )
    return new, usable


def make_step(
    template: Wavefunction,
    train: TrainConfig,
    *,
    others: Sequence[Member] = (),
    expert_balance: float = 0.0,
    devices: int | None = None,
) -> Callable[[TrainState], tuple[TrainState, StepInfo]]:
    """The jitted training iteration of one ansatz.

    Args:
        template: any instance of the ansatz; only its structure is used.
        train: how to train.
        others: further systems that the same numbers are trained in; their rows join those of the first in one solve.
        expert_balance: logits by which router biases move towards equal load at the first update, where they are
            steered (`qernel.training.expert_load`).
        devices: how many devices share the walkers; None: all there are.
    """
    walks = [Walk.of(template, train), *(Walk.of(one.wavefunction, one.train) for one in others)]
    optimiser = build_optimiser(train)
    places, rate = steered_places(template), Schedule(expert_balance, train.decay)

    def step(state: TrainState) -> tuple[TrainState, StepInfo]:
        key, *random = jax.random.split(jax.random.wrap_key_data(state.key), 3)
        mesh = walker_mesh(math.gcd(*(one.walkers.log_modulus.shape[1] for one in state.placed)), devices)
        moved = [
            walk.moved(state, placed, _keys(random, number), mesh)
            for number, (walk, placed) in enumerate(zip(walks, state.placed, strict=True))
        ]
        sizes = [walk.hamiltonian.count / walks[0].hamiltonian.count for walk in walks]
        batches = [Batch(one.energies.total, one.rows, size) for one, size in zip(moved, sizes, strict=True)]
        systems = joint_system(batches, clip=train.clip, balance=train.balance)
        rows = _joined([split_over_parameters(one.rows, mesh) for one in systems])
        residuals = _joined([one.residuals.reshape(-1) for one in systems])
        update, optimiser_state = optimiser.update(rows, residuals, state.optimiser, state.tuning)
        nudge = None
        if places.size:
            load = _load(walks, state, moved, mesh)
            nudge = partial(nudged, places=places, load=load, rate=rate(state.iteration - train.burn_in))
        new, usable = moved_on(
            state, update, optimiser_state, burn_in=train.burn_in, average=train.average, nudge=nudge
        )
        new = new.moved([one.placed for one in moved])._replace(key=jax.random.key_data(key))
        new = jax.lax.with_sharding_constraint(new, layout(new, mesh))
        found = [w.info(m, s.deviation, s.dropped) for w, m, s in zip(walks, moved, systems, strict=True)]
        info = StepInfo(**jax.tree.map(lambda *parts: _joined(parts), *found), skipped=~usable)
        # Whole in every process.
        return new, jax.lax.with_sharding_constraint(info, NamedSharding(mesh, REPLICATED))

    return jax.jit(step)


def _keys(random: Sequence[Array], number: int) -> tuple[Array, Array]:
    """The random keys of one of the systems; those of the first are the ones that it has alone."""
    drift, sweep = (jax.random.fold_in(key, number) if number else key for key in random)
    return drift, sweep


def _joined(parts: Sequence[Array]) -> Array:
    return parts[0] if len(parts) == 1 else jnp.concatenate(parts)


def _load(walks: Sequence[Walk], state: TrainState, moved: Sequence[Moved], mesh: Mesh) -> Array:
    """Fraction of the walkers that each expert acts on, averaged over the groups of all systems."""
    loads = [walk.load(state, one, mesh) for walk, one in zip(walks, moved, strict=True)]
    if len(loads) == 1:
        return loads[0]
    groups = [len(one.points) for one in moved]
    return jnp.average(jnp.stack(loads), axis=0, weights=jnp.asarray(groups, loads[0].dtype))
