"""``qernel hf``: Hartree–Fock energies and branches, without training.

DIR/hartree_fock.json        every branch at every λ, with units and provenance
DIR/branches.png/.pdf        energies and order parameter of the branches against λ
DIR/density-BRANCH.png/.pdf  density of the crystal and of the other branch, where each is the lowest by most
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
from qernel import outputs
from qernel.cli.shared.arguments import flatten, positive
from qernel.cli.shared.options import add_config, add_json, add_lam
from qernel.cli.shared.progress import PartsProgress
from qernel.cli.shared.results import ENERGIES, system, warn
from qernel.text import columns, describe
from qernel.config import Config, load_config
from qernel.errors import RunError
from qernel.records import to_record
from qernel.storage import to_json

if TYPE_CHECKING:
    from qernel.hartree_fock import Branches, Solution

RECORD, FIGURE = "hartree_fock.json", "branches"

KINDS = ("crystal", "other", "symmetric")
"""Branches that are followed in λ (`Solution.kind`)."""


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``qernel hf``."""
    parser.description = (
        "The lowest Slater determinants found in plane waves, from many starts and sweeps up and down in λ: the "
        "crystal, what competes with it, and the state with the symmetry of the moiré lattice. Parameters of the "
        "family other than λ are taken in the middle of their intervals."
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
    with outputs.held(out, [RECORD]):
        if out is not None:
            outputs.refuse_occupied(out)
        return _run(config, out, options)


def _run(config: Config, out: Path | None, options: argparse.Namespace) -> int:
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
    data = {
        "system": system(config, hamiltonian, hamiltonian.middle),
        "results": results,
        "transition": crossing,
        "transition_between": None if crossing is None else sides(found, crossing),
    }
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
    "broken_symmetry": "1 (largest |⟨ρ_q⟩|² that translations of H leave open; crystal: > 0.05, density wave: > 0.01)",
    "q": "reciprocal vectors of the moiré lattice; where |⟨ρ_q⟩|² is broken_symmetry, null for a liquid",
    "starts": "1 (determinants minimised from, at a cut-off of 60 E0; of symmetric states: those with symmetry)",
    "agreed": "1 (of these, how many led to this state, within 1e-4 E0 per electron)",
    "residual": "E0",
    "cutoff": "E0",
    "basis_error": "E0 per electron",
    "transition": "V0; crossing of the crystal and the lowest other state",
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
        "label": solution.order.label,
        "q": [float(x) for x in solution.order.wave] if solution.order.q else None,
        "starts": solution.starts,
        "agreed": solution.agreed,
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

    head = ["λ", "energy", "kinetic", "moiré", "interaction", "|ρ_K|²", "basis error"]
    rows = [[*head, *(f"E {kind}" for kind in KINDS), "agreed", "lowest found"]]
    for branches in found:
        best = row(lowest(branches))
        order = best["order_parameter"]
        rows.append(
            [
                f"{best['lam']:g}",
                *(f"{best[name]:.5f}" for name in ENERGIES),
                "" if order is None else f"{order:.4f}",
                f"{best['basis_error']:.0e}",
                *(f"{branches[kind].energy:.5f}" if kind in branches else "" for kind in KINDS),
                f"{best['agreed']} of {best['starts']}",
                best["label"] + ("" if best["converged"] else " (not converged)"),
            ]
        )
    unit = config.energy_unit_meV
    title = f"Hartree–Fock, {describe(config.system.electrons, config.system.cells)}, energies per electron in E0"
    title += "" if unit is None else f" = {unit:.6g} meV"
    end = "\n\nagreed: starts that led to the lowest state; q in reciprocal vectors of the moiré lattice"
    alone = [f"{lowest(branches).lam:g}" for branches in found if lowest(branches).agreed < 2]
    if alone:
        end += f"\nfewer than two starts agreed at λ = {', '.join(alone)}: there may be lower states"
    if crossing is not None:
        below, above = sides(found, crossing)
        end += f"\nfrom {below} to {above} near λ = {crossing:.3f} (energies linear between the λ above)"
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
    return {kind: [row(branches[kind]) for branches in found if kind in branches] for kind in KINDS}


def sides(found: Sequence[Branches], crossing: float) -> list[str]:
    """What the lowest states are at the neighbouring λ, below and above a crossing."""
    from qernel.hartree_fock import lowest

    states = [lowest(branches) for branches in found]
    below = max(index for index, state in enumerate(states) if state.lam < crossing)
    return [state.order.label for state in states[below : below + 2]]


def _write(out: Path, config: Config, found: Sequence[Branches], data: Mapping[str, Any]) -> None:
    from qernel.hartree_fock.figure import branch_diagram, shown
    from qernel.plots import density_map, save

    title = f"Hartree–Fock, {describe(config.system.electrons, config.system.cells)}"
    save(branch_diagram(data["branches"], crossing=data["transition"], title=title), out / FIGURE)
    chosen = shown(found)
    for kind, solution in chosen.items():
        cell = solution.field.hamiltonian.supercell
        density = solution.field.density(solution.orbitals)
        save(density_map(density, cell.vectors, cell.primitive), out / f"density-{kind}")
    densities = {kind: f"{state.order.label}, at λ = {state.lam:g}" for kind, state in chosen.items()}
    # Last: a folder with this file is complete.
    outputs.write_text(out / RECORD, to_record({**data, "densities": densities}, indent=1) + "\n")
