"""Scans along one parameter at several values of another: the folder of a map, read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qernel.along import MAP, Axis, axis, of, others
from qernel.config.stored import stored_laboratory
from qernel.errors import DamagedFile, RunError
from qernel.records import read_json
from qernel.soundness import resting_on
from qernel.storage import open as open_results
from qernel.transition.reading import from_dataset
from qernel.transition.scan import FILES, Curves

if TYPE_CHECKING:
    import xarray

    from qernel.units import Laboratory


@dataclass(frozen=True)
class PhaseMap:
    """Scans along one parameter at several values of another.

    Attributes:
        along: the parameter of each scan.
        over: the other one.
        values: of ``over``, increasing, ``[m]``.
        datasets: the scan at each of them, as `qernel.open` reads it.
        sources: their files.
        source: the folder.
    """

    along: Axis
    over: Axis
    values: tuple[float, ...]
    datasets: tuple[xarray.Dataset, ...]
    sources: tuple[str, ...]
    source: str = ""

    def scans(self) -> Iterator[tuple[float, Curves | str]]:
        """Each value with its scan, or with why that cannot be fitted.

        Raises:
            DamagedFile: if a file is damaged, for which there is no excuse.
        """
        for value, data, source in zip(self.values, self.datasets, self.sources, strict=True):
            try:
                with resting_on(Path(source)):
                    scan = from_dataset(data, source)
            except DamagedFile:
                raise
            except RunError as error:
                yield value, str(error)
            else:
                yield value, scan

    def partners(self, other: PhaseMap) -> dict[int, int]:
        """The row of another map at the same value of the second parameter, for each row here that has one."""
        return {
            row: partner
            for row, value in enumerate(self.values)
            for partner, there in enumerate(other.values)
            if math.isclose(value, there, rel_tol=1e-9, abs_tol=1e-12)
        }

    def laboratory(self, axis: Axis) -> Laboratory | None:
        """What a parameter of the map is in the laboratory, where the files tell the material."""
        return stored_laboratory(self.datasets[0].attrs, axis.name, axis.unit)

    @property
    def others(self) -> dict[str, float]:
        """Parameters that are the same everywhere."""
        known = others(self.datasets[0], self.along.name)
        return {name: value for name, value in known.items() if name != self.over.name}


def assembled(datasets: Sequence[xarray.Dataset], over: str, sources: Sequence[str] = (), source: str = "") -> PhaseMap:
    """A map of scans that are in memory.

    Args:
        datasets: a scan each, with the other parameter as a coordinate without an axis.
        over: its name.
        sources: their files, if they have any.
        source: the folder of the map, if there is one.

    Raises:
        RunError: if there are none, they are along different parameters, or do not say where they were measured.
    """
    where = source or "the map"
    if not datasets:
        raise RunError(f"{where} holds no scan: measure one with qernel scan --over")
    names = [*sources] or [f"scan {index}" for index in range(len(datasets))]
    along = {axis(data) for data in datasets}
    if len(along) > 1:
        raise RunError(f"{where} has scans along {' and '.join(sorted(one.name for one in along))}: scan them alike")
    for data, name in zip(datasets, names, strict=True):
        if over not in data.coords or data[over].dims != ():
            raise RunError(f"{name} does not say at which {over} it was measured: it is no part of a map over {over}")
    values = [float(data[over]) for data in datasets]
    if len(set(values)) < len(values):
        raise RunError(f"{where} has two scans at the same {over}: keep one of each")
    rank = sorted(range(len(values)), key=values.__getitem__)
    return PhaseMap(
        along.pop(),
        of(datasets[0], over),
        tuple(values[index] for index in rank),
        tuple(datasets[index] for index in rank),
        tuple(names[index] for index in rank),
        source,
    )


def is_map(path: str | Path) -> bool:
    """Whether a folder is a map of scans."""
    return (Path(path) / MAP).is_file()


def read_map(path: str | Path) -> PhaseMap:
    """The map in a folder of ``qernel scan --over``.

    Raises:
        RunError: if it is none, or a scan that it names is not there.
    """
    folder = Path(path)
    if not is_map(folder):
        raise RunError(f"{path} holds no {MAP}: name a folder that qernel scan --over wrote")
    over, folders = _indexed(folder / MAP, read_json(folder / MAP))
    files = []
    for name in folders:
        present = [folder / name / file for file in FILES if (folder / name / file).exists()]
        if not present:
            raise RunError(f"{folder / name} holds no {FILES[0]}, and {folder / MAP} names it: scan it again")
        files.append(present[0])
    return assembled([open_results(file) for file in files], over, [str(file) for file in files], str(folder))


def _indexed(path: Path, content: Any) -> tuple[str, list[str]]:
    """The second parameter and the folders that an index names."""
    found = content if isinstance(content, Mapping) else {}
    over, folders = found.get("over"), found.get("folders")
    if not isinstance(over, str) or not isinstance(folders, list) or not all(isinstance(one, str) for one in folders):
        raise RunError(f"{path} is no index of a map: it lacks over, or folders")
    outside = [one for one in folders if Path(one).name != one or one in ("", ".", "..")]
    if outside:
        raise RunError(f"{path} names {outside[0][:80]!r}, which is no folder beside it")
    return over, folders
