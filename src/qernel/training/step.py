"""One training iteration as a pure function: move λ, sample, measure, update.

The path of the walkers: drift of the family points → Metropolis sweep at the new points → local energies and
score rows of every walker → per-group clipping, centring and balancing → optimiser → new parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from qernel.estimators.batched import refreshed_sweep, walker_functions
from qernel.estimators.local_energy import LocalEnergy
from qernel.estimators.order_parameter import crystal_order
from qernel.optimise.base import Optimiser, Schedule
from qernel.sampling.devices import REPLICATED, over_walkers, walker_mesh
from qernel.sampling.metropolis import SweepInfo, Walkers, adapt_width
from qernel.training.balance import nudged, open_experts, steered_places
from qernel.training.state import TrainState, drift_fractions, layout, relaxed, stratified_points
from qernel.wavefunction import Wavefunction


class StepInfo(NamedTuple):
    """What one iteration measured, per group ``[G]``; energies per electron in E0, over the finite walkers.

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
    width: Array
    bad_walkers: Array
    skipped: Array


def centred_system(energies: Array, scores: Array, *, clip: float, balance: float) -> tuple[Array, Array, Array, Array]:
    """Rows and residuals of the natural-gradient problem, centred per group.

    Energies of a mixed batch differ by the dispersion of E(λ), which is no gradient signal: clipping,
    centring and scaling are all done inside each group.

    Args:
        energies: local energies ``[G, W]``, real or complex.
        scores: ``[G, W, parts, P]``.
        clip: local energies are pulled to within this many mean absolute deviations of the median.
        balance: exponent b of the group weight σ_g^(−2b) that keeps a noisy end of the range from
            drowning the other; 0 weighs walkers equally.

    Returns:
        Rows ``[n, P]``, residuals ``[n]``, standard deviation per group ``[G]``, number of walkers dropped
        per group because something was not finite ``[G]``.
    """
    groups, count, parts, _ = scores.shape
    # The rows are the largest array of a step, and every pass over them is felt: a sum tells whether one is finite.
    finite = jnp.isfinite(energies) & jnp.isfinite(scores.sum((-1, -2)))
    # A group without one finite walker has nothing to say; 1 in place of its count keeps 0/0 out of the others.
    valid = jnp.maximum(finite.sum(1, keepdims=True), 1)
    median = jnp.nanmedian(jnp.where(finite, energies.real, jnp.nan), axis=1, keepdims=True)
    median = jnp.nan_to_num(median)
    real = jnp.where(finite, energies.real, median)
    spread = jnp.abs(real - median).sum(1, keepdims=True) / valid
    clipped = jnp.clip(real, median - clip * spread, median + clip * spread)
    residual = [clipped]
    if jnp.iscomplexobj(energies):
        imaginary = jnp.where(finite, energies.imag, 0.0)
        residual.append(jnp.clip(imaginary, -clip * spread, clip * spread))
    mask = finite[..., None].astype(clipped.dtype)
    stacked = jnp.stack(residual[:parts], axis=-1) * mask
    stacked = (stacked - stacked.sum(1, keepdims=True) / valid[..., None]) * mask
    deviation = jnp.sqrt((stacked[..., 0] ** 2).sum(1) / valid[:, 0])
    informed = finite.any(1)
    weight = jnp.maximum(deviation, 1e-6 * deviation.mean() + 1e-30) ** (-balance)
    weight = jnp.where(informed, weight, 0.0)
    weight = weight / jnp.sqrt((weight**2).sum() / jnp.maximum(informed.sum(), 1)) / (groups * count) ** 0.5
    rows = jnp.where(finite[..., None, None], scores, 0.0)
    share = (finite / valid).astype(rows.dtype)
    mean = jnp.einsum("gw,gwkp->gkp", share, rows)
    rows = (rows - mean[:, None]) * (mask * weight[:, None, None])[..., None]
    residuals = stacked * weight[:, None, None]
    return rows, residuals, deviation, count - finite.sum(1)


def split_over_parameters(rows: Array, mesh: Mesh) -> Array:
    """Score rows ``[G, W, parts, P]`` as ``[n, P]``, moved from walkers to parameters over devices.

    The kernel ŌŌᵀ is then a sum over devices of equal products; split over walkers, XLA would gather
    every row on every device first.
    """
    if mesh.size > 1:
        split = NamedSharding(mesh, PartitionSpec(None, None, None, "walkers"))
        rows = jax.lax.with_sharding_constraint(rows, split)
    return rows.reshape(-1, rows.shape[-1])


