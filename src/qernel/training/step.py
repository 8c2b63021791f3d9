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

from qernel.estimators.batched import WalkerFunctions, refreshed_sweep, walker_functions
from qernel.estimators.local_energy import LocalEnergy
from qernel.estimators.order_parameter import crystal_order
from qernel.lattice import Supercell
from qernel.optimise.base import Optimiser, Schedule
from qernel.sampling.devices import REPLICATED, SPLIT, WALKERS, over_walkers, walker_mesh
from qernel.sampling.exchange import exchange
from qernel.sampling.metropolis import SweepInfo, Walkers, adapt_width
from qernel.training.balance import nudged, open_experts, steered_places
from qernel.training.state import TrainState, drift_fractions, layout, relaxed, stratified_points
from qernel.training.system import centred_system, split_over_parameters
from qernel.wavefunction import Wavefunction


class StepInfo(NamedTuple):
    """What one iteration measured, per group ``[G]``; energies per electron in E0, over the finite walkers.

    ``exchange_acceptance`` is that of swaps with the next group; nan in the last group, and in iterations without.
    ``skipped`` is a scalar: whether the update was not finite and the parameters stayed as they were.
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
    translation_acceptance: Array
    hop_acceptance: Array
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
    updates = state.iteration + 1 - burn_in
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

    def per_electron(energy: Array) -> Array:
        return jnp.mean(energy.real, axis=1, where=finite) / count

    return {
        "energy": per_electron(energies.total),
        # Walkers are independent chains, so one instant has no autocorrelation to correct for.
        "error": jnp.std(energies.total.real, axis=1, where=finite) / count / (finite.sum(1) - 1) ** 0.5,
        "median": jnp.nanmedian(jnp.where(finite, energies.total.real, jnp.nan), axis=1) / count,
        **{name: per_electron(getattr(energies, name)) for name in ("kinetic", "moire", "interaction")},
    }


def sampled(
    functions: WalkerFunctions,
    supercell: Supercell,
    shared: tuple[Array, Array],
    walkers: Walkers,
    points: Array,
    keys: Array,
    *,
    moves: int,
    exchange_every: int,
) -> tuple[Walkers, SweepInfo, Array, LocalEnergy, Array]:
    """What each device does with its walkers: move them, swap them between groups where it is time, measure them.

    Args:
        functions: of the wavefunction.
        supercell: where the walkers are.
        shared: parameters, and the iteration.
        walkers: before.
        points: of the groups ``[G, p]``.
        keys: of the walkers ``[G, W]``.
        moves: see ``train.moves``.
        exchange_every: see ``train.exchange``.

    Returns:
        The walkers, how their moves went, whether each was swapped ``[G, W]`` (nan in iterations without), local
        energies ``[G, W]`` and score rows (`WalkerFunctions`).
    """
    parameters, iteration = shared
    walkers, info = refreshed_sweep(functions, parameters, walkers, points, keys, supercell, moves=moves)
    swapped = jnp.full_like(walkers.log_modulus, jnp.nan)
    if exchange_every:
        walkers, swapped = jax.lax.cond(
            (iteration + 1) % exchange_every == 0,
            lambda w: exchange(keys, w, lambda x: functions.log_modulus(parameters, x, points)),
            lambda w: (w, swapped),
            walkers,
        )
    energies = functions.local_energy(parameters, walkers.positions, points)
    return walkers, info, swapped, energies, functions.scores(parameters, walkers.positions, points)


def make_step(
    template: Wavefunction,
    optimiser: Optimiser,
    *,
    moves: int,
    clip: float,
    balance: float,
    drift: float,
    margin: float = 0.0,
    focus: tuple[float, float] | None = None,
    average: float,
    burn_in: int = 0,
    laplacian: str = "forward",
    chunk: int = 0,
    exchange_every: int = 0,
    target_acceptance: float = 0.5,
    devices: int | None = None,
    expert_balance: Schedule | None = None,
) -> Callable[[TrainState], tuple[TrainState, StepInfo]]:
    """The jitted training iteration for one ansatz and optimiser; arguments as in ``[train]``.

    ``exchange_every`` is ``train.exchange``. ``devices`` limits how many devices share the walkers; None means all
    there are. ``expert_balance`` gives the logits by which router biases move towards equal load
    (`qernel.training.balance`); None: they follow the energy.
    """
    hamiltonian = template.hamiltonian
    functions = walker_functions(template, laplacian=laplacian, chunk=chunk)
    count = hamiltonian.count
    places = steered_places(template)
    largest = hamiltonian.supercell.inscribed_radius

    measure = partial(sampled, functions, hamiltonian.supercell, moves=moves, exchange_every=exchange_every)

    def step(state: TrainState) -> tuple[TrainState, StepInfo]:
        key, drift_key, sweep_key = jax.random.split(jax.random.wrap_key_data(state.key), 3)
        fractions = drift_fractions(drift_key, state.fractions, drift)
        points = stratified_points(hamiltonian, fractions, margin, focus)
        keys = jax.random.split(sweep_key, state.walkers.log_modulus.shape)
        mesh = walker_mesh(keys.shape[1], devices)
        outputs = (WALKERS, SPLIT, SPLIT, SPLIT, SPLIT)
        shared = (state.parameters, state.iteration)
        walkers, moved, swapped, energies, scores = over_walkers(measure, mesh, outputs)(
            shared, state.walkers, points, keys
        )
        acceptance = moved.acceptance.mean(1)
        width = adapt_width(walkers.width, acceptance, target=target_acceptance, rate=0.1, largest=largest)
        walkers = walkers._replace(width=width)
        rows, residuals, deviation, bad = centred_system(energies.total, scores, clip=clip, balance=balance)
        rows, residuals = split_over_parameters(rows, mesh), residuals.reshape(-1)
        update, optimiser_state = optimiser.update(rows, residuals, state.optimiser, state.tuning)
        nudge = None
        if expert_balance is not None:
            load = open_experts(functions, mesh, state.parameters, walkers, points).mean((0, 1))
            nudge = partial(nudged, places=places, load=load, rate=expert_balance(state.iteration - burn_in))
        new, usable = moved_on(state, update, optimiser_state, burn_in=burn_in, average=average, nudge=nudge)
        new = new._replace(walkers=walkers, fractions=fractions, key=jax.random.key_data(key))
        new = jax.lax.with_sharding_constraint(new, layout(new, mesh))
        info = StepInfo(
            point=points,
            **energies_per_group(energies, count),
            deviation=deviation / count,
            order_parameter=crystal_order(walkers.positions, hamiltonian.supercell).mean(1),
            acceptance=acceptance,
            translation_acceptance=moved.translation_acceptance.mean(1),
            hop_acceptance=moved.hop_acceptance.mean(1),
            exchange_acceptance=swapped.mean(1),
            width=width,
            bad_walkers=bad,
            skipped=~usable,
        )
        # Whole in every process.
        return new, jax.lax.with_sharding_constraint(info, NamedSharding(mesh, REPLICATED))

    return jax.jit(step)
