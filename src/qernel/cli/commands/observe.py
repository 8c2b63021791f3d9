"""``qernel observe``: observables of a trained wavefunction into one NetCDF file.

DIR/observables.nc  everything measured, with errors, units, labelled axes and provenance
"""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qernel import runtime
from qernel.cli.shared import outputs
from qernel.cli.shared.arguments import flatten, option
from qernel.cli.shared.options import add_json, add_measurement
from qernel.cli.shared.progress import PartsProgress
from qernel.cli.shared.results import other_parameters, reached, refused, states_at, system_of, warn
from qernel.cli.shared.tables import columns, remark
from qernel.errors import QernelError
from qernel.estimators.doubts import sentences, stored_doubts
from qernel.observables.registry import BUILT_IN
from qernel.storage import IMPOSSIBLE, OUTSIDE, measured, open, save, to_json

if TYPE_CHECKING:
    import xarray

    from qernel.measure import Model
    from qernel.observables import Observable

FILE = "observables.nc"


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``qernel observe``."""
    parser.description = (
        "Measure observables at given λ into DIR/observables.nc, with errors, units and provenance. Observables: "
        f"{', '.join(BUILT_IN)}, and those of installed packages."
    )
    add_measurement(parser)
    parser.add_argument(
        "--observable", metavar="NAME", nargs="+", action="extend", required=True, help="what to measure"
    )
    parser.add_argument(
        "--set",
        metavar="NAME.KEY=VALUE",
        nargs="+",
        action="extend",
        type=option,
        default=[],
        help="options of observables, e.g. --set density.grid=64 structure_factor.cutoff=3",
    )
    parser.add_argument("--out", metavar="DIR", help="folder to write (default: RUN/observe, or NAME-observe)")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Measure, write the file and print the single numbers, or the JSON object."""
    runtime.configure(runtime.usable_devices(options.walkers) if options.walkers else None)
    chosen = observables(options.observable, options.set)
    from qernel.measure import load

    model = load(options.run)
    out = Path(options.out) if options.out else outputs.default_folder(model, options.run, "observe")
    with outputs.held(out, [FILE]):
        return _run(model, out, chosen, options)


def _run(model: Model, out: Path, chosen: Sequence[Observable], options: argparse.Namespace) -> int:
    others = other_parameters(model, options.at)
    points = sorted(flatten(options.lam))
    reached(model, points, options)
    from qernel.estimators.possible import impossible_in

    wanted = outputs.request(model, points, others, options) | {"observables": [repr(item) for item in chosen]}
    outputs.refuse_overwriting(out, [FILE], wanted, _stored(out / FILE), "measurement")

    with outputs.remembering(model, out, options.line) as remembered:
        dataset = _measure(remembered, points, chosen, options)
    about = {"request": to_json(wanted), "history": shlex.join(options.line)}
    save(dataset.assign_attrs(about), out / FILE)
    for sentence in sentences(_doubted(dataset)):
        warn(sentence)
    why = impossible_in(dataset, model.hamiltonian)
    if options.json:
        print(to_json(_payload(model, dataset, others, out / FILE, why)))
    else:
        print(table(dataset))
        print(f"\nwritten: {out / FILE}")
    return refused(why)


def observables(groups: Sequence[str], assignments: Sequence[tuple[str, str, Any]]) -> list[Observable]:
    """The observables of a command line, each with its options.

    Raises:
        QernelError: if one does not exist, or an option is for one that was not asked for.
    """
    from qernel.observables import make

    names = list(dict.fromkeys(groups))
    for name, key, value in assignments:
        if name not in names:
            raise QernelError(f"--set {name}.{key}={value}: {name} is not among --observable {' '.join(names)}")
    return [make(name, {key: value for owner, key, value in assignments if owner == name}) for name in names]


def _measure(
    model: Model, points: Sequence[float], chosen: Sequence[Observable], options: argparse.Namespace
) -> xarray.Dataset:
    from qernel.measure.dataset import along_lam

    results = []
    states = states_at(model, points, options)
    with PartsProgress(len(states)) as progress:
        for state in states:
            progress.begin(f"measuring λ = {state.lam:g}")
            settings = {"samples": options.samples, "walkers": options.walkers, "seed": options.seed}
            results.append(state.observe(*chosen, **settings, progress=progress))
    return along_lam(results)


def _stored(path: Path) -> Any:
    """The request of a file that is there."""
    if not path.exists():
        return None
    try:
        return json.loads(open(path).attrs["request"])
    except (QernelError, KeyError, ValueError, TypeError, RecursionError):
        return None


def _doubted(dataset: xarray.Dataset) -> list[tuple[str, float, tuple[str, ...]]]:
    """Everything measured, its λ, and why its error bar may be too small."""
    return [
        (name, float(lam), stored_doubts(dataset.isel(lam=index), name))
        for name in measured(dataset)
        if f"{name}_error" in dataset
        for index, lam in enumerate(dataset["lam"].values)
    ]


def _single(dataset: xarray.Dataset) -> list[str]:
    return [name for name in measured(dataset) if dataset[name].dims == ("lam",)]


def table(dataset: xarray.Dataset) -> str:
    """The single numbers of every λ, then the arrays that are only in the file."""
    from qernel.estimators.quantity import parenthesis

    single = _single(dataset)
    rows = [["λ", *(_headed(dataset, name) for name in single), ""]]
    for index, lam in enumerate(dataset["lam"].values):
        numbers = [parenthesis(float(dataset[name][index]), float(dataset[f"{name}_error"][index])) for name in single]
        rows.append([f"{lam:g}", *numbers, remark(dataset.isel(lam=index))])
    lines = [columns(rows)]
    for name in measured(dataset):
        if name not in single:
            axes = " × ".join(f"{size} {axis}" for axis, size in dataset[name].sizes.items())
            lines.append(f"{name}: {axes} ({dataset[name].attrs['units']})")
    return "\n".join(lines)


def _headed(dataset: xarray.Dataset, name: str) -> str:
    unit = dataset[name].attrs["units"]
    return name if unit == "1" else f"{name} ({unit})"


def _payload(
    model: Model, dataset: xarray.Dataset, others: Mapping[str, float], path: Path, why: Mapping[float, str]
) -> dict[str, Any]:
    """Single numbers as ``{"value", "error"}``, for arrays the shape; the arrays are in the file."""
    single, doubted = _single(dataset), _doubted(dataset)
    results = []
    for index, lam in enumerate(dataset["lam"].values):
        numbers = {
            name: {"value": float(dataset[name][index]), "error": float(dataset[f"{name}_error"][index])}
            for name in single
        }
        flags = {flag: bool(dataset[flag].values[index]) for flag in OUTSIDE if flag in dataset}
        reasons = [f"{name}: {reason}" for name, at, why_ in doubted if at == float(lam) for reason in why_]
        results.append({"lam": float(lam), **numbers, **flags, "warnings": reasons, IMPOSSIBLE: why[float(lam)]})
    arrays = {name: dict(dataset[name].sizes) for name in measured(dataset) if name not in single}
    units = {name: dataset[name].attrs["units"] for name in measured(dataset)}
    return {**system_of(model, others), "results": results, "arrays": arrays, "units": units, "file": str(path)}
