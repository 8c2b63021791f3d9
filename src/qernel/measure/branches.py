"""Hartree–Fock along a parameter as a result: solutions, a data set, a table, figures and their folder.

DIR/hartree_fock.json        every branch at every point, with units and provenance
DIR/branches.png/.pdf        energies and order parameter of the branches against λ, or another parameter
DIR/density-BRANCH.png/.pdf  density of the crystal and of the other branch, where each is the lowest by most
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import qernel
from qernel import outputs
from qernel.along import LAM, Axis, named
from qernel.config import Config
from qernel.errors import QernelError
from qernel.hartree_fock import Branches, Solution, lowest, transition
from qernel.measure.dataset import parameter_attributes
from qernel.measure.energies import ENERGIES
from qernel.measure.points import system
from qernel.measure.solutions import KINDS, UNITS, density, row, units
from qernel.measure.tables import MEAN_FIELD
from qernel.records import to_record
from qernel.text import columns, describe, html_table

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


RECORD, FIGURE = "hartree_fock.json", "branches"


@dataclass(frozen=True, eq=False, repr=False)
class HartreeFock:
    """The lowest Slater determinants found along a parameter.

    Attributes:
        config: of the system and its family.
        found: the branches at each value of it, in increasing order.
        cutoff: kinetic cut-off of the plane waves in E0.
        along: the parameter.
        at: values of others that were asked for.
        seconds: that it took.
        command: what was typed, or the name of the function.
    """

    config: Config
    found: list[Branches] = field(repr=False)
    cutoff: float
    along: Axis = LAM
    at: Mapping[str, float] = field(default_factory=dict)
    seconds: float = field(default=0.0, repr=False)
    command: str = field(default="qernel.hartree_fock", repr=False)

    @property
    def solutions(self) -> list[Solution]:
        """The lowest solution at each value."""
        return [lowest(branches) for branches in self.found]

    @property
    def crossing(self) -> float | None:
        """Where the crystal becomes the lowest state, linearly between neighbours; None if it does not."""
        return transition(self.found, self.along.name)

    @property
    def values(self) -> list[float]:
        """Of the parameter."""
        return [self._place(state) for state in self.solutions]

    def __repr__(self) -> str:
        where = f"{self.along.name}={self.values}"
        return f"HartreeFock({describe(self.config.system.electrons, self.config.system.cells)}, {where})"

    def _repr_html_(self) -> str:
        names = ("energy", "kinetic", "moire", "interaction")
        rows = [[self.along.symbol, *(f"{name} (E0)" for name in names), "lowest found"]]
        for state in self.solutions:
            best = self._row(state)
            numbers = [f"{best[name]:.5f}" for name in names]
            rows.append([f"{self._place(state):g}", *numbers, best["label"]])
        return html_table(rows, f"{self._title}, per electron")

    def _place(self, state: Solution) -> float:
        return state.field.values[self.along.name]

    def _row(self, state: Solution) -> dict[str, Any]:
        return row(state, self.along.name)

    @property
    def sides(self) -> list[str] | None:
        """What the lowest states are at the neighbouring values, below and above the crossing."""
        if self.crossing is None:
            return None
        below = max(index for index, state in enumerate(self.solutions) if self._place(state) < self.crossing)
        return [state.order.label for state in self.solutions[below : below + 2]]

    @property
    def branches(self) -> dict[str, list[dict[str, Any]]]:
        """Every branch as plain data."""
        return {kind: [self._row(found[kind]) for found in self.found if kind in found] for kind in KINDS}

    @property
    def dataset(self) -> xarray.Dataset:
        """Energies per electron in E0 of every branch ``[branch, values]``, nan where there is none; no error bars."""
        import xarray

        def values(name: str) -> npt.NDArray[np.float64]:
            rows = [[self._row(found[kind])[name] if kind in found else None for found in self.found] for kind in KINDS]
            return np.array(rows, dtype=np.float64)

        names = (*ENERGIES, "order_parameter", "broken_symmetry", "basis_error", "residual")
        along = self.along.name
        data = {
            name: (("branch", along), values(name), {"units": "E0" if "E0" in UNITS[name] else "1"}) for name in names
        }
        axes: dict[str, Any] = {along: (along, self.values, parameter_attributes(along))}
        axes |= {"branch": ("branch", list(KINDS))}
        axes |= {name: ((), value, parameter_attributes(name)) for name, value in self.at.items()}
        return xarray.Dataset(data, axes, {"source": f"qernel {qernel.__version__}", "cutoff": self.cutoff})

    def as_dict(self) -> dict[str, Any]:
        """The lowest state at each value as plain data, which ``--json`` prints."""
        hamiltonian = self.config.hamiltonian()
        named_along = {} if self.along.name == LAM.name else {"along": self.along.name}
        return {
            "system": system(self.config, hamiltonian, hamiltonian.middle | dict(self.at)),
            **named_along,
            "results": [self._row(state) for state in self.solutions],
            "transition": self.crossing,
            "transition_between": self.sides,
        }

    def table(self) -> str:
        """The lowest state at each value, and the energies of the other branches, for people."""
        kinds = {"E KIND": [f"E {kind}" for kind in KINDS]}
        rows = [[self.along.symbol, *(head for name in MEAN_FIELD for head in kinds.get(name, [name]))]]
        for branches in self.found:
            best = self._row(lowest(branches))
            order = best["order_parameter"]
            rows.append(
                [
                    f"{best[self.along.name]:g}",
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
        alone = [f"{self._place(state):g}" for state in self.solutions if state.agreed < 2]
        if alone:
            symbol = self.along.symbol
            end += f"\nfewer than two starts agreed at {symbol} = {', '.join(alone)}: there may be lower states"
        if self.crossing is not None and self.sides is not None:
            below, above = self.sides
            symbol = self.along.symbol
            end += f"\nfrom {below} to {above} near {symbol} = {self.crossing:.3f} "
            end += f"(energies linear between the {symbol} above)"
        return f"{title}\n{columns(rows)}{end}"

    def plot(self, variable: str = "energy", *, ax: Axes | None = None) -> Axes:
        """A number of every branch against the parameter.

        Args:
            variable: ``energy`` per electron, ``excess`` above the lowest branch, or ``order_parameter``.
            ax: drawn into; default: a figure of its own.

        Raises:
            QernelError: for another variable.
        """
        from qernel.hartree_fock.figure import PANELS, draw_branches
        from qernel.plots.style import axes_of

        if variable not in PANELS:
            raise QernelError(f"Hartree–Fock branches have no {variable!r}: choose from {', '.join(PANELS)}")
        axes = axes_of(ax, 4.8, 3.4)
        options: dict[str, Any] = {"along": self.along, "crossing": self.crossing, "title": self._title}
        draw_branches(axes, self.branches, variable, **options)
        axes.legend()
        return axes

    def figure(self) -> Figure:
        """Energies and order parameter of the branches against the parameter, as ``qernel hf`` draws them."""
        from qernel.hartree_fock.figure import branch_diagram

        return branch_diagram(self.branches, along=self.along, crossing=self.crossing, title=self._title)

    def density(self, value: float | None = None, *, branch: str | None = None) -> xarray.Dataset:
        """The electron density of one solution, which `qernel.plot` draws.

        Args:
            value: of the parameter; may be left out where there is one.
            branch: ``crystal``, ``other`` or ``symmetric``; default: the lowest.

        Raises:
            QernelError: if there is no such solution.
        """
        if value is None and len(self.found) > 1:
            raise QernelError(f"there are {len(self.found)} values of {self.along.symbol}: name one of {self.values}")
        place = self.values[0] if value is None else value
        near = [found for found, at in zip(self.found, self.values, strict=True) if abs(at - place) < 1e-9]
        if not near or (branch is not None and branch not in near[0]):
            what = f"no {branch} branch" if near else "nothing"
            raise QernelError(f"there is {what} at {self.along.at(place)}: solved at {self.values}")
        return density(lowest(near[0]) if branch is None else near[0][branch], self.along.name)

    @property
    def _title(self) -> str:
        title = f"Hartree–Fock, {describe(self.config.system.electrons, self.config.system.cells)}"
        return ", ".join([title, *(named(name).at(value) for name, value in self.at.items())])

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
        from qernel.plots import draw, save

        save(self.figure(), out / FIGURE)
        chosen = shown(self.found)
        for kind, solution in chosen.items():
            save(draw("density", density(solution, self.along.name))[""], out / f"density-{kind}")
        provenance = {
            "command": self.command,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(self.seconds, 1),
            "qernel": qernel.__version__,
            "config": self.config.fingerprint("system", "family"),
        }
        record = {**self.as_dict(), "branches": self.branches, "units": units(self.along.name)}
        where = {kind: self.along.at(self._place(state)) for kind, state in chosen.items()}
        densities = {kind: f"{state.order.label}, at {where[kind]}" for kind, state in chosen.items()}
        record |= {"provenance": provenance, "densities": densities}
        # Last: a folder with this file is complete.
        outputs.write_text(out / RECORD, to_record(record, indent=1) + "\n")
