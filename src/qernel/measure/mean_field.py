"""Hartree–Fock over λ as a result: solutions, a data set, a table, figures and their folder.

DIR/hartree_fock.json        every branch at every λ, with units and provenance
DIR/branches.png/.pdf        energies and order parameter of the branches against λ
DIR/density-BRANCH.png/.pdf  density of the crystal and of the other branch, where each is the lowest by most
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import qernel
from qernel import outputs
from qernel.config import Config, load_config
from qernel.config.plane_waves import WAVES
from qernel.errors import QernelError, RunError, warn
from qernel.hartree_fock import Branches, PlaneWaves, Solution, lowest, search, transition
from qernel.hartree_fock.search import CUTOFF
from qernel.measure.dataset import parameter_attributes
from qernel.measure.energies import ENERGIES
from qernel.measure.points import system
from qernel.progress import Told, shown
from qernel.records import to_record
from qernel.text import columns, describe

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

    from qernel.measure.model import Model

RECORD, FIGURE = "hartree_fock.json", "branches"

KINDS = ("crystal", "other", "symmetric")
"""Branches that are followed in λ (`Solution.kind`)."""

UNITS = {
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


@dataclass(frozen=True, eq=False)
class HartreeFock:
    """The lowest Slater determinants found at each λ.

    Attributes:
        config: of the system and its family.
        found: the branches at each λ, in increasing order.
        cutoff: kinetic cut-off of the plane waves in E0.
        seconds: that it took.
        command: what was typed, or the name of the function.
    """

    config: Config
    found: list[Branches] = field(repr=False)
    cutoff: float
    seconds: float = field(default=0.0, repr=False)
    command: str = field(default="qernel.hartree_fock", repr=False)

    @property
    def solutions(self) -> list[Solution]:
        """The lowest solution at each λ."""
        return [lowest(branches) for branches in self.found]

    @property
    def crossing(self) -> float | None:
        """λ where the crystal becomes the lowest state, linearly between neighbours; None if it does not."""
        return transition(self.found)

    @property
    def sides(self) -> list[str] | None:
        """What the lowest states are at the neighbouring λ, below and above the crossing."""
        if self.crossing is None:
            return None
        below = max(index for index, state in enumerate(self.solutions) if state.lam < self.crossing)
        return [state.order.label for state in self.solutions[below : below + 2]]

    @property
    def branches(self) -> dict[str, list[dict[str, Any]]]:
        """Every branch as plain data."""
        return {kind: [row(found[kind]) for found in self.found if kind in found] for kind in KINDS}

    @property
    def dataset(self) -> xarray.Dataset:
        """Energies per electron in E0 of every branch ``[branch, lam]``, nan where there is none; no error bars."""
        import xarray

        def values(name: str) -> npt.NDArray[np.float64]:
            rows = [[row(found[kind])[name] if kind in found else None for found in self.found] for kind in KINDS]
            return np.array(rows, dtype=np.float64)

        names = (*ENERGIES, "order_parameter", "broken_symmetry", "basis_error", "residual")
        lams = [state.lam for state in self.solutions]
        data = {
            name: (("branch", "lam"), values(name), {"units": "E0" if "E0" in UNITS[name] else "1"}) for name in names
        }
        axes = {"lam": ("lam", lams, parameter_attributes("lam")), "branch": ("branch", list(KINDS))}
        return xarray.Dataset(data, axes, {"source": f"qernel {qernel.__version__}", "cutoff": self.cutoff})

    def as_dict(self) -> dict[str, Any]:
        """The lowest state at each λ as plain data, which ``--json`` prints."""
        hamiltonian = self.config.hamiltonian()
        return {
            "system": system(self.config, hamiltonian, hamiltonian.middle),
            "results": [row(state) for state in self.solutions],
            "transition": self.crossing,
            "transition_between": self.sides,
        }

    def table(self) -> str:
        """The lowest state at each λ, and the energies of the other branches, for people."""
        head = ["λ", "energy", "kinetic", "moiré", "interaction", "|ρ_K|²", "basis error"]
        rows = [[*head, *(f"E {kind}" for kind in KINDS), "agreed", "lowest found"]]
        for branches in self.found:
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
        unit = self.config.energy_unit_meV
        title = f"{self._title}, energies per electron in E0"
        title += "" if unit is None else f" = {unit:.6g} meV"
        end = "\n\nagreed: starts that led to the lowest state; q in reciprocal vectors of the moiré lattice"
        alone = [f"{lowest(branches).lam:g}" for branches in self.found if lowest(branches).agreed < 2]
        if alone:
            end += f"\nfewer than two starts agreed at λ = {', '.join(alone)}: there may be lower states"
        if self.crossing is not None and self.sides is not None:
            below, above = self.sides
            end += f"\nfrom {below} to {above} near λ = {self.crossing:.3f} (energies linear between the λ above)"
        return f"{title}\n{columns(rows)}{end}"

    def plot(self) -> Figure:
        """Energies and order parameter of the branches against λ."""
        from qernel.hartree_fock.figure import branch_diagram

        return branch_diagram(self.branches, crossing=self.crossing, title=self._title)

    @property
    def _title(self) -> str:
        return f"Hartree–Fock, {describe(self.config.system.electrons, self.config.system.cells)}"

    def save(self, folder: str | Path) -> None:
        """Write the record and the figures.

        Raises:
            RunError: if the folder is not empty, or cannot be written.
        """
        out = Path(folder)
        with outputs.held(out, [RECORD]):
            outputs.refuse_occupied(out)
            self._write(out)

    def _write(self, out: Path) -> None:
        from qernel.hartree_fock.figure import shown
        from qernel.plots import density_map, save

        save(self.plot(), out / FIGURE)
        chosen = shown(self.found)
        for kind, solution in chosen.items():
            cell = solution.field.hamiltonian.supercell
            density = solution.field.density(solution.orbitals)
            save(density_map(density, cell.vectors, cell.primitive), out / f"density-{kind}")
        provenance = {
            "command": self.command,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(self.seconds, 1),
            "qernel": qernel.__version__,
            "config": self.config.fingerprint("system", "family"),
        }
        record = {**self.as_dict(), "branches": self.branches, "units": UNITS, "provenance": provenance}
        record["densities"] = {kind: f"{state.order.label}, at λ = {state.lam:g}" for kind, state in chosen.items()}
        # Last: a folder with this file is complete.
        outputs.write_text(out / RECORD, to_record(record, indent=1) + "\n")


def hartree_fock(
    source: Config | Model | str | Path,
    lam: npt.ArrayLike,
    *,
    cutoff: float | None = None,
    out: str | Path | None = None,
    command: str | None = None,
    progress: Told | bool | None = None,
) -> HartreeFock:
    """The lowest Slater determinants found in plane waves, as ``qernel hf`` finds them.

    Parameters of the family other than λ are taken in the middle of their intervals.

    Args:
        source: a configuration, the path of one, the name of a preset, or a trained model for its system.
        lam: values of λ.
        cutoff: kinetic cut-off of the plane waves in E0; default 300.
        out: folder for the record and the figures.
        command: what was typed, for the record.
        progress: called with what is being done and the fraction done; True: a bar on standard error.

    Raises:
        ConfigError: for a configuration that cannot be used.
        QernelError: for no λ at all.
        RunError: for a cut-off that is too low, or a folder that is not empty or cannot be written.

    >>> import qernel
    >>> found = qernel.hartree_fock("n2", 0.9, cutoff=80.0)
    >>> found.solutions[0].branch, round(found.solutions[0].energy, 2)
    ('density wave', -17.21)
    """
    config = _config(source)
    folder = None if out is None else Path(out)
    with outputs.held(folder, [RECORD]), shown(progress) as tell:
        if folder is not None:
            outputs.refuse_occupied(folder)
        found = _solved(config, lam, cutoff or CUTOFF, command, tell)
        loose = [f"{state.lam:g}" for state in found.solutions if not state.converged]
        if loose:
            where = ", ".join(loose)
            warn(f"not converged at λ = {where}: see the residual; energies are still upper bounds of the basis")
        if folder is not None:
            found._write(folder)
    return found


def _config(source: Config | Model | str | Path) -> Config:
    if isinstance(source, Config):
        return source
    if isinstance(source, str | Path):
        return load_config(source, sections=("system", "family"))
    return source.config


def _solved(
    config: Config, lam: npt.ArrayLike, cutoff: float, command: str | None, progress: Told | None
) -> HartreeFock:
    points = sorted(dict.fromkeys(np.atleast_1d(np.asarray(lam, dtype=np.float64)).tolist()))
    if not points:
        raise QernelError("there is no λ to solve at: give at least one")
    _enough(config, cutoff)
    begin = time.monotonic()
    found = search(config.hamiltonian(), points, cutoff=cutoff, progress=progress)
    return HartreeFock(config, found, cutoff, time.monotonic() - begin, command or HartreeFock.command)


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


def _enough(config: Config, cutoff: float) -> None:
    cell = config.hamiltonian().supercell
    waves, most = len(PlaneWaves(cell, cutoff).turns), max(config.system.electrons)
    if waves < WAVES * most:
        raise RunError(
            f"--cutoff {cutoff:g} keeps {waves} plane waves for {most} electrons of one spin: "
            f"give at least {cutoff * WAVES * most / waves:.0f}"
        )
