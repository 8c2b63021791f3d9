"""A training run: start or resume, step, record, save, stop cleanly. What it writes: `qernel.training.folder`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from qernel.config import Config
from qernel.errors import Interrupted, RunError
from qernel.optimise import build_optimiser
from qernel.sampling.devices import walker_mesh
from qernel.sampling.metropolis import spread_walkers
from qernel.training.folder import RunFolder, new_folder
from qernel.training.lock import locked
from qernel.training.report import Report, Reporter
from qernel.training.signals import stop_signals
from qernel.training.state import TrainState, as_configured, layout
from qernel.training.step import StepInfo, make_step
from qernel.wavefunction import Wavefunction, build, parameter_layout

_PATIENCE = 20
"""Updates that may fail in a row before a run gives up."""


def train(config: Config, out: Path, *, resume: bool = False, report: Callable[[Report], None] | None = None) -> Path:
    """Train one wavefunction over its family and leave it in a run folder.

    Args:
        config: what to train.
        out: the run folder.
        resume: continue the run in ``out`` instead of starting one.
        report: called about twice a second with the progress.

    Returns:
        The run folder.

    Raises:
        RunError: if the folder holds something else or is in use, nothing in it can be resumed, it cannot be
            written, or the energy is lost beyond repair.
        Interrupted: after Ctrl-C or SIGTERM, with a checkpoint written.
    """
    template = initial_wavefunction(config)
    folder = RunFolder(out, config, template)
    if resume and not folder.checkpoints.paths():
        raise RunError(f"{out} has no checkpoint to resume from: start it without --resume")
    try:
        with locked(out) if resume else new_folder(out):
            state = initial_state(config, template)
            if resume:
                state, finished, path, passed_over = folder.checkpoints.load(state)
                if passed_over:
                    older = f"resuming from {path.name} instead"
                    folder.events.append("fallback", int(state.iteration), "; ".join([*passed_over, older]))
                if finished:
                    return out
            with folder.begin(state):
                _loop(config, template, state, folder, report)
    except OSError as error:
        raise RunError(
            f"{error.filename or out} cannot be written ({error.strerror or error}): the checkpoints written before "
            "are intact; free space or restore access, then go on with --resume"
        ) from error
    return out


def initial_wavefunction(config: Config) -> Wavefunction:
    """The untrained wavefunction of a configuration, its parameters drawn from ``train.seed``."""
    hamiltonian = config.hamiltonian()
    key = jax.random.fold_in(jax.random.key(config.train.seed), 0)
    return build(config.model, hamiltonian, key=key, dtype=jnp.dtype(config.train.precision))


def training_step(
    config: Config, template: Wavefunction, *, devices: int | None = None
) -> Callable[[TrainState], tuple[TrainState, StepInfo]]:
    """The training iteration of a configuration, on so many devices (None: all there are)."""
    train = config.train
    return make_step(
        template,
        build_optimiser(train),
        moves=train.moves,
        clip=train.clip,
        balance=train.balance,
        drift=train.drift,
        average=train.average,
        burn_in=train.burn_in,
        laplacian=train.laplacian,
        chunk=train.chunk,
        devices=devices,
    )


def initial_state(config: Config, template: Wavefunction) -> TrainState:
    """The state a run starts from: initial parameters, walkers spread over the cell."""
    train, hamiltonian = config.train, template.hamiltonian
    parameters, _ = parameter_layout(template)
    walker_key, key = jax.random.split(jax.random.fold_in(jax.random.key(train.seed), 1))
    walkers = spread_walkers(
        walker_key,
        hamiltonian.supercell,
        (train.groups, train.walkers, hamiltonian.count),
        width=0.1,
        dtype=parameters.dtype,
    )
    return TrainState(
        parameters=parameters,
        average=parameters,
        optimiser=build_optimiser(train).init(parameters),
        walkers=walkers,
        fractions=jnp.full((train.groups, len(hamiltonian.parameters)), 0.5, parameters.dtype),
        key=jax.random.key_data(key),
        iteration=jnp.zeros((), jnp.int32),
        tuning=as_configured(),
    )


def _loop(
    config: Config,
    template: Wavefunction,
    state: TrainState,
    folder: RunFolder,
    report: Callable[[Report], None] | None,
) -> None:
    train = config.train
    total = train.burn_in + train.iterations
    step = training_step(config, template)
    state = jax.device_put(state, layout(state, walker_mesh(train.walkers)))
    failures = 0
    reporter = Reporter(report, total, train.burn_in)
    reporter.begin(int(state.iteration))
    with stop_signals() as stopped:
        for iteration in range(int(state.iteration) + 1, total + 1):
            new, device_info = step(state)
            info: StepInfo = jax.device_get(device_info)
            failures = failures + 1 if info.skipped else 0
            if failures >= _PATIENCE:
                raise _give_up(info, iteration, folder.path)
            state = new
            if iteration % train.record_every == 0:
                folder.record(iteration, info)
            ends = iteration == total or (train.time_limit_s is not None and reporter.seconds > train.time_limit_s)
            reporter.step(iteration, info, last=ends)
            if ends:
                break
            if stopped:
                folder.save(state, finished=False)
                raise Interrupted(f"stopped at iteration {iteration} of {total}", folder.path, stopped[0])
            if iteration % train.checkpoint_every == 0:
                folder.save(state, finished=False)
    folder.save(state, finished=True)


def _give_up(info: StepInfo, iteration: int, out: Path) -> RunError:
    """The diagnosis of a run whose updates have stopped being finite."""
    walkers = np.asarray(info.bad_walkers)
    group = int(np.argmax(walkers))
    return RunError(
        f"{_PATIENCE} updates in a row were not finite, the last at iteration {iteration} (λ = "
        f"{info.point[group, 0]:.4g}: {walkers[group]} walkers lost): lower train.learning_rate or "
        f"train.norm_constraint; {out} keeps the last checkpoint"
    )
