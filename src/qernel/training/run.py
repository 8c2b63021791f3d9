"""A training run in a folder: start or resume, step, record, save, stop cleanly.

RUN/config.toml         the resolved configuration
RUN/metrics.csv         one row per recorded iteration and λ group
RUN/checkpoint.safetensors  the complete state
RUN/model.safetensors   the averaged parameters with their configuration: what queries load
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from qernel.config import Config
from qernel.errors import Interrupted, RunError
from qernel.optimise import build_optimiser
from qernel.sampling.devices import walker_mesh
from qernel.sampling.metropolis import spread_walkers
from qernel.training.checkpoint import load_checkpoint, save_checkpoint, write_tensors
from qernel.training.metrics import MetricsFile
from qernel.training.state import TrainState, layout
from qernel.training.step import StepInfo, make_step
from qernel.wavefunction import Wavefunction, build, parameter_layout

CONFIG_FILE, METRICS_FILE = "config.toml", "metrics.csv"
CHECKPOINT_FILE, MODEL_FILE = "checkpoint.safetensors", "model.safetensors"
_REPORT_SECONDS = 0.5
_SMOOTHING = 20
"""Iterations a progress report averages over."""
_PATIENCE = 20
"""Updates that may fail in a row before a run gives up."""


class Report(NamedTuple):
    """Progress of a run: means over recent iterations per group ``[G]``, energies per electron in E0."""

    stage: str
    iteration: int
    iterations: int
    seconds: float
    points: npt.NDArray[np.float64]
    energy: npt.NDArray[np.float64]
    error: npt.NDArray[np.float64]
    acceptance: npt.NDArray[np.float64]
    order_parameter: npt.NDArray[np.float64]


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
        RunError: if the folder holds something else, or the energy is lost beyond repair.
        Interrupted: after Ctrl-C or SIGTERM, with a checkpoint written.
    """
    checkpoint = out / CHECKPOINT_FILE
    if resume and not checkpoint.exists():
        raise RunError(f"{out} has no {CHECKPOINT_FILE} to resume from: start it without --resume")
    if not resume and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"{out} already exists and is not empty: add --resume to continue it, or choose another --out")
    template = initial_wavefunction(config, start=not resume)
    state = initial_state(config, template)
    fingerprint = config.fingerprint()
    if resume:
        state, finished = load_checkpoint(checkpoint, state, fingerprint=fingerprint)
        if finished:
            return out
    out.mkdir(parents=True, exist_ok=True)
    if not resume:
        (out / CONFIG_FILE).write_text(config.to_toml(), encoding="utf-8")
    metrics = MetricsFile(out / METRICS_FILE, template.hamiltonian.parameters, int(state.iteration))
    try:
        _loop(config, template, state, out, metrics, report)
    finally:
        metrics.close()
    return out


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
    )


def _loop(
    config: Config,
    template: Wavefunction,
    state: TrainState,
    out: Path,
    metrics: MetricsFile,
    report: Callable[[Report], None] | None,
) -> None:
    train = config.train
    total = train.burn_in + train.iterations
    step = training_step(config, template)
    state = jax.device_put(state, layout(state, walker_mesh(train.walkers)))
    recent: list[StepInfo] = []
    failures = 0
    start = last_report = time.monotonic()
    if report:
        report(_summary("compiling", int(state.iteration), total, 0.0, recent))

    def save(finished: bool) -> None:
        metrics.flush()
        save_model(out / MODEL_FILE, config, parameter_layout(template)[1](state.average))
        save_checkpoint(out / CHECKPOINT_FILE, state, fingerprint=config.fingerprint(), finished=finished)

    if int(state.iteration) == 0:
        # A run killed at any later moment can be resumed.
        save(finished=False)
    with _stop_signals() as stopped:
        for iteration in range(int(state.iteration) + 1, total + 1):
            new, device_info = step(state)
            info: StepInfo = jax.device_get(device_info)
            failures = failures + 1 if info.skipped else 0
            if failures >= _PATIENCE:
                raise _give_up(info, iteration, out)
            state = new
            recent = [*recent[-_SMOOTHING + 1 :], info]
            if iteration % train.record_every == 0:
                metrics.append(iteration, info)
            now = time.monotonic()
            expired = train.time_limit_s is not None and now - start > train.time_limit_s
            if report and (now - last_report > _REPORT_SECONDS or iteration == total or expired):
                last_report = now
                stage = "burn-in" if iteration <= train.burn_in else "training"
                report(_summary(stage, iteration, total, now - start, recent))
            if iteration == total or expired:
                break
            if stopped:
                save(finished=False)
                raise Interrupted(f"stopped at iteration {iteration} of {total}", out, stopped[0])
            if iteration % train.checkpoint_every == 0:
                save(finished=False)
    save(finished=True)


def save_model(path: Path, config: Config, wavefunction: Wavefunction) -> None:
    """Write a self-contained model file: named parameters and the configuration they belong to."""
    import equinox as eqx

    write_tensors(path, eqx.filter(wavefunction, eqx.is_inexact_array), {"config": config.to_toml()})


def _give_up(info: StepInfo, iteration: int, out: Path) -> RunError:
    """The diagnosis of a run whose updates have stopped being finite."""
    walkers = np.asarray(info.bad_walkers)
    group = int(np.argmax(walkers))
    return RunError(
        f"{_PATIENCE} updates in a row were not finite, the last at iteration {iteration} (λ = "
        f"{info.point[group, 0]:.4g}: {walkers[group]} walkers lost): lower train.learning_rate or "
        f"train.norm_constraint; {out} keeps the last checkpoint"
    )


def _summary(stage: str, iteration: int, total: int, seconds: float, recent: list[StepInfo]) -> Report:
    def mean(name: str) -> npt.NDArray[np.float64]:
        return np.mean([getattr(i, name) for i in recent], axis=0) if recent else np.zeros(0)

    # Consecutive iterations share their walkers, so averaging them is not counted as more data.
    return Report(
        stage,
        iteration,
        total,
        seconds,
        mean("point") if recent else np.zeros((0, 1)),
        mean("energy"),
        mean("error"),
        mean("acceptance"),
        mean("order_parameter"),
    )


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM in a list instead of dying from them (main thread only)."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def handle(number: int, _: object) -> None:
        if received:  # asked twice: a step that hangs must not keep the user waiting
            raise KeyboardInterrupt
        received.append(number)

    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
