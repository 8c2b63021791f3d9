"""The long part of ``qernel compare``: training and measuring, with progress."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from qernel.cli.shared.progress import PartsProgress, TrainingProgress
from qernel.comparison import runs
from qernel.comparison.clock import Clock
from qernel.comparison.conditions import Budget, Entry, budgeted
from qernel.comparison.runs import Measured, Sampling, folder
from qernel.config import Config
from qernel.errors import Interrupted
from qernel.stopping import check


def train_all(models: Sequence[Entry], seeds: Sequence[int], budget: Budget, out: Path, command: str) -> None:
    """Train whatever is not finished: one seed of every model before the next seed of any.

    Raises:
        Interrupted: after Ctrl-C or another signal that stops; ``command`` goes on.
        StopRequested: the same, between two runs.
    """
    total = len(models) * len(seeds)
    for index, (seed, entry) in enumerate((seed, entry) for seed in seeds for entry in models):
        check()
        path, config = folder(out, entry.label, seed), budgeted(entry.config, seed, budget)
        if _finished(path, config):
            continue
        _say(f"run {index + 1} of {total}: {entry.label}, seed {seed}")
        try:
            train_run(config, path, budget.seconds)
        except Interrupted as stop:
            raise Interrupted(f"{path}: {stop.stopped}", path, stop.signal, command) from stop


def train_run(config: Config, path: Path, seconds: float | None) -> None:
    """Train one run to its end, or go on with it."""
    from qernel.training.checkpoint import Checkpoints
    from qernel.training.run import train
    from qernel.training.watchdog import end_process

    resume = bool(Checkpoints.of(path, config, 1).paths())
    clock = Clock(path, seconds)
    try:
        with TrainingProgress(seconds) as progress:
            train(config, path, resume=resume, report=progress, on_stall=end_process, after_step=clock)
    finally:
        clock.close()


def measure_all(
    models: Sequence[Entry],
    seeds: Sequence[int],
    budget: Budget,
    lam: tuple[float, ...],
    out: Path,
    options: argparse.Namespace,
) -> tuple[dict[str, list[Measured]], dict[str, tuple[int, int]]]:
    """Energies of all seeds, and the numbers of parameters (all, active), by label."""
    from qernel.training.checkpoint import Checkpoints

    sample = models[0].config.sample
    sampling = Sampling(lam, options.samples or sample.samples, options.walkers or sample.walkers, sample.seed)
    found: dict[str, list[Measured]] = {}
    sizes = {}
    for entry in models:
        found[entry.label] = []
        for seed in seeds:
            path, config = folder(out, entry.label, seed), budgeted(entry.config, seed, budget)
            # What is measured is measured as the first model is: [sample] may differ if that was allowed.
            config = config.model_copy(update={"sample": sample})
            paths = Checkpoints.of(path, config, 1).paths()
            measure = runs.measure_checkpoint
            with PartsProgress() as progress:
                progress.begin(f"measuring {entry.label}, seed {seed}")
                found[entry.label].append(
                    runs.measured(path, config, paths, entry.label, sampling, options.points, measure, progress)
                )
        sizes[entry.label] = parameters_of(entry.config)
    return found, sizes


def parameters_of(config: Config) -> tuple[int, int]:
    """Numbers of parameters of a model: all, and those active per configuration."""
    from qernel.training.run import initial_wavefunction
    from qernel.wavefunction import active_parameter_count, parameter_count

    wavefunction = initial_wavefunction(config, start=False)
    return parameter_count(wavefunction), active_parameter_count(wavefunction)


def _finished(path: Path, config: Config) -> bool:
    from qernel.training.checkpoint import Checkpoints

    return Checkpoints.of(path, config, 1).finished()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
