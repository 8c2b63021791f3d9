"""Scans at several values of a second parameter: a map over two.

DIR/map.json        which scan has which value of the second parameter, with units and provenance
DIR/U=8/…           an ordinary scan for each value
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from qernel import outputs, records
from qernel.along import MAP, Axis, named
from qernel.errors import QernelError, RunError
from qernel.measure.asked import Options, ascending, asked
from qernel.measure.dataset import joined
from qernel.measure.files import DATA, FILES, RECORD, parameter_unit
from qernel.measure.points import Points, about, numbers
from qernel.measure.scan import Scan, scan, stored_request
from qernel.progress import Told
from qernel.records import read_json, to_record
from qernel.storage import IMPOSSIBLE, to_json
from qernel.storage import open as open_results
from qernel.text import html_table

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes

    from qernel.transition import PhaseMap

_ABOUT_FILE = ("units", "provenance", "content_sha256")
"""What the record of a scan holds besides the numbers."""


@dataclass(frozen=True, eq=False, repr=False)
class Map:
    """Energies over values of one parameter, at several values of a second one.

    Attributes:
        points: of the first scan.
        over: the second parameter.
        values: of it, increasing.
        scans: the energies at each, as `Scan.dataset`.
        records: the same as plain data, as `Scan.as_dict`.
        tables: the same for people; of scans that were there already, where they are.
        folder: with the files; None: there are none.
    """

    points: Points
    over: Axis
    values: tuple[float, ...]
    scans: list[xarray.Dataset] = field(default_factory=list, repr=False)
    records: list[dict[str, Any]] = field(default_factory=list, repr=False)
    tables: list[str] = field(default_factory=list, repr=False)
    folder: Path | None = None

    def __repr__(self) -> str:
        axis = self.points.axis
        values = {axis.name: list(self.points.values), self.over.name: list(self.values)}
        return f"Map(model={self.points.model.name!r}, {', '.join(f'{name}={x}' for name, x in values.items())})"

    def _repr_html_(self) -> str:
        rows = [
            [self.over.symbol, "scan"],
            *([f"{x:g}", f"{len(self.points.values)} values of {self.points.axis.symbol}"] for x in self.values),
        ]
        return html_table(rows, f"Map of {self.points.model.name}: {self.points.model.system}")

    @property
    def dataset(self) -> xarray.Dataset:
        """All scans as one data set over both parameters."""
        return joined(self.scans, self.over.name).assign_attrs({"along": self.points.axis.name})

    @property
    def impossible(self) -> dict[float, dict[float, str]]:
        """Why numbers are no answer: at each value of the second parameter, at each value of the first."""
        along = self.points.axis.name
        found = {}
        for value, record in zip(self.values, self.records, strict=True):
            rows = [*record["results"], *record.get("reweighted", [])]
            rows += [row for sweep in record.get("sweeps", {}).values() for row in sweep]
            found[value] = {row[along]: row[IMPOSSIBLE] for row in rows if row[IMPOSSIBLE]}
        return found

    @property
    def scanned(self) -> PhaseMap:
        """What `qernel.transition` looks at."""
        from qernel.transition import assembled

        return assembled(self.scans, self.over.name)

    def transition(self, **options: Any) -> Any:
        """Where the phases meet; options as of `qernel.transition.verb.transition`."""
        from qernel.transition.verb import transition

        return transition(self, **options)

    def plot(self, variable: str | None = None, *, ax: Axes | None = None) -> Axes:
        """A number over both parameters as colour, with the boundary of the phases.

        Args:
            variable: a single number that every scan has; default: the order parameter, else the interaction energy.
            ax: drawn into; default: a figure of its own.

        Raises:
            QernelError: if a scan does not have it.
        """
        from qernel.plots.over_two import draw_phase_map
        from qernel.plots.style import axes_of
        from qernel.transition import boundary

        scans, axes = self.scanned, axes_of(ax, 5.4, 3.8)
        draw_phase_map(axes, scans, boundary(scans), variable)
        return axes

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain data, which ``--json`` prints."""
        names = {"along": self.points.axis.name, "over": self.over.name}
        return {**names, "values": list(self.values), "scans": self.records}


def folder_of(out: Path, over: str, value: float) -> Path:
    """Where the scan at a value of the second parameter is."""
    return out / f"{over}={value:.12g}"


