"""Energies over values of one parameter, with whatever else is asked of the same samples, and their folder.

DIR/energies.csv            a row for each value (and direction), to open with a data-frame library
DIR/energies.nc             the same for `qernel.open`, `qernel plot` and `qernel report`, with units and provenance
DIR/observables.nc          observables on the same samples, as of `Model.observe`
DIR/energies.json           `Scan.as_dict`, with units and provenance
DIR/phase_diagram.png/.pdf  energy and interaction energy per electron against the parameter
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from qernel import outputs, records
from qernel.along import named
from qernel.errors import warn
from qernel.lattice import FloatArray
from qernel.measure import files, place
from qernel.measure.asked import Options, asked
from qernel.measure.chains import measured
from qernel.measure.energies import Energies
from qernel.measure.files import DATA, FIGURE, FILES, OBSERVED, RECORD, TABLE
from qernel.measure.folder import remembering
from qernel.measure.kept import Kept
from qernel.measure.points import Points, about
from qernel.measure.tables import energy_html, energy_table, observed_table, reweighted_table
from qernel.progress import Told
from qernel.records import to_record
from qernel.storage import save as save_dataset
from qernel.storage import system_columns, to_json

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MORE = ("reweighted_from", "effective_fraction")


@dataclass(frozen=True, eq=False)
class Scan:
    """Energies per electron over values of one parameter of a model.

    Attributes:
        points: what was measured, and where.
        sweeps: energies in increasing order of the parameter, for each kind of chains: ``fresh``, ``up``, ``down``, or
            ``exchange``.
        swaps: accepted fraction of the swaps between neighbours ``[n - 1]``; None where nothing was swapped.
        reweighted: energies at values in between, from the records of the nearest value.
        observables: measured on the samples of the first kind of chains; None if none were asked for.
        request: everything the numbers depend on.
        command: what was typed, or the name of the function.
    """

    points: Points
    sweeps: dict[str, list[Energies]]
    swaps: FloatArray | None = None
    reweighted: list[Energies] = field(default_factory=list)
    observables: xarray.Dataset | None = None
    request: dict[str, Any] = field(default_factory=dict)
    command: str = "Model.scan"

    def __repr__(self) -> str:
        axis, rows = self.points.axis, self.rows
        return f"Scan(model={self.points.model.name!r}, {axis.name}={[row.values[axis.name] for row in rows]})"

    def _repr_html_(self) -> str:
        model, axis = self.points.model, self.points.axis
        where = "".join(f", {named(name).at(value)}" for name, value in self.points.at.items())
        return energy_html(self.rows, axis.name, f"{model.name}: {model.system}{where}, per electron")

    @property
    def rows(self) -> list[Energies]:
        """The energies of the first kind of chains."""
        return next(iter(self.sweeps.values()))

    @property
    def impossible(self) -> dict[float, str]:
        """Why numbers are no answer, at the values where they are not."""
        every = [*(result for rows in self.sweeps.values() for result in rows), *self.reweighted]
        return {result.values[self.points.axis.name]: result.impossible for result in every if result.impossible}

    @cached_property
    def dataset(self) -> xarray.Dataset:
        """The energies along the parameter, with units, errors and provenance, as in the file ``energies.nc``."""
        where = self.points
        options: dict[str, Any] = {"along": where.axis.name, "swaps": self.swaps, "reweighted": self.reweighted}
        found = files.dataset(where.model, self.sweeps, where.at, **options)
        return found.assign_attrs(self._origin)

    @property
    def _origin(self) -> dict[str, str]:
        return {"request": to_json(self.request), "history": self.command}

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain data, which ``--json`` prints."""
        along = self.points.axis.name
        data = about(self.points.model, self.points.at)
        data["results"] = [row.as_row(along) for row in self.rows]
        if set(self.sweeps) & {"up", "down"}:
            data["sweeps"] = {sweep: [row.as_row(along) for row in rows] for sweep, rows in self.sweeps.items()}
        if self.swaps is not None:
            values = [row.values[along] for row in self.rows]
            pairs = zip(values, values[1:], self.swaps.tolist(), strict=False)
            data["exchange"] = [{along: [low, high], "acceptance": accepted} for low, high, accepted in pairs]
        if self.request.get("reweight"):
            data["reweighted"] = [self._reweighted(result) for result in self.reweighted]
        return data

    def _reweighted(self, result: Energies) -> dict[str, Any]:
        return result.as_row(self.points.axis.name) | {name: float(getattr(result, name)) for name in _MORE}

    def table(self) -> str:
        """The energies as a table for people, with the other tables that belong to them."""
        where, along = self.points, self.points.axis.name
        swaps = None if self.swaps is None else self.swaps.tolist()
        text = []
        for sweep, rows in self.sweeps.items():
            text.append(energy_table(where.model, rows, where.at, along=along, swaps=swaps))
            if sweep in ("up", "down"):
                text.append(f"(chains carried {sweep} in {where.axis.symbol})")
        if self.reweighted:
            text.append(
                f"\nReweighted from the records at the nearest {where.axis.symbol} above, whose noise they share:"
            )
            text.append(reweighted_table(self.reweighted, along))
        if self.observables is not None:
            text.append(f"\nOn the same samples:\n{observed_table(self.observables)}")
        return "\n".join(text)

    def plot(self, variable: str = "energy", *, ax: Axes | None = None) -> Axes:
        """A number with its error bar against the parameter.

        Args:
            variable: of `dataset` or `observables`: ``energy``, ``interaction``, ``order_parameter``, ...
            ax: drawn into; default: a figure of its own.

        Raises:
            QernelError: if the scan does not have it.
        """
        from qernel.plots.kinds import VERSUS_LAM, plot

        data = self.dataset if self.observables is None or variable in self.dataset else self.observables
        return plot(data, VERSUS_LAM, variable=variable, ax=ax)

    def figure(self) -> Figure:
        """Energy and interaction energy against the parameter, as ``qernel scan`` draws them."""
        from qernel.plots.kinds import draw

        return draw("phase_diagram", self.dataset)[""]

    @property
    def scanned(self) -> xarray.Dataset:
        """What `qernel.transition` looks at."""
        return self.dataset

    def transition(self, **options: Any) -> Any:
        """Whether there is a transition, and where; options as of `qernel.transition.verb.transition`."""
        from qernel.transition.verb import transition

        return transition(self, **options)

    def save(self, folder: str | Path) -> list[Path]:
        """Write the files of a scan, replacing those of an equal one; returns their paths.

        Raises:
            RunError: if the folder has files of another scan, or cannot be written.
        """
        out = Path(folder)
        with outputs.held(out, FILES):
            outputs.refuse_overwriting(out, FILES, self.request, stored_request(out), "scan")
            return self._write(out)

    def _write(self, out: Path) -> list[Path]:
        from qernel.plots.style import save

        along, at = self.points.axis.name, self.points.at
        date = datetime.now(UTC).isoformat(timespec="seconds")
        save_dataset(self.dataset, out / DATA)
        if self.observables is not None:
            save_dataset(self.observables.assign_attrs(self._origin), out / OBSERVED)
        data = self.as_dict()
        more = _MORE if self.request.get("reweight") else ()
        rows = [row.as_row(along) for rows in self.sweeps.values() for row in rows] + data.get("reweighted", [])
        same = system_columns(place.attributes(self.points.model))
        outputs.write_text(out / TABLE, files.table(rows, at, more, along, same))
        save(self.figure(), out / FIGURE)
        provenance = {"request": self.request, "command": self.command, "date": date}
        record = {**data, "units": files.units(at, more, along, same), "provenance": provenance}
        # Last: a folder with this file is complete.
        outputs.write_text(out / RECORD, to_record(record, indent=2) + "\n")
        return [out / name for name in FILES if (out / name).exists()]


