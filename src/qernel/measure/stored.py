"""Answers that are there already: in results of ``qernel scan`` and ``observe``, and in what ``qernel query`` kept.

Whatever is read belongs to the very weights of the model, which every file names.
"""

from __future__ import annotations

import itertools
import math
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qernel.along import axis, point
from qernel.config import Config
from qernel.config.systems import same
from qernel.errors import ConfigError, RunError, warn
from qernel.estimators.doubts import stored_doubts
from qernel.estimators.phases import ORDERS, stored_phase
from qernel.estimators.quantity import Quantity
from qernel.measure.energies import ENERGIES, INTERPOLATED, ORDER, STORED, Energies
from qernel.measure.folder import of_system
from qernel.measure.place import known
from qernel.measure.slices import Slice, across, exact, fitting, interpolated
from qernel.storage import open as open_results
from qernel.structure import Phase

if TYPE_CHECKING:
    import xarray

    from qernel.measure.shelf import Shelf

SCANNED, OBSERVED, OWN = "scan/energies.nc", "observe/observables.nc", "observables.nc"
"""Files of results in the folder of a model, of `qernel scan`, of `qernel observe`, and beside shipped models."""

Finding = Callable[["xarray.Dataset", str, float], Slice | None]
"""How a point is found in a file: its data along a parameter, this, and the value wanted."""

MAPPED, OF_MAP = "map", "*/energies.nc"
"""The folder of `qernel scan --over`, and the files that count of it."""


def of_these_weights(
    paths: Sequence[Path], weights: str, say: Callable[[str], None] = warn
) -> Iterator[tuple[Path, xarray.Dataset]]:
    """The files of results that were measured of a model, sorted along their parameter.

    Args:
        paths: of files that may be there.
        weights: SHA-256 of its trained numbers.
        say: called with a sentence about any other file.
    """
    for path in paths:
        if not path.exists():
            continue
        try:
            data = open_results(path)
        except RunError as error:
            say(str(error))
            continue
        if data.attrs.get("model_weights_sha256") != weights:
            say(f"{path} is of other parameters than the model, not shown")
        elif (along := axis(data).name) in data.dims:
            yield path, data.sortby(along)


