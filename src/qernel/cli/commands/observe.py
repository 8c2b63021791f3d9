"""``qernel observe``: observables of a trained wavefunction into one NetCDF file.

DIR/observables.nc  everything measured, with errors, units, labelled axes and provenance
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qernel import runtime
from qernel.cli.shared.arguments import option
from qernel.cli.shared.options import add_json, add_measurement
from qernel.cli.shared.points import asked_model, asked_points
from qernel.cli.shared.results import refused
from qernel.errors import QernelError
from qernel.observables.registry import BUILT_IN
from qernel.progress import Bar
from qernel.storage import IMPOSSIBLE, OUTSIDE, PHASE, measured, to_json

if TYPE_CHECKING:
    import xarray

    from qernel.measure.points import Points
    from qernel.observables import Observable


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
    from qernel.estimators.possible import impossible_in
    from qernel.measure.files import OBSERVED
    from qernel.measure.folder import default_folder
    from qernel.measure.observations import observations
    from qernel.measure.tables import observed_table

    model = asked_model(options)
    out = Path(options.out) if options.out else default_folder(model, options.run, "observe")
    options.out = str(out)
    where = asked_points(model, options)
    with Bar() as progress:
        dataset = observations(where, chosen, out=out, command=shlex.join(options.line), tell=progress)
    why = impossible_in(dataset, model.hamiltonian)
    if options.json:
        print(to_json(_payload(where, dataset, out / OBSERVED, why)))
    else:
        print(observed_table(dataset))
        print(f"\nwritten: {out / OBSERVED}")
    return refused(why, where.axis.symbol)


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


def _payload(where: Points, dataset: xarray.Dataset, path: Path, why: Mapping[float, str]) -> dict[str, Any]:
    """Single numbers as ``{"value", "error"}``, for arrays the shape; the arrays are in the file."""
    from qernel.estimators.phases import stored_phase
    from qernel.measure.observations import doubted
    from qernel.measure.points import about
    from qernel.measure.tables import singles

    single, doubts, along = singles(dataset), doubted(dataset), where.axis.name
    results = []
    for index, value in enumerate(dataset[along].values.tolist()):
        numbers = {
            name: {"value": float(dataset[name][index]), "error": float(dataset[f"{name}_error"][index])}
            for name in single
        }
        flags = {flag: bool(dataset[flag].values[index]) for flag in OUTSIDE if flag in dataset}
        reasons = [f"{name}: {reason}" for name, at, said in doubts if at == value for reason in said]
        found = stored_phase(dataset.isel({along: index}))
        said = {PHASE: found.word, f"{PHASE}_why": found.why, "warnings": reasons, IMPOSSIBLE: why[value]}
        results.append({along: value, **numbers, **flags, **said})
    arrays = {name: dict(dataset[name].sizes) for name in measured(dataset) if name not in single}
    units = {name: dataset[name].attrs["units"] for name in measured(dataset)}
    return {**about(where.model, where.at), "results": results, "arrays": arrays, "units": units, "file": str(path)}
