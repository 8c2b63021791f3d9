"""A training run: start or resume, step, record, save, stop cleanly. What it writes: `qernel.training.folder`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh

from qernel import runtime
from qernel.config import Config
from qernel.config.sections import TrainConfig
from qernel.config.systems import shared_walkers
from qernel.errors import RunError, resume_command
from qernel.estimators.batched import walker_functions
from qernel.files import require_writable
from qernel.hamiltonian.family import Hamiltonian
from qernel.optimise import build_optimiser
from qernel.sampling.devices import WALKERS, over_walkers, walker_mesh
from qernel.sampling.metropolis import Walkers
from qernel.sampling.population import Population
from qernel.sampling.starts import start_walkers
from qernel.stopping import expendable
from qernel.training import processes
from qernel.training.events import EventLog
from qernel.training.expert_load import routing_of
from qernel.training.filling import family_points
from qernel.training.folder import RunFolder, new_folder, require_unused
from qernel.training.guard import Guard
from qernel.training.lock import locked
from qernel.training.loop import Loop
from qernel.training.members import Member, groups_of, members_of
from qernel.training.report import Report, Reporter
from qernel.training.size import require_memory
from qernel.training.start import Start, require_no_origin
from qernel.training.state import Placed, TrainState, as_configured, layout
from qernel.training.step import StepInfo, make_step
from qernel.training.watchdog import Watchdog
from qernel.wavefunction import Wavefunction, build, parameter_layout


def train(
    config: Config,
    out: Path,
    *,
    resume: bool = False,
    start: Start | None = None,
    report: Callable[[Report], None] | None = None,
    on_stall: Callable[[str], None] | None = None,
    after_step: Callable[[int, float], bool] | None = None,
) -> Path:
    """Train one wavefunction over its family and leave it in a run folder.

    Args:
        config: what to train.
        out: the run folder.
        resume: go on with the run in ``out``; `qernel.config.sections.EXTENT` may be others than it was begun with.
        start: what a new run begins with; ``config`` is the one that `Start.taken_over` makes.
        report: called about twice a second with the progress.
        on_stall: called from another thread, with a sentence, if no step is completed for ``train.stall_limit_s``;
            the command line ends the process then. None: nobody watches.
        after_step: called in the first process after every step with the iteration and the seconds since the first
            step of this call was complete, its compilation excluded; True ends the run as finished.

    Returns:
        The run folder; `qernel.training.progress.progress_of` its model says whether it is complete, or out of time.

    Raises:
        QernelError: if the weights of the start do not fit, the model is too large for this machine, the folder holds
            something else, is in use or cannot be written, nothing in it can be resumed, or it has more iterations
            than are asked for; or if the energy is lost beyond repair.
        Interrupted: after Ctrl-C, SIGTERM, SIGUSR2 or SIGHUP, with a checkpoint written.
    """
    runtime.refuse_forked()
    processes.check_shares(shared_walkers(config))
    if not _accepted(out, resume):
        return out
    require_memory(config)
    template = _template(config, resume, start)
    if not processes.first():
        _follow(config, template, out, on_stall)
        return out
    folder = RunFolder(out, config, template)
    begun = False
    try:
        if resume and not folder.checkpoints.paths():
            raise RunError(f"{out} has no checkpoint to resume from: start it without --resume")
        with locked(out) if resume else new_folder(out):
            state = _state_to_begin_with(config, template, folder, resume)
            if state is not None:
                with folder.begin(state):
                    processes.agreed(True, False)
                    begun = True
                    watchdog = _watchdog(config, out, on_stall)
                    _loop(config, template, processes.from_first(state), folder, report, watchdog, after_step)
    except OSError as error:
        raise folder.unwritable(error) from error
    finally:
        if not begun:
            processes.agreed(False, True)
    return out


def _template(config: Config, resume: bool, start: Start | None) -> Wavefunction:
    """The wavefunction of a run, with the numbers it begins with; without, where a checkpoint has them."""
    if resume:
        return initial_wavefunction(config, start=False)
    if start is None:
        require_no_origin(config)
        return initial_wavefunction(config)
    return start.begun(config)


def _state_to_begin_with(config: Config, template: Wavefunction, folder: RunFolder, resume: bool) -> TrainState | None:
    """The first state of a run, or the one that it is resumed from; None if it is finished."""
    state = initial_state(config, template)
    if not resume:
        return state
    loaded = folder.checkpoints.load(state)
    _check_iterations(config, int(loaded.state.iteration), folder.path)
    folder.resumed(loaded)
    return None if loaded.finished else loaded.state


def _accepted(out: Path, resume: bool) -> bool:
    """Whether the first process, which raises otherwise, can use the folder as far as it can be seen from outside.

    Asked before a start from Hartree–Fock takes minutes.
    """
    refusal = None
    if processes.first():
        try:
            require_writable(out) if resume else require_unused(out)
        except RunError as error:
            refusal = error
    refused = processes.agreed(refusal is not None)[0]
    if refusal is not None:
        raise refusal
    return not refused


def _check_iterations(config: Config, iteration: int, out: Path) -> None:
    """A run that is resumed cannot be made shorter than it is."""
    train = config.train
    if iteration > train.burn_in + train.iterations:
        raise RunError(
            f"train.iterations = {train.iterations} is less than the {iteration - train.burn_in} that {out} has made "
            "already: give at least as many, or train into another --out"
        )


def _follow(config: Config, template: Wavefunction, out: Path, on_stall: Callable[[str], None] | None) -> None:
    """What the other processes of a run do: the same steps, nothing written."""
    begun, _ = processes.agreed(False, False)
    if begun:
        with expendable(None):  # a step may take long, and the first process cannot save without the others
            state = processes.from_first(initial_state(config, template))
            _loop(config, template, state, None, None, _watchdog(config, out, on_stall))


def _watchdog(config: Config, out: Path, on_stall: Callable[[str], None] | None) -> Watchdog:
    def stalled(limit: float) -> None:
        assert on_stall is not None
        message = (
            f"no step was completed for {limit:.0f} s, the computation hangs; "
            f"to go on from the last checkpoint: {resume_command(out)}"
        )
        with suppress(OSError):  # a full disk, or a folder that is gone, must not keep the process
            EventLog(out).record("stall", None, message, limit_s=limit)
        on_stall(message)

    return Watchdog(config.train.stall_limit_s if on_stall else 0.0, stalled)


def initial_wavefunction(config: Config, *, start: bool = True) -> Wavefunction:
    """The untrained wavefunction of a configuration, its parameters drawn from ``train.seed``.

    Args:
        config: what to build.
        start: see `qernel.wavefunction.build`; not needed where parameters come from a file.
    """
    hamiltonian = config.hamiltonian()
    key = jax.random.fold_in(jax.random.key(config.train.seed), 0)
    return build(config.model, hamiltonian, key=key, dtype=jnp.dtype(config.train.precision), start=start)


def training_step(
    config: Config, template: Wavefunction, *, devices: int | None = None
) -> Callable[[TrainState], tuple[TrainState, StepInfo]]:
    """The training iteration of a configuration, on so many devices (None: all there are)."""
    others = members_of(config, template)[1:]
    balance = config.model.expert_balance
    return make_step(template, config.train, others=others, expert_balance=balance, devices=devices)


def initial_state(config: Config, template: Wavefunction) -> TrainState:
    """The state a run starts from: initial parameters, walkers as `start_walkers` places them in every system."""
    parameters, _, trainable = parameter_layout(template)
    walker_key, key = jax.random.split(jax.random.fold_in(jax.random.key(config.train.seed), 1))
    placed = [
        _placed(jax.random.fold_in(walker_key, number), one.hamiltonian(), one.train, parameters.dtype)
        if number
        else _placed(walker_key, template.hamiltonian, one.train, parameters.dtype)
        for number, one in enumerate(config.members)
    ]
    return TrainState(
        parameters=parameters,
        average=parameters,
        optimiser=build_optimiser(config.train).init(parameters[:trainable]),
        walkers=placed[0].walkers,
        fractions=placed[0].fractions,
        key=jax.random.key_data(key),
        iteration=jnp.zeros((), jnp.int32),
        tuning=as_configured(),
        others=tuple(placed[1:]),
    )


def _placed(key: Array, hamiltonian: Hamiltonian, train: TrainConfig, dtype: Any) -> Placed:
    """The first walkers of a system."""
    fractions = jnp.full((train.groups, len(hamiltonian.parameters)), 0.5, dtype)
    walkers = start_walkers(
        key,
        hamiltonian,
        family_points(hamiltonian, fractions, train),
        train.walkers,
        crystal_from=train.crystal_from,
        spread_until=train.spread_until,
        seed=train.seed,
        dtype=dtype,
    )
    return Placed(walkers, fractions)


def _settled(member: Member, parameters: Array, placed: Placed, mesh: Mesh) -> Placed:
    """The walkers of a new run, crystals in the registries that ψ holds (`qernel.sampling.starts.settle`)."""
    _, template, train = member
    hamiltonian = template.hamiltonian
    functions = walker_functions(template, laplacian=train.laplacian, chunk=train.chunk)
    population = Population.of(functions.log_modulus, hamiltonian)

    @jax.jit
    def settled(parameters: Array, walkers: Walkers, fractions: Array) -> Walkers:
        points = family_points(hamiltonian, fractions, train)
        keys = jax.random.split(jax.random.fold_in(jax.random.key(train.seed), 2), (train.groups, train.walkers))
        found: Walkers = over_walkers(population.settled, mesh, WALKERS)(parameters, walkers, points, keys)
        return found

    return placed._replace(walkers=settled(parameters, *placed))


def _loop(
    config: Config,
    template: Wavefunction,
    state: TrainState,
    folder: RunFolder | None,
    report: Callable[[Report], None] | None,
    watchdog: Watchdog,
    after_step: Callable[[int, float], bool] | None = None,
) -> None:
    """Step to the end; ``folder`` is None in processes that do not write."""
    train = config.train
    members = members_of(config, template)
    groups = groups_of(members)
    step, routed = training_step(config, template), routing_of(*(one.wavefunction for one in members))
    mesh = walker_mesh(shared_walkers(config))
    state = jax.device_put(state, layout(state, mesh))
    reporter = Reporter(report, train.burn_in + train.iterations, train.burn_in, groups.named)
    reporter.begin(int(state.iteration))
    if int(state.iteration) == 0 and train.crystal_from is not None:
        placed = zip(members, state.placed, strict=True)
        state = state.moved([_settled(one, state.parameters, there, mesh) for one, there in placed])
    guard = Guard(state, groups=groups, burn_in=train.burn_in)
    Loop(train, state, step, routed, guard, reporter, folder, mesh).run(watchdog, after_step)
