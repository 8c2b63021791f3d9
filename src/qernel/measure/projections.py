"""Projected energies over values of one parameter: tables, plain data, files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qernel import outputs
from qernel.estimators.doubts import DISAGREE, SAMPLES, listed
from qernel.measure.points import Points, about
from qernel.measure.projected import CHANGED, UNSETTLED, Projected
from qernel.measure.tables import remark
from qernel.records import stored_request, to_record
from qernel.storage import save as save_dataset
from qernel.text import columns, describe

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

DATA, RECORD, FIGURE = "projection.nc", "projection.json", "projection"
FILES: Sequence[str] = (DATA, RECORD, f"{FIGURE}.png", f"{FIGURE}.pdf")

_ADVICE = {
    SAMPLES: "errors of projected energies can be too small ({}){{}}: project for a longer --time",
    DISAGREE: "the beginning and the end of a projection disagree ({}){{}}: project for a longer --time",
    UNSETTLED: "walkers are {} for most of the projection{{}}: project for a longer --time",
    CHANGED: "walkers are {}{{}}: those in the lower phase multiply, and densities are of neither; choose --start",
}

UNITS = {
    "projected": "E0 per electron",
    "variational": "E0 per electron",
    "variance": "E0^2 per electron, Var(Re E_L)/N of the variational chains",
    "moire": "E0 per electron, 2 mixed - variational",
    "interaction": "E0 per electron, 2 mixed - variational",
    "tau": "1/E0",
    "population_bias": "E0 per electron, without products of weights less with them",
}

_NOTE = """\
Projected: the lowest energy with the nodes of ψ, or with its phase where ψ is complex: an upper bound of the exact one.
Without time step: {fit}, energies independent and normal, errors widened by √(χ²/dof).
Moiré and interaction energies are 2·mixed − variational: right to first order in what ψ lacks, and no bound. So are the
density and S(q) in the file, at the smallest time step."""


@dataclass(frozen=True, eq=False)
class Projections:
    """Projected energies over values of one parameter.

    Attributes:
        points: where walkers were projected.
        found: at each value.
        fit: a key of `qernel.projection.time_steps.DEGREES`.
        request: everything the numbers depend on.
        command: what was typed, or the name of the function.
    """

    points: Points
    found: list[Projected] = field(repr=False)
    fit: str
    request: dict[str, Any] = field(default_factory=dict, repr=False)
    command: str = field(default="Model.project", repr=False)

    @property
    def impossible(self) -> dict[float, str]:
        """Why numbers are no answer, at the values where they are not."""
        name = self.points.axis.name
        rows = [one.energies for one in self.found]
        return {one.values[name]: one.impossible for one in rows if one.impossible}

    def sentences(self) -> list[str]:
        """What speaks against the errors."""
        places = {
            reason: [value for value, one in zip(self.points.values, self.found, strict=True) if reason in one.doubts]
            for reason in _ADVICE
        }
        where = {reason: f" at {self.points.axis.symbol} = {listed(values)}" for reason, values in places.items()}
        return [_ADVICE[reason].format(reason).format(where[reason]) for reason in places if places[reason]]

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain data, which ``--json`` prints."""
        results = [one.as_row(self.points.axis.name) for one in self.found]
        return {**about(self.points.model, self.points.at), "results": results}

    def table(self) -> str:
        """What was found, how, and what it means."""
        where = self.points
        system = where.model.config.system
        rows = [[where.axis.symbol, "variational", "projected", "gain", "interaction", "χ²/dof", "phase", ""]]
        blocks = []
        for value, one in zip(where.values, self.found, strict=True):
            fit = one.fits["energy"]
            chi2 = f"{fit.chi2:.2g}/{fit.dof}" if fit.dof else ""
            numbers = [number.number for number in (one.variational.energy, one.energy, one.gain)]
            row = [f"{value:g}", *numbers, one.energies.interaction.number, chi2, one.energies.phase]
            rows.append([*row, remark(one.energies._asdict())])
            blocks.append(f"{where.axis.at(value)}, {one.walkers} walkers\n{one.table()}")
        title = f"{where.model.name}, {describe(system.electrons, system.cells)}, E0 per electron"
        model = {1: "E(τ) = E_0 + aτ", 2: "E(τ) = E_0 + aτ + bτ²"}
        count = max(len(one.fits["energy"].coefficients) for one in self.found)
        note = _NOTE.format(fit=model[count] if count else "one time step alone, which is not 0; not extrapolated")
        return "\n\n".join([f"{title}\n{columns(rows)}", *blocks, note])

    @cached_property
    def dataset(self) -> xarray.Dataset:
        """The energies along the parameter, with units, errors and provenance, as in the file ``projection.nc``."""
        from qernel.measure.projected_files import dataset

        return dataset(self)

    def plot(self) -> Figure:
        """Energies against the time step."""
        from qernel.plots.kinds import draw

        return draw("projection", self.dataset)[""]

    @property
    def scanned(self) -> xarray.Dataset:
        """What `qernel.transition` looks at."""
        return self.dataset

    def save(self, folder: str | Path) -> list[Path]:
        """Write the files, replacing those of an equal projection; returns their paths.

        Raises:
            RunError: if the folder has another projection, or cannot be written.
        """
        out = Path(folder)
        with outputs.held(out, FILES):
            outputs.refuse_overwriting(out, FILES, self.request, stored_request(out / RECORD), "projection")
            return self.write(out)

    def write(self, out: Path) -> list[Path]:
        """Write the files into a folder that is held."""
        from qernel.plots.style import save

        save_dataset(self.dataset, out / DATA)
        save(self.plot(), out / FIGURE)
        date = datetime.now(UTC).isoformat(timespec="seconds")
        provenance = {"request": self.request, "command": self.command, "date": date}
        record = {**self.as_dict(), "units": UNITS, "provenance": provenance}
        # Last: a folder with this file is complete.
        outputs.write_text(out / RECORD, to_record(record, indent=1) + "\n")
        return [out / name for name in FILES]