class Results:
    """The results of a model in its folder.

    Args:
        model: whose they are.
    """

    def __init__(self, model: Shelf) -> None:
        self._model = model

    @cached_property
    def files(self) -> list[tuple[Path, xarray.Dataset]]:
        """Those with energies, but for maps."""
        folder = self._model.folder
        return self._read([] if folder is None else [folder / OWN, *map(folder.joinpath, self._places)])

    @cached_property
    def maps(self) -> list[tuple[Path, xarray.Dataset]]:
        """Those of maps over two parameters."""
        folder = self._model.folder
        return self._read([] if folder is None else sorted(folder.glob(f"{of_system(self._model, MAPPED)}/{OF_MAP}")))

    def _read(self, paths: Sequence[Path]) -> list[tuple[Path, xarray.Dataset]]:
        found = of_these_weights(paths, self._model.weights)
        return [(path, data) for path, data in found if all(name in data for name in ENERGIES) and self._ours(data)]

    @property
    def _places(self) -> list[Path]:
        paths = map(Path, (OBSERVED, SCANNED))
        return [Path(of_system(self._model, path.parent.name), path.name) for path in paths]

    def along(self, name: str, others: Mapping[str, float]) -> list[xarray.Dataset]:
        """The results along a parameter, at values of all others."""
        return [data for _, data in fitting([*self.files, *self.maps], name, others)]

    def around(self, name: str, others: Mapping[str, float]) -> list[tuple[xarray.Dataset, xarray.Dataset]]:
        """Results along a parameter at the two stored values of a second one that enclose the value of `others`."""
        pairs = [(over, pair) for over in others for pair in itertools.pairwise(self._row(name, over, others))]
        return [(low[2], high[2]) for over, (low, high) in pairs if low[0] < others[over] < high[0]]

    def _row(self, name: str, over: str, others: Mapping[str, float]) -> list[tuple[float, Path, xarray.Dataset]]:
        """The results along a parameter at each stored value of a second one, by these."""
        files = fitting([*self.files, *self.maps], name, _without(over, others))
        return sorted(((float(data[over]), path, data) for path, data in files), key=lambda one: one[0])

    def at(self, along: str, value: float, others: Mapping[str, float]) -> Energies | None:
        """The answer with the smallest error that was measured at a point, else the best one between points.

        Args:
            along: a parameter, along which it is interpolated; in a map along a second one as well.
            value: of it.
            others: values of all other parameters.
        """
        place = {along: value, **others}
        return (
            self._found(exact, self.files, place)
            or self._found(exact, self.maps, place)  # many files: read where the others have no answer
            or self._found(self._between, [*self.files, *self.maps], place)
            or self._in_map(place)
        )

    def _found(
        self, find: Finding, files: Sequence[tuple[Path, xarray.Dataset]], place: Mapping[str, float]
    ) -> Energies | None:
        every = [(path, data, name) for name in place for path, data in fitting(files, name, _without(name, place))]
        found = [(path, one) for path, data, name in every if (one := find(data, name, place[name])) is not None]
        return min((self._answer(*one) for one in found), key=lambda answer: answer.energy.error, default=None)

    def _between(self, data: xarray.Dataset, along: str, value: float) -> Slice | None:
        gaps = self._model.config.family.gaps or () if along == "lam" else ()
        return None if any(low < value < high for low, high in gaps) else interpolated(data, along, value)

    def _in_map(self, place: Mapping[str, float]) -> Energies | None:
        """Between points of a map: along one parameter at each stored value of a second one, then along that."""
        for along, over in itertools.permutations(place, 2):
            row: dict[float, tuple[Path, Slice | None]] = {}
            for there, path, data in self._row(along, over, _without(along, place)):
                if not float(data[along][0]) <= place[along] <= float(data[along][-1]):
                    continue
                here = exact(data, along, place[along]) or self._between(data, along, place[along])
                _, before = row.get(there, (path, None))
                if before is None or (here is not None and here.error < before.error):
                    row[there] = path, here
            found = across({there: here for there, (_, here) in row.items()}, over, place[over])
            if found is not None:
                path, _ = next(iter(row.values()))
                return self._answer(path if path.name == OWN else path.parents[1], found)
        return None

    def _answer(self, path: Path, found: Slice) -> Energies:
        """A point as energies, with its phase, and where it is from."""
        told = stored_phase(found.here)
        place = f"{self._said(path)}{_chains(found.here)}"
        if not found.between:
            return self._energies(found.here, told, STORED, f"stored in {place}")
        told = Phase(told.word, f"{_order(found.here)}at {found.between} it is {told.word}")
        return self._energies(found.here, told, INTERPOLATED, f"interpolated between {found.between} in {place}")

    def _energies(self, here: xarray.Dataset, told: Phase, origin: str, source: str) -> Energies:
        """A point of a data set as energies."""
        unit, values = self._model.config.energy_unit_meV, point(here)

        def quantity(name: str, what: str = "E0", meV: float | None = unit) -> Quantity:
            numbers = float(here[name]), float(here[f"{name}_error"])
            return Quantity(*numbers, what, source, meV, stored_doubts(here, name))

        def number(name: str) -> float:
            return float(here[name]) if name in here else math.nan

        trained = known(self._model)
        parts: dict[str, Any] = {name: quantity(name) for name in ENERGIES}
        return Energies(
            lam=values["lam"],
            **parts,
            variance=math.nan,
            acceptance=number("acceptance"),
            autocorrelation=number("energy_autocorrelation"),
            rhat=number("energy_rhat"),
            effective_samples=number("energy_effective_samples"),
            extrapolating=bool(here["extrapolating"]) if "extrapolating" in here else False,
            order_parameter=quantity(ORDER, "", None) if ORDER in here else None,
            order_parameter_rhat=number(f"{ORDER}_rhat"),
            in_gap=bool(here["in_gap"]) if "in_gap" in here else False,
            values={name: values[name] for name in self._model.ranges if name in values},
            size_trained=trained.size,
            twist_trained=trained.twist,
            phase=told.word,
            phase_why=told.why,
            origin=origin,
            source=source,
        )

    def _ours(self, data: xarray.Dataset) -> bool:
        """Whether results are of the system and the phases that are asked about: weights may serve several."""
        try:
            config = Config.model_validate(tomllib.loads(data.attrs["config"]))
        except (KeyError, TypeError, ValueError, ConfigError):
            return False
        ours = self._model.config
        return same(config.system, ours.system) and config.model.phase == ours.model.phase

    def _said(self, path: Path) -> str:
        """A file in words: shipped ones by the model that they came with."""
        from qernel.measure.shelf import models_folder

        return f"{path.name} shipped with {self._model.name}" if path.is_relative_to(models_folder()) else str(path)


def _chains(data: xarray.Dataset) -> str:
    """How much was sampled, where a file says it."""
    about = data.attrs
    if not {"walkers", "samples", "seed"} <= set(about):
        return ""
    return f", {about['samples']} records of {about['walkers']} chains, seed {about['seed']}"


def _without(name: str, place: Mapping[str, float]) -> dict[str, float]:
    return {key: value for key, value in place.items() if key != name}


def _order(here: xarray.Dataset) -> str:
    """The order parameter at a point in between, where there is one."""
    if ORDER not in here or f"{ORDER}_error" not in here:
        return ""
    return f"{ORDERS[ORDER]} = {float(here[ORDER]):.4f} ± {float(here[f'{ORDER}_error']):.4f}, and "
