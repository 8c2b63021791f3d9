"""``qernel compare``: models trained under equal conditions.

DIR/runs/LABEL/seed-S       ordinary run folders
DIR/models.csv              a row for each model: size, time, excess energy
DIR/energies.csv            a row for each model and λ
DIR/comparison.nc           the same for `qernel.open` and ``qernel plot accuracy``
DIR/comparison.json         the same as ``--json`` prints, with ratios, units and provenance
DIR/accuracy-*.png/.pdf     excess energy against parameters, active parameters and training time
"""

from __future__ import annotations

import argparse
import platform
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import qernel
from qernel import outputs
from qernel.cli.shared.arguments import flatten, positive, whole
from qernel.cli.shared.compare_tables import report
from qernel.cli.shared.options import add_chains, add_json, add_lam, add_overrides
from qernel.comparison.conditions import UNLIMITED, Budget, Entry, check_equal, entries
from qernel.comparison.reference import Reference, Row, at, read_rows
from qernel.comparison.work import measure_all, sampling_of, train_all
from qernel.config import Config, load_config
from qernel.errors import QernelError, warn
from qernel.estimators.doubts import RHAT_LIMIT, listed
from qernel.progress import Bar, line
from qernel.records import to_record
from qernel.storage import to_json
from qernel.training.devices import share_out
from qernel.training.display import TrainingProgress

