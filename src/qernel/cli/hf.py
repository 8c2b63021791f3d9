"""``qernel hf``: Hartree–Fock energies and branches, without training.

DIR/hartree_fock.json        every branch at every λ, with units and provenance
DIR/branches.png/.pdf        energies and order parameter of the branches against λ
DIR/density-BRANCH.png/.pdf  density of each branch, at the λ where it is the lowest by most
"""

from __future__ import annotations

import argparse
import shlex
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qernel
from qernel import runtime
from qernel.cli import outputs
from qernel.cli.arguments import flatten, positive
from qernel.cli.options import add_config, add_json, add_lam
from qernel.cli.progress import PartsProgress
from qernel.cli.results import ENERGIES, system, warn
from qernel.cli.tables import columns, describe
from qernel.config import Config, load_config
from qernel.errors import RunError
from qernel.storage import to_json

if TYPE_CHECKING:
    from qernel.hartree_fock import Branches, Solution

RECORD, FIGURE = "hartree_fock.json", "branches"


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``qernel hf``."""
    parser.description = (
        "The best Slater determinants in plane waves: liquid and crystal branches, from many starts and sweeps up and "
        "down in λ. Parameters of the family other than λ are taken in the middle of their intervals."
    )
    add_config(parser)
    add_lam(parser)
    parser.add_argument(
        "--cutoff", metavar="E0", type=positive, help="kinetic cut-off of the plane waves in E0 (default: 300)"
    )
    parser.add_argument("--out", metavar="DIR", help="folder to write: all branches as JSON, and figures")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Solve, print the table or the JSON object, and write the folder if there is to be one."""
    config = load_config(options.config, options.set, sections=("system", "family"))
    out = None if options.out is None else Path(options.out)
    if out is not None:
        outputs.refuse_occupied(out)
    runtime.configure(1)
    from qernel.hartree_fock import lowest, search, transition
    from qernel.hartree_fock.search import CUTOFF

    hamiltonian = config.hamiltonian()
    points = sorted(flatten(options.lam))
    cutoff = options.cutoff or CUTOFF
    _enough(config, cutoff)
    begin = time.monotonic()
    with PartsProgress() as progress:
        found = search(hamiltonian, points, cutoff=cutoff, progress=progress.show)
        results = [row(lowest(branches)) for branches in found]
    crossing = transition(found)
    data = {"system": system(config, hamiltonian, hamiltonian.middle), "results": results, "transition": crossing}
    loose = [f"{result['lam']:g}" for result in results if not result["converged"]]
    if loose:
        warn(f"not converged at λ = {', '.join(loose)}: see the residual; energies are still upper bounds of the basis")
    if out is not None:
        provenance = {
            "command": shlex.join(options.line),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - begin, 1),
            "qernel": qernel.__version__,
            "config": config.fingerprint("system", "family"),
        }
        _write(out, config, found, {**data, "branches": _branches(found), "units": _UNITS, "provenance": provenance})
    print(to_json(data) if options.json else table(config, found, crossing))
    if out is not None and not options.json:
        print(f"\nwritten: {out}")
    return 0


_UNITS = {
    "lam": "V0 (factor on the moiré depth)",
    **dict.fromkeys(ENERGIES, "E0 per electron"),
    "order_parameter": "1 (⟨|ρ_K|²⟩, ρ_K = (1/N) Σ exp(iK·r)); null where K does not fit the supercell",
    "broken_symmetry": "1 (|⟨ρ_K⟩|²; crystal: above 0.05)",
    "residual": "E0",
    "cutoff": "E0",
    "basis_error": "E0 per electron",
    "transition": "V0; crossing of the lowest crystal and the lowest liquid",
}


def row(solution: Solution) -> dict[str, Any]:
    """One solution as plain numbers; energies per electron in E0."""
    count = solution.field.hamiltonian.count
    return {
        "lam": solution.lam,
        "energy": solution.energy,
        **{name: getattr(solution.parts, name) / count for name in ENERGIES[1:]},
        "order_parameter": solution.order_parameter,
        "branch": solution.branch,
        "converged": solution.converged,
        "residual": solution.residual,
        "cutoff": solution.field.basis.cutoff,
        "basis_error": solution.basis_error,
        "broken_symmetry": solution.broken_symmetry,
        "origin": solution.origin,
    }


def table(config: Config, found: Sequence[Branches], crossing: float | None) -> str:
    """What is printed: the lowest state at each λ, and the energies of the other branches."""
    from qernel.hartree_fock import lowest

    head = ["λ", "energy", "kinetic", "moiré", "interaction", "|ρ_K|²", "basis error", "branch"]
    kinds = ("liquid", "crystal", "symmetric")
    rows = [[*head[:-1], *(f"E {kind}" for kind in kinds), head[-1]]]
    for branches in found:
        best = row(lowest(branches))
        order = best["order_parameter"]
        rows.append(
            [
                f"{best['lam']:g}",
                *(f"{best[name]:.5f}" for name in ENERGIES),
                "" if order is None else f"{order:.4f}",
                f"{best['basis_error']:.0e}",
                *(f"{branches[kind].energy:.5f}" if kind in branches else "" for kind in kinds),
                best["branch"] + ("" if best["converged"] else " (not converged)"),
            ]
        )
    unit = config.energy_unit_meV
    title = f"Hartree–Fock, {describe(config.system.electrons, config.system.cells)}, energies per electron in E0"
    title += "" if unit is None else f" = {unit:.6g} meV"
    end = (
        "" if crossing is None else f"\n\nliquid and crystal cross near λ = {crossing:.3f} (linear between the λ above)"
    )
    return f"{title}\n{columns(rows)}{end}"


def _enough(config: Config, cutoff: float) -> None:
    from qernel.config.plane_waves import WAVES
    from qernel.hartree_fock import PlaneWaves

    cell = config.hamiltonian().supercell
    waves, most = len(PlaneWaves(cell, cutoff).turns), max(config.system.electrons)
    if waves < WAVES * most:
        raise RunError(
            f"--cutoff {cutoff:g} keeps {waves} plane waves for {most} electrons of one spin: "
            f"give at least {cutoff * WAVES * most / waves:.0f}"
        )


def _branches(found: Sequence[Branches]) -> dict[str, list[dict[str, Any]]]:
    kinds = ("liquid", "crystal", "symmetric")
    return {kind: [row(branches[kind]) for branches in found if kind in branches] for kind in kinds}


def _write(out: Path, config: Config, found: Sequence[Branches], data: Mapping[str, Any]) -> None:
    from qernel.hartree_fock.figure import branch_diagram, shown
    from qernel.plots import density_map, save

    out.mkdir(parents=True, exist_ok=True)
    title = f"Hartree–Fock, {describe(config.system.electrons, config.system.cells)}"
    save(branch_diagram(data["branches"], crossing=data["transition"], title=title), out / FIGURE)
    for kind, solution in shown(found).items():
        cell = solution.field.hamiltonian.supercell
        density = solution.field.density(solution.orbitals)
        save(density_map(density, cell.vectors, cell.primitive), out / f"density-{kind}")
    # Last: a folder with this file is complete.
    outputs.write_text(out / RECORD, to_json(data, indent=1) + "\n")
