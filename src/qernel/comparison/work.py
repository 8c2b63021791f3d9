"""The long part of a comparison: training whatever is not trained, measuring whatever is not measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qernel.comparison import points, runs
from qernel.comparison.clock import Clock, read
from qernel.comparison.conditions import Budget, Entry, budgeted
from qernel.comparison.interpolation import KINDS, Plan
from qernel.comparison.runs import Measured, Sampling, folder
from qernel.config import Config
from qernel.errors import Interrupted
from qernel.progress import Parts, Told
from qernel.stopping import check

if TYPE_CHECKING:
    from qernel.training.report import Report

    Shown = Callable[[float | None], AbstractContextManager[Callable[[Report], None]]]
    """(seconds the run may take) → what is called with its reports."""


def train_all(
    models: Sequence[Entry],
    seeds: Sequence[int],
    budget: Budget,
    out: Path,
    command: str,
    *,
    say: Callable[[str], None] | None = None,
    show: Shown | None = None,
) -> None:
    """Train whatever is not finished: one seed of every model before the next seed of any.

    Args:
        models: to train.
        seeds: of each.
        budget: of each run.
        out: folder of the comparison.
        command: what goes on with it.
        say: called with a line about each run that is trained.
        show: shows the progress of one run.

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
        if say is not None:
            say(f"run {index + 1} of {total}: {entry.label}, seed {seed}")
        try:
            train_run(config, path, budget.seconds, show)
        except Interrupted as stop:
            raise Interrupted(f"{path}: {stop.stopped}", path, stop.signal, command) from stop


def train_run(config: Config, path: Path, seconds: float | None, show: Shown | None = None) -> None:
    """Train one run to its end, or go on with it."""
    from qernel.training.checkpoint import Checkpoints
    from qernel.training.run import train
    from qernel.training.watchdog import end_process

    resume = bool(Checkpoints.of(path, config, 1).paths())
    clock = Clock(path, seconds)
    try:
        with nullcontext() if show is None else show(seconds) as report:
            train(config, path, resume=resume, report=report, on_stall=end_process, after_step=clock)
    finally:
        clock.close()


def sampling_of(config: Config, lam: Sequence[float], samples: int | None, walkers: int | None) -> Sampling:
    """How energies are measured at λ, with the ``[sample]`` section of a configuration for what is not given."""
    sample = config.sample
    return Sampling(tuple(lam), samples or sample.samples, walkers or sample.walkers, sample.seed)


def measure_all(
    models: Sequence[Entry],
    seeds: Sequence[int],
    budget: Budget,
    out: Path,
    sampling: Sampling,
    count: int,
    tell: Told | None = None,
) -> tuple[dict[str, list[Measured]], dict[str, tuple[int, int]]]:
    """Energies of all seeds, and the numbers of parameters (all, active), by label.

    Args:
        models: that have been trained.
        seeds: of each.
        budget: of each run.
        out: folder of the comparison.
        sampling: how to measure.
        count: most points of a learning curve.
        tell: called with what is measured and the fraction done of everything.
    """
    from qernel.training.checkpoint import Checkpoints

    found: dict[str, list[Measured]] = {}
    sizes = {}
    parts = Parts(tell, len(models) * len(seeds))
    for entry in models:
        found[entry.label] = []
        for seed in seeds:
            path, config = folder(out, entry.label, seed), budgeted(entry.config, seed, budget)
            # What is measured is measured as the first model is: [sample] may differ if that was allowed.
            config = config.model_copy(update={"sample": models[0].config.sample})
            paths = Checkpoints.of(path, config, 1).paths()
            measure = runs.measure_checkpoint
            parts.begin(f"measuring {entry.label}, seed {seed}")
            found[entry.label].append(runs.measured(path, config, paths, entry.label, sampling, count, measure, parts))
        sizes[entry.label] = parameters_of(entry.config)
    return found, sizes


def measure_plan(
    plan: Plan, seeds: Sequence[int], out: Path, sampling: Sampling, tell: Told | None = None
) -> tuple[dict[str, list[list[points.Point]]], dict[str, list[Measured]]]:
    """Every λ of every seed, by kind of model; and as runs of a comparison, of which only the end is known."""
    from qernel.training.checkpoint import Checkpoints

    parts = Parts(tell, len(seeds) * (len(plan.shared) + len(plan.singles)))

    def at_end(entry: Entry, budget: Budget, seed: int, lam: list[float]) -> tuple[list[points.Point], float]:
        path, config = folder(out, entry.label, seed), budgeted(entry.config, seed, budget)
        newest = Checkpoints.of(path, config, 1).paths()[0]
        rows = read(path)
        parts.begin(f"measuring {entry.label}, seed {seed}")
        found = points.measure_run(path, config, newest, entry.label, lam, sampling, points.sampler, parts)
        return found, rows[-1][1] if rows else 0.0

    found: dict[str, list[list[points.Point]]] = {kind: [] for kind in KINDS}
    seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for seed in seeds:
        for entry in plan.shared:
            values, time = at_end(entry, plan.budget, seed, list(plan.lam))
            found[entry.label].append(values)
            seconds[entry.label].append(time)
        alone = [
            at_end(entry, plan.single_budget, seed, [lam]) for entry, lam in zip(plan.singles, plan.lam, strict=True)
        ]
        found["single"].append([values[0] for values, _ in alone])
        seconds["single"].append(sum(time for _, time in alone))
    ends = {
        kind: [_end(plan, values, time) for values, time in zip(found[kind], seconds[kind], strict=True)]
        for kind in KINDS
    }
    return found, ends


def _end(plan: Plan, values: Any, seconds: float) -> Measured:
    energy, error = (np.array([[getattr(point, name) for point in values]]) for name in ("energy", "error"))
    iterations = np.array([float(plan.budget.iterations)])
    return Measured(np.array([seconds]), iterations, energy, error, max(point.rhat for point in values))


def parameters_of(config: Config) -> tuple[int, int]:
    """Numbers of parameters of a model: all, and those active per configuration."""
    from qernel.training.run import initial_wavefunction
    from qernel.wavefunction import active_parameter_count, parameter_count

    wavefunction = initial_wavefunction(config, start=False)
    return parameter_count(wavefunction), active_parameter_count(wavefunction)


def _finished(path: Path, config: Config) -> bool:
    from qernel.training.checkpoint import Checkpoints

    return Checkpoints.of(path, config, 1).finished()