BUDGET_FILE, MODELS, ENERGIES, DATA, RECORD = (
    "budget.json",
    "models.csv",
    "energies.csv",
    "comparison.nc",
    "comparison.json",
)


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``qernel compare``."""
    parser.description = (
        "Train every configuration with every seed, measure all of them at the same λ on fresh chains, and report "
        "excess energies per electron against parameters and training time, with the ratios of both between ansätze "
        "at equal accuracy. "
        "The same command goes on where it was stopped; nothing is trained or measured twice."
    )
    parser.add_argument(
        "configs", metavar="CONFIG", nargs="+", help="TOML files or presets that differ in [model] alone"
    )
    parser.add_argument("--seeds", metavar="N", nargs="+", type=whole(0), default=[1, 2, 3], help="default: 1 2 3")
    add_lam(parser, required=False)
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument(
        "--budget-s", metavar="S", type=positive, help="seconds of training steps per run, compilation excluded"
    )
    budget.add_argument("--iterations", metavar="N", type=whole(1), help="iterations per run (default: as configured)")
    parser.add_argument(
        "--reference",
        metavar="FILE",
        help="exact energies as JSON, CSV or NetCDF (default: the lowest energy found among the models)",
    )
    parser.add_argument(
        "--allow", metavar="SECTION.KEY", nargs="+", action="extend", default=[], help="keys that may differ"
    )
    parser.add_argument(
        "--points", metavar="N", type=whole(1), default=4, help="measured points of each learning curve (default: 4)"
    )
    add_chains(parser)
    parser.add_argument("--out", metavar="DIR", default="qernel-compare", help="folder to write (default: %(default)s)")
    add_json(parser)
    add_overrides(parser)


def run(options: argparse.Namespace) -> int:
    """Train, measure, compare; go on where an earlier call was stopped."""
    if len(set(options.seeds)) < len(options.seeds):
        raise QernelError(f"--seeds {' '.join(map(str, options.seeds))}: each seed may be given once")
    configs = [_labelled(source, options) for source in options.configs]
    budget, counted = _budget(configs[0][1], options)
    check_equal(configs, options.allow, counted)
    models = entries(configs)
    first = configs[0][1]
    share_out(*(config for _, config in configs), walkers=options.walkers)
    rows = read_rows(Path(options.reference), first) if options.reference else None
    lam = _lam(options, first, rows)
    known = at(rows, lam, Path(options.reference)) if rows is not None else None
    out = Path(options.out)
    outputs.claim(out, BUDGET_FILE, budget._asdict(), "comparison with the budget")

    with outputs.held(out, [DATA]), outputs.resumable(out, shlex.join(options.line)):
        command = shlex.join(options.line)
        train_all(models, options.seeds, budget, out, command, say=line, show=TrainingProgress)
        return _compare(models, lam, budget, known, out, options)


def _compare(
    models: list[Entry],
    lam: tuple[float, ...],
    budget: Budget,
    known: Reference | None,
    out: Path,
    options: argparse.Namespace,
) -> int:
    from qernel.comparison import results
    from qernel.comparison.accuracy import accuracies, best_found
    from qernel.plots.kinds import draw
    from qernel.plots.style import save
    from qernel.storage import save as save_dataset

    first = models[0].config
    sampling = sampling_of(first, lam, options.samples, options.walkers)
    with Bar() as progress:
        measured, sizes = measure_all(models, options.seeds, budget, out, sampling, options.points, progress)
    reference = known or best_found(measured, np.array(lam))
    rhat = {label: max(run.rhat for run in runs) for label, runs in measured.items()}
    stuck = [label for label, value in rhat.items() if not value <= RHAT_LIMIT]
    if stuck:
        warn(f"the chains of {', '.join(stuck)} disagree (rhat above {RHAT_LIMIT}): measure with more --samples")
    outcome = results.Outcome(models, sizes, accuracies(measured, reference), lam, reference, rhat)
    rows = results.models(outcome)
    data = {
        "conditions": _conditions(first, budget, options),
        "lam": list(lam),
        "reference": {
            "source": reference.source,
            "exact": reference.exact,
            "energy": reference.energy.tolist(),
            "error": reference.error.tolist(),
        },
        "models": rows,
        "ratios": results.ratios(outcome),
    }
    provenance = {
        "qernel": qernel.__version__,
        "command": shlex.join(options.line),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": platform.processor() or platform.machine(),
        "configs": {entry.label: entry.config.to_dict() for entry in models},
    }
    about = {
        "source": f"qernel {qernel.__version__}",
        "history": provenance["command"],
        "request": to_json(data["conditions"]),
        "created": provenance["date"],
    }
    dataset = results.dataset(outcome, about)
    save_dataset(dataset, out / DATA)
    outputs.write_text(out / MODELS, results.model_table(rows, len(options.seeds)))
    outputs.write_text(out / ENERGIES, results.energy_table(rows, lam, reference))
    for key, figure in draw("accuracy", dataset).items():
        save(figure, out / f"accuracy-{key}")
    record = {**data, "units": UNITS, "provenance": provenance}
    outputs.write_text(out / RECORD, to_record(record, indent=2) + "\n")
    print(to_json(data) if options.json else report(data, out))
    return 0


UNITS = {
    "energy": "E0 per electron, one standard error over seeds and sampling",
    "excess": "E0 per electron above the reference",
    "seconds": "s of training steps, compilation excluded",
    "ratio": "1, with the central 68 % interval",
}


def _labelled(source: str, options: argparse.Namespace) -> tuple[str, Config]:
    config = load_config(source, options.set)
    label = re.sub(r"[^A-Za-z0-9._+-]+", "-", config.name or Path(source).stem).strip(".-")
    if not label:
        raise QernelError(f"{source} has no name that a folder could have: give it name = '...'")
    return label, config


def _budget(first: Config, options: argparse.Namespace) -> tuple[Budget, tuple[str, ...]]:
    """When training ends, and the keys of the configurations that this replaces."""
    counted = ("train.iterations", "train.time_limit_s")
    if options.budget_s is not None:
        return Budget(UNLIMITED, options.budget_s), counted
    if options.iterations is not None:
        return Budget(options.iterations, None), counted
    return Budget(first.train.iterations, first.train.time_limit_s), ()


def _lam(options: argparse.Namespace, first: Config, rows: list[Row] | None) -> tuple[float, ...]:
    low, high = first.family.lam
    if options.lam:
        lam = sorted(flatten(options.lam))
    elif rows is not None:
        lam = [row.lam for row in rows if low - 1e-9 <= row.lam <= high + 1e-9]
        if not lam:
            raise QernelError(f"--reference {options.reference} has no λ in [{low:g}, {high:g}]: give --lam")
    else:
        lam = sorted({float(f"{value:.12g}") for value in np.linspace(low, high, 5)})
    outside = [value for value in lam if not low - 1e-9 <= value <= high + 1e-9]
    if outside:
        warn(f"extrapolating at λ = {listed(outside)}: the models are trained on λ in [{low:g}, {high:g}]")
    return tuple(lam)


def _conditions(first: Config, budget: Budget, options: argparse.Namespace) -> dict[str, Any]:
    up, down = first.system.electrons
    return {
        "electrons": [up, down] if down else up,
        "cells": first.system.cells,
        "trained_lam": list(first.family.lam),
        "groups": first.train.groups,
        "walkers": first.train.walkers,
        "seeds": list(options.seeds),
        "iterations": None if budget.iterations == UNLIMITED else budget.iterations,
        "budget_s": budget.seconds,
        "samples": options.samples or first.sample.samples,
        "chains": options.walkers or first.sample.walkers,
        "allowed_differences": list(options.allow),
    }