def mapped(
    where: Points,
    over: tuple[str, Sequence[float]],
    *,
    out: Path | None = None,
    command: str | None = None,
    tell: Told | None = None,
    **options: Unpack[Options],
) -> Map:
    """Scan at several values of a second parameter; arguments as of `Model.map` and `qernel.measure.scan.scan`.

    Into a folder, scans that are complete are not measured again.

    Raises:
        QernelError: for a second parameter that the model does not have, or that is fixed or varied already.
        RunError: if ``out`` holds something else, is in use or cannot be written.
        Interrupted: when a map into a folder is stopped.
    """
    if isinstance(over, str) or len(over) != 2:
        raise QernelError(f'over = {over!r} is no parameter with its values: give them as ("U", [8, 9, 10])')
    name, values = over
    places = _places(where, name, values)
    found = Map(next(iter(places.values())), named(name), tuple(places), folder=out)
    if out is None:
        for value, place in places.items():
            _add(found, scan(place, tell=_told(tell, found, value), **options))
        return found
    with outputs.held(out, [MAP]):
        requests = {value: asked(place, **options).request for value, place in places.items()}
        _refuse(out, name, requests)
        for value, place in places.items():
            folder = folder_of(out, name, value)
            if (folder / RECORD).exists() and stored_request(folder) == json.loads(to_json(requests[value])):
                _take(found, folder, value)
            else:
                _add(found, scan(place, out=folder, command=command, tell=_told(tell, found, value), **options))
        outputs.write_text(out / MAP, to_record(_record(found, out, requests, command), indent=2) + "\n")
    return found


def _add(found: Map, done: Scan) -> None:
    """Add a scan that has been measured."""
    found.scans.append(done.dataset)
    found.records.append(done.as_dict())
    found.tables.append(done.table())


def _take(found: Map, folder: Path, value: float) -> None:
    """Add a scan that was there."""
    found.scans.append(open_results(folder / DATA))
    record = read_json(folder / RECORD)
    found.records.append({key: part for key, part in record.items() if key not in _ABOUT_FILE})
    found.tables.append(f"{found.over.at(value)}: measured before, in {folder}")


def _places(where: Points, name: str, values: Sequence[float]) -> dict[float, Points]:
    """The points of each scan."""
    if name in (where.axis.name, *where.given):
        raise QernelError(f"{name} is given twice: a map is over two parameters")
    if name not in where.at:
        raise RunError(f"{where.model.name} is not conditioned on {name}, only on {', '.join(where.model.ranges)}")
    asked_for = sorted(numbers(name, values))
    if len(asked_for) < 2:
        raise QernelError(f"a map needs at least two values of {name}: for one, scan with --at {name}=VALUE")
    where = ascending(where)
    places = {value: replace(where, at={**where.at, name: value}) for value in asked_for}
    for place in places.values():
        place.require_reach()
    return places


def _refuse(out: Path, name: str, requests: Mapping[float, Any]) -> None:
    """Nothing is begun where any of the scans could not be written."""
    outputs.refuse_overwriting(out, [MAP], _requested(name, requests), records.stored_request(out / MAP), "map")
    for value, request in requests.items():
        folder = folder_of(out, name, value)
        outputs.refuse_overwriting(folder, FILES, request, stored_request(folder), "scan")


def _requested(name: str, requests: Mapping[float, Any]) -> dict[str, Any]:
    return {"over": name, "scans": list(requests.values())}


def _record(found: Map, out: Path, requests: Mapping[float, Any], command: str | None) -> dict[str, Any]:
    where, name = found.points, found.over.name
    said = about(where.model, where.at)
    said["system"].pop(name, None)
    return {
        "along": where.axis.name,
        "over": name,
        "values": list(found.values),
        "folders": [folder_of(out, name, value).name for value in found.values],
        "at": {key: value for key, value in where.at.items() if key != name},
        **said,
        "units": {key: parameter_unit(key) for key in (where.axis.name, name)},
        "provenance": {
            "request": _requested(name, requests),
            "command": command or "Model.map",
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    }


def _told(tell: Told | None, found: Map, value: float) -> Told | None:
    """What one scan tells, as a share of all."""
    if tell is None:
        return None
    index, count = found.values.index(value), len(found.values)
    return lambda what, fraction: tell(f"{found.over.at(value)}: {what}", (index + fraction) / count)