def make_step(
    template: Wavefunction,
    optimiser: Optimiser,
    *,
    moves: int,
    clip: float,
    balance: float,
    drift: float,
    average: float,
    burn_in: int = 0,
    laplacian: str = "forward",
    chunk: int = 0,
    target_acceptance: float = 0.5,
    devices: int | None = None,
    expert_balance: Schedule | None = None,
) -> Callable[[TrainState], tuple[TrainState, StepInfo]]:
    """The jitted training iteration for one ansatz and optimiser; arguments as in ``[train]``.

    ``devices`` limits how many devices share the walkers; None means all there are. ``expert_balance`` gives the logits
    by which router biases move towards equal load (`qernel.training.balance`); None: they follow the energy.
    """
    hamiltonian = template.hamiltonian
    functions = walker_functions(template, laplacian=laplacian, chunk=chunk)
    count = hamiltonian.count
    places = steered_places(template)
    largest = hamiltonian.supercell.inscribed_radius

    def measure(
        parameters: Array, walkers: Walkers, points: Array, keys: Array
    ) -> tuple[Walkers, SweepInfo, LocalEnergy, Array]:
        walkers, info = refreshed_sweep(
            functions, parameters, walkers, points, keys, hamiltonian.supercell, moves=moves
        )
        energies = functions.local_energy(parameters, walkers.positions, points)
        return walkers, info, energies, functions.scores(parameters, walkers.positions, points)

    def step(state: TrainState) -> tuple[TrainState, StepInfo]:
        key, drift_key, sweep_key = jax.random.split(jax.random.wrap_key_data(state.key), 3)
        fractions = drift_fractions(drift_key, state.fractions, drift)
        points = stratified_points(hamiltonian, fractions)
        keys = jax.random.split(sweep_key, state.walkers.log_modulus.shape)
        mesh = walker_mesh(keys.shape[1], devices)
        walkers, moved, energies, scores = over_walkers(measure, mesh)(state.parameters, state.walkers, points, keys)
        acceptance = moved.acceptance.mean(1)
        width = adapt_width(walkers.width, acceptance, target=target_acceptance, rate=0.1, largest=largest)
        walkers = walkers._replace(width=width)
        rows, residuals, deviation, bad = centred_system(energies.total, scores, clip=clip, balance=balance)
        rows, residuals = split_over_parameters(rows, mesh), residuals.reshape(-1)
        update, optimiser_state = optimiser.update(rows, residuals, state.optimiser, state.tuning)
        # Early iterations only let the walkers find |ψ|²; the same compiled step serves both.
        # A walker on a node can have a score whose square overflows: such an update is skipped whole.
        usable = jnp.isfinite(update).all()
        learning = (state.iteration >= burn_in) & usable
        parameters = jnp.where(learning, state.parameters - update, state.parameters)
        if expert_balance is not None:
            load = open_experts(functions, mesh, state.parameters, walkers, points).mean((0, 1))
            rate = expert_balance(state.iteration - burn_in)
            parameters = jnp.where(learning, nudged(parameters, places, load, rate), parameters)
        updates = state.iteration + 1 - burn_in
        # A mean over the recent tenth of the run at first, then over a fixed number of iterations.
        fading = (1.0 / jnp.clip(0.1 * updates, 1.0, average)).astype(parameters.dtype)
        new = TrainState(
            parameters=parameters,
            average=state.average + fading * (parameters - state.average),
            optimiser=jax.tree.map(lambda a, b: jnp.where(learning, a, b), optimiser_state, state.optimiser),
            walkers=walkers,
            fractions=fractions,
            key=jax.random.key_data(key),
            iteration=state.iteration + 1,
            tuning=relaxed(state.tuning),
        )
        new = jax.lax.with_sharding_constraint(new, layout(new, mesh))
        finite = jnp.isfinite(energies.total)

        def per_electron(energy: Array) -> Array:
            return jnp.mean(energy.real, axis=1, where=finite) / count

        # Walkers are independent chains, so one instant has no autocorrelation to correct for.
        error = jnp.std(energies.total.real, axis=1, where=finite) / count / (finite.sum(1) - 1) ** 0.5
        info = StepInfo(
            point=points,
            energy=per_electron(energies.total),
            error=error,
            median=jnp.nanmedian(jnp.where(finite, energies.total.real, jnp.nan), axis=1) / count,
            deviation=deviation / count,
            kinetic=per_electron(energies.kinetic),
            moire=per_electron(energies.moire),
            interaction=per_electron(energies.interaction),
            order_parameter=crystal_order(walkers.positions, hamiltonian.supercell).mean(1),
            acceptance=acceptance,
            translation_acceptance=moved.translation_acceptance.mean(1),
            hop_acceptance=moved.hop_acceptance.mean(1),
            width=width,
            bad_walkers=bad,
            skipped=~usable,
        )
        # Whole in every process.
        return new, jax.lax.with_sharding_constraint(info, NamedSharding(mesh, REPLICATED))

    return jax.jit(step)
