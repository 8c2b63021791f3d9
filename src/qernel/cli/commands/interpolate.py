"""``qernel interpolate``: a model with gaps in its trained λ, against models without.

DIR/runs/LABEL/seed-S       ordinary run folders: gaps, whole, single-L for each λ
DIR/energies.csv            a row for each kind of model and λ
DIR/densities.csv           a row for each pair of kinds and λ
DIR/interpolation.nc        the same for `qernel.open` and ``qernel plot interpolation``
DIR/interpolation.json      the same as ``--json`` prints, with units and provenance
DIR/interpolation.png/.pdf  energies, densities and order parameter against λ
"""

from __future__ import annotations

import argparse
import platform
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import qernel
from qernel import outputs
from qernel.cli.shared.arguments import flatten, whole
from qernel.cli.shared.compare_tables import interpolation_report
from qernel.cli.shared.options import add_chains, add_config, add_json, add_lam
from qernel.comparison import interpolation
from qernel.comparison.interpolation import KINDS, Plan
from qernel.comparison.reference import Reference, at, read_rows
from qernel.comparison.work import measure_plan, sampling_of, train_all
from qernel.config import Config, load_config
from qernel.errors import QernelError, warn
from qernel.estimators.doubts import RHAT_LIMIT
from qernel.progress import Bar, line
from qernel.records import to_record
from qernel.storage import to_json
from qernel.training.devices import share_out
from qernel.training.display import TrainingProgress

PLAN_FILE, ENERGIES, DENSITIES, DATA, RECORD, FIGURE = (
    "plan.json",
    "energies.csv",
    "densities.csv",
    "interpolation.nc",
    "interpolation.json",
    "interpolation",
)

UNITS = {
    "energy": "E0 per electron, one standard error over seeds and sampling",
    "excess": "E0 per electron above the reference",
    "difference": "1, mean of (n - n')^2 over the moire cell, over the squared mean density",
    "summary": "E0 per electron, energy of the first model minus that of the second, mean over the λ of a region",
    "order_parameter": "1, <|rho_K|^2>",
    "cost": "updates x walkers",
}


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``qernel interpolate``."""
    parser.description = (
        "Train the configuration as it is (family.lam without family.gaps), on the whole range of the λ asked for, and "
        "for each λ alone, all kinds with the same number of updates × walkers (unless --single-iterations is given); "
        "report energies above the exact ones "
        "and differences of densities in the gaps, beyond the ends and elsewhere. train.margin is taken as 0. "
        "The same command goes on where it was stopped; nothing is trained or measured twice."
    )
    add_config(parser)
    parser.add_argument("--seeds", metavar="N", nargs="+", type=whole(0), default=[1, 2], help="default: 1 2")
    add_lam(parser, required=False)
    parser.add_argument(
        "--iterations", metavar="N", type=whole(1), help="updates of each shared model (default: as configured)"
    )
    parser.add_argument(
        "--single-groups",
        metavar="G",
        type=whole(1),
        help="groups of walkers, all at one λ, of a single-λ model: fewer leave it more updates "
        "(default: as configured for the shared models)",
    )
    parser.add_argument(
        "--single-iterations",
        metavar="N",
        type=whole(1),
        help="updates of each single-λ model (default: all of them together cost what a shared model costs)",
    )
    parser.add_argument(
        "--reference",
        metavar="FILE",
        help="exact energies as JSON, CSV or NetCDF (default: the lowest energy found among the models)",
    )
    add_chains(parser)
    parser.add_argument(
        "--out", metavar="DIR", default="qernel-interpolate", help="folder to write (default: %(default)s)"
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Train, measure, compare; go on where an earlier call was stopped."""
    if len(set(options.seeds)) < len(options.seeds):
        raise QernelError(f"--seeds {' '.join(map(str, options.seeds))}: each seed may be given once")
    config = load_config(options.config, options.set)
    plan, known = _plan(config, options)
    share_out(config, walkers=options.walkers)
    out = Path(options.out)
    outputs.claim(out, PLAN_FILE, _claimed(plan), "comparison of")
    command = shlex.join(options.line)
    with outputs.held(out, [RECORD]), outputs.resumable(out, shlex.join(options.line)):
        shown: dict[str, Any] = {"say": line, "show": TrainingProgress}
        train_all(plan.shared, options.seeds, plan.budget, out, command, **shown)
        train_all(plan.singles, options.seeds, plan.single_budget, out, command, **shown)
        return _compare(plan, known, out, options)