def scan(
    where: Points,
    *,
    out: Path | None = None,
    command: str | None = None,
    tell: Told | None = None,
    **options: Unpack[Options],
) -> Scan:
    """Measure energies over values of one parameter; arguments as of `qernel.measure.verbs.scan`, ``command`` as typed.

    Raises:
        QernelError: for chains that do not go together.
        RunError: if ``out`` holds another scan, is in use or cannot be written.
        Interrupted: when a scan into a folder is stopped.
    """
    where, kinds, chosen, request = asked(where, **options)
    kept = Kept(where.values, chosen, options.get("reweight", 0), where.axis.name)

    def measure(points: Points) -> Scan:
        found = measured(points, kinds, kept, tell)
        for sentence in kept.refused:
            warn(sentence)
        return Scan(where, found.sweeps, found.swaps, kept.reweighted, kept.dataset, request, command or Scan.command)

    if out is None:
        return measure(where)
    with outputs.held(out, FILES):
        outputs.refuse_overwriting(out, FILES, request, stored_request(out), "scan")
        with remembering(where.model, out, command or outputs.AGAIN, together="exchange" in kinds) as remembered:
            result = measure(where.of(remembered))
            # Within, because the records go when the block ends: stopped here, no number is lost.
            result._write(out)
    return result


def stored_request(out: Path) -> Any:
    """What the scan in a folder was asked for; None where there is none.

    The record is written last: of a scan that was stopped before, the data tell it.
    """
    return records.stored_request(out / RECORD) if (out / RECORD).exists() else files.stored_request(out / DATA)


def forget(out: Path, config: str) -> None:
    """Remove what was measured of an earlier state of a run: its model has been trained further.

    Args:
        out: folder of the scan; anything else in it is left alone.
        config: fingerprint of the run's configuration; results of any other stay.
    """
    if measured_of(out, config):
        for name in reversed(FILES):
            (out / name).unlink(missing_ok=True)


def measured_of(out: Path, config: str) -> bool:
    """Whether a folder has a scan of the configuration with this fingerprint."""
    stored = stored_request(out)
    return isinstance(stored, dict) and stored.get("config") == config
