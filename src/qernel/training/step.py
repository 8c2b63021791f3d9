"""One training iteration as a pure function: move λ, sample, measure, update.

The path of the walkers: drift of the family points → Metropolis sweep at the new points → swaps between
neighbouring groups → local energies and
score rows of every walker → per-group clipping, centring and balancing → optimiser → new parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import NamedSharding

from qernel.config.sections import TrainConfig
from qernel.estimators.batched import WalkerFunctions, walker_functions
from qernel.estimators.local_energy import LocalEnergy
from qernel.estimators.order_parameter import crystal_order
from qernel.optimise import Schedule, build_optimiser
from qernel.sampling.devices import REPLICATED, SPLIT, over_walkers, walker_mesh
from qernel.sampling.metropolis import Walkers
from qernel.sampling.moves import Gaussian
from qernel.sampling.population import ADVANCED, Advanced, Population
from qernel.training.expert_load import nudged, open_experts, steered_places
from qernel.training.filling import drift_fractions, family_points
from qernel.training.state import TrainState, layout, relaxed
from qernel.training.system import centred_system, split_over_parameters
from qernel.wavefunction import Wavefunction

_ACCEPTANCE = 0.5
"""Acceptance that the step width aims at."""

_ADAPTION = 0.1
"""Change of log width in an iteration for each unit of acceptance."""


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


def energies_per_group(energies: LocalEnergy, count: int) -> dict[str, Array]:
    """Energies of `StepInfo` per electron, over the finite walkers of each group.

    Args:
        energies: of every walker ``[G, W]``.
        count: number of electrons.
    """
    finite = jnp.isfinite(energies.total)
    # The root in double precision, as counts have it, and only then the precision of the energies.
    freedom = ((finite.sum(1) - 1).astype(jnp.float64) ** 0.5).astype(energies.total.real.dtype)

    def per_electron(energy: Array) -> Array:
        return jnp.mean(energy.real, axis=1, where=finite) / count

    return {
        "energy": per_electron(energies.total),
        # Walkers are independent chains, so one instant has no autocorrelation to correct for.
        "error": jnp.std(energies.total.real, axis=1, where=finite) / count / freedom,
        "median": jnp.nanmedian(jnp.where(finite, energies.total.real, jnp.nan), axis=1) / count,
        **{name: per_electron(getattr(energies, name)) for name in ("kinetic", "moire", "interaction")},
    }


def sampled(
    functions: WalkerFunctions,
    population: Population,
    shared: tuple[Array, Array],
    walkers: Walkers,
    points: Array,
    keys: Array,
    *,
    moves: int,
    exchange_every: int,
) -> tuple[Advanced, LocalEnergy, Array]:
    """What each device does with its walkers: move them, swap them between groups where it is time, measure them.

    Args:
        functions: of the wavefunction.
        population: how its walkers move.
        shared: parameters, and the iteration.
        walkers: before.
        points: of the groups ``[G, p]``.
        keys: of the walkers ``[G, W]``.
        moves: see ``train.moves``.
        exchange_every: see ``train.exchange``.

    Returns:
        The walkers and how their moves went, local energies ``[G, W]`` and score rows (`WalkerFunctions`).
    """
    parameters, iteration = shared
    swap = (iteration + 1) % exchange_every == 0 if exchange_every else False
    advanced = population.advanced(parameters, walkers, points, keys, moves=moves, swap=swap)
    positions = advanced.walkers.positions
    energies = functions.local_energy(parameters, positions, points)
    return advanced, energies, functions.scores(parameters, positions, points)


def make_step(
    template: Wavefunction, train: TrainConfig, *, expert_balance: float = 0.0, devices: int | None = None
) -> Callable[[TrainState], tuple[TrainState, StepInfo]]:
    """The jitted training iteration of one ansatz.

    Args:
        template: any instance of the ansatz; only its structure is used.
        train: how to train.
        expert_balance: logits by which router biases move towards equal load at the first update, where they are
            steered (`qernel.training.expert_load`).
        devices: how many devices share the walkers; None: all there are.
    """
    hamiltonian = template.hamiltonian
    functions = walker_functions(template, laplacian=train.laplacian, chunk=train.chunk)
    population = Population.of(functions.log_modulus, hamiltonian)
    optimiser = build_optimiser(train)
    places, rate = steered_places(template), Schedule(expert_balance, train.decay)
    measure = partial(sampled, functions, population, moves=train.moves, exchange_every=train.exchange)

    def step(state: TrainState) -> tuple[TrainState, StepInfo]:
        key, drift_key, sweep_key = jax.random.split(jax.random.wrap_key_data(state.key), 3)
        fractions = drift_fractions(drift_key, state.fractions, train.drift)
        points = family_points(hamiltonian, fractions, train)
        keys = jax.random.split(sweep_key, state.walkers.log_modulus.shape)
        mesh = walker_mesh(keys.shape[1], devices)
        advanced, energies, scores = over_walkers(measure, mesh, (ADVANCED, SPLIT, SPLIT))(
            (state.parameters, state.iteration), state.walkers, points, keys
        )
        accepted = {name: of_walkers.mean(1) for name, of_walkers in advanced.acceptance.items()}
        acceptance = accepted.pop(Gaussian.name)
        width = population.adapted(advanced.walkers.width, acceptance, target=_ACCEPTANCE, rate=_ADAPTION)
        walkers = advanced.walkers._replace(width=width)
        rows, residuals, deviation, bad = centred_system(energies.total, scores, clip=train.clip, balance=train.balance)
        rows, residuals = split_over_parameters(rows, mesh), residuals.reshape(-1)
        update, optimiser_state = optimiser.update(rows, residuals, state.optimiser, state.tuning)
        nudge = None
        if places.size:
            load = open_experts(functions, mesh, state.parameters, walkers, points).mean((0, 1))
            nudge = partial(nudged, places=places, load=load, rate=rate(state.iteration - train.burn_in))
        new, usable = moved_on(
            state, update, optimiser_state, burn_in=train.burn_in, average=train.average, nudge=nudge
        )
        new = new._replace(walkers=walkers, fractions=fractions, key=jax.random.key_data(key))
        new = jax.lax.with_sharding_constraint(new, layout(new, mesh))
        info = StepInfo(
            point=points,
            **energies_per_group(energies, hamiltonian.count),
            deviation=deviation / hamiltonian.count,
            order_parameter=crystal_order(walkers.positions, hamiltonian.supercell).mean(1),
            acceptance=acceptance,
            other_acceptance=accepted,
            exchange_acceptance=advanced.swapped.mean(1),
            width=width,
            bad_walkers=bad,
            skipped=~usable,
        )
        # Whole in every process.
        return new, jax.lax.with_sharding_constraint(info, NamedSharding(mesh, REPLICATED))

    return jax.jit(step)