def _plan(config: Config, options: argparse.Namespace) -> tuple[Plan, Reference | None]:
    rows = read_rows(Path(options.reference), config) if options.reference else None
    if options.lam:
        lam = flatten(options.lam)
    else:
        lam = [row.lam for row in rows] if rows is not None else interpolation.default_points(config.family)
    iterations, groups = options.iterations or config.train.iterations, options.single_groups or config.train.groups
    plan = interpolation.plan(config, lam, iterations, groups, options.single_iterations)
    return plan, None if rows is None else at(rows, plan.lam, Path(options.reference))


def _claimed(plan: Plan) -> dict[str, Any]:
    """What cannot change between calls that go on with each other; the seeds can."""
    config, single = plan.shared[0].config, plan.singles[0].config
    return {
        "config": config.fingerprint("system", "model", "train"),
        "trained_lam": config.family.lam,
        "gaps": config.family.gaps or [],
        "lam": plan.lam,
        "iterations": plan.budget.iterations,
        "single_iterations": plan.single_budget.iterations,
        "single_groups": single.train.groups,
    }


def _compare(plan: Plan, known: Reference | None, out: Path, options: argparse.Namespace) -> int:
    from qernel.comparison import interpolation_results as results
    from qernel.comparison.accuracy import accuracies, best_found
    from qernel.plots.kinds import draw
    from qernel.plots.style import save
    from qernel.storage import save as save_dataset

    sampling = sampling_of(plan.shared[0].config, plan.lam, options.samples, options.walkers)
    with Bar() as progress:
        points, measured = measure_plan(plan, options.seeds, out, sampling, progress)
    reference = known or best_found(measured, np.array(plan.lam))
    rows = results.energies(plan, accuracies(measured, reference), reference, points)
    pairs = results.densities(plan, points)
    stuck = [f"{row['model']} at λ = {row['lam']:g}" for row in rows if not row["rhat"] <= RHAT_LIMIT]
    if stuck:
        warn(f"the chains of {', '.join(stuck)} disagree (rhat above {RHAT_LIMIT}): measure with more --samples")
    seconds = {kind: float(np.mean([run.seconds[-1] for run in measured[kind]])) for kind in KINDS}
    data = {
        "conditions": _conditions(plan, options),
        "cost": {kind: {"updates_times_walkers": plan.cost[kind], "seconds": seconds[kind]} for kind in KINDS},
        "reference": {"source": reference.source, "exact": reference.exact},
        "energies": rows,
        "densities": pairs,
        "summary": results.summary(plan, points),
    }
    provenance = {
        "qernel": qernel.__version__,
        "command": shlex.join(options.line),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": platform.processor() or platform.machine(),
        "config": plan.shared[0].config.to_dict(),
    }
    about = {
        "source": f"qernel {qernel.__version__}",
        "history": provenance["command"],
        "request": to_json(data["conditions"]),
        "created": provenance["date"],
        "reference": reference.source,
        "reference_exact": int(reference.exact),
    }
    dataset = results.dataset(plan, rows, pairs, about)
    save_dataset(dataset, out / DATA)
    outputs.write_text(out / ENERGIES, results.table(rows))
    outputs.write_text(out / DENSITIES, results.table(pairs))
    for figure in draw("interpolation", dataset).values():
        save(figure, out / FIGURE)
    outputs.write_text(out / RECORD, to_record({**data, "units": UNITS, "provenance": provenance}, indent=2) + "\n")
    print(to_json(data) if options.json else interpolation_report(data, out))
    return 0


def _conditions(plan: Plan, options: argparse.Namespace) -> dict[str, Any]:
    first, single = plan.shared[0].config, plan.singles[0].config
    up, down = first.system.electrons
    parts = first.hamiltonian().parts
    return {
        "electrons": [up, down] if down else up,
        "cells": first.system.cells,
        "trained_lam": [list(part) for part in parts],
        "whole_lam": list(plan.shared[1].config.family.lam),
        "lam": list(plan.lam),
        "regions": list(plan.regions),
        "walkers": first.train.walkers,
        "groups": first.train.groups,
        "iterations": plan.budget.iterations,
        "single_groups": single.train.groups,
        "single_iterations": plan.single_budget.iterations,
        "seeds": list(options.seeds),
        "samples": options.samples or first.sample.samples,
        "chains": options.walkers or first.sample.walkers,
    }
